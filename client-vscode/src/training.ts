/** `anchorline train` with its progress in a notification, where it can be stopped. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { type CancellationToken, type LogOutputChannel, ProgressLocation, window } from "vscode";
import { run } from "./imports";
import { isolated } from "./isolated";
import { type Environment, locate, MissingError } from "./locate";

const INTERRUPTED = 130;
const TRIAL = "Start Experiment";

interface Step {
  kind: "progress";
  epoch: number;
  epochs: number;
  step: number;
  steps: number;
}

interface Trained {
  kind: "result";
  version: string;
  heads: Record<string, string>;
  reasons: Record<string, string>;
}

/** Train the network on what is recorded on this machine. It decides nothing before it is put on trial. */
export async function train(environment: Environment, log: LogOutputChannel): Promise<void> {
  const program = await locate(environment);
  if (program === undefined) {
    throw new MissingError();
  }
  const shown = {
    location: ProgressLocation.Notification,
    title: "Training on your recorded outcomes…",
    cancellable: true,
  };
  const trained = await window.withProgress(shown, (progress, token) => {
    let done = 0;
    return follow(program.command, token, ({ epoch, epochs, step, steps }) => {
      const now = (100 * (epoch - 1 + step / steps)) / epochs;
      progress.report({ message: `epoch ${epoch} of ${epochs}`, increment: now - done });
      done = now;
    });
  });
  if (trained === undefined) {
    window.showInformationMessage("Training stopped. Train again to continue from the checkpoint.");
    return;
  }
  for (const [head, use] of Object.entries(trained.heads)) {
    log.info(`${trained.version}, ${head}: ${use}, ${trained.reasons[head] ?? ""}`);
  }
  const heads = Object.entries(trained.heads).map(([head, use]) => `${head} ${use}`);
  const text = `Trained ${trained.version} (${heads.join(", ")}). It is not in use yet.`;
  if ((await window.showInformationMessage(text, TRIAL)) === TRIAL) {
    await run(`experiment start ${trained.version}`, program.command, [
      "experiment",
      "start",
      trained.version,
    ]);
  }
}

/** Run a training to its end; undefined where it was stopped. Throws what it says when it fails. */
function follow(
  command: string,
  token: CancellationToken,
  show: (step: Step) => void,
): Promise<Trained | undefined> {
  const child = spawn(command, ["train", "--json"], { ...isolated(), stdio: ["ignore", "pipe", "pipe"] });
  const stopping = token.onCancellationRequested(() => child.kill("SIGINT"));
  let stderr = "";
  let trained: Trained | undefined;
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    const message: Step | Trained = JSON.parse(line);
    if (message.kind === "result") {
      trained = message;
    } else {
      show(message);
    }
  });
  return new Promise<Trained | undefined>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0 || code === INTERRUPTED || token.isCancellationRequested) {
        resolve(trained);
      } else {
        reject(
          new Error(
            stderr
              .trim()
              .split("\n")
              .at(-1)
              ?.replace(/^Error: /, "") ?? `training ended with ${code}`,
          ),
        );
      }
    });
  }).finally(() => stopping.dispose());
}
