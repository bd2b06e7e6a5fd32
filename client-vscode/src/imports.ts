/** `anchorline import` in a terminal of its own, where its progress is seen. */
import { ProcessExecution, Task, TaskScope, tasks, window } from "vscode";
import { AGENTS } from "./agents";
import { isolated, SAFE } from "./isolated";
import { type Environment, locate, MissingError } from "./locate";

const DASHBOARD = "Show Dashboard";

/** Ask whose session files to read, and read them. Prompt text is not taken. */
export async function importSessions(
  environment: Environment,
  showDashboard: () => Promise<void>,
): Promise<void> {
  const program = await locate(environment);
  if (program === undefined) {
    throw new MissingError();
  }
  const chosen = await window.showQuickPick(AGENTS, { title: "Import past sessions of" });
  if (chosen === undefined) {
    return;
  }
  const code = await run(`import ${chosen.tool}`, program.command, ["import", chosen.tool]);
  if (code !== 0) {
    throw new Error(`The import failed (exit code ${code}). See its terminal.`);
  }
  const text = `Imported your ${chosen.label} sessions.`;
  if ((await window.showInformationMessage(text, DASHBOARD)) === DASHBOARD) {
    await showDashboard();
  }
}

/** Run a program in a terminal; resolves with its exit code. */
export async function run(name: string, command: string, args: string[]): Promise<number | undefined> {
  const kind = { type: "anchorline", name };
  const task = new Task(
    kind,
    TaskScope.Workspace,
    name,
    "Anchorline",
    new ProcessExecution(command, args, { cwd: isolated().cwd, env: SAFE }),
    [],
  );
  const ended = new Promise<number | undefined>((resolve) => {
    const listener = tasks.onDidEndTaskProcess((event) => {
      if (event.execution.task.definition["name"] === name && event.execution.task.source === "Anchorline") {
        listener.dispose();
        resolve(event.exitCode);
      }
    });
  });
  await tasks.executeTask(task);
  return ended;
}
