/** The loopback gateway: the language server's (`gateway.start`), one that runs already, or one that ends with VS Code. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { Disposable } from "vscode";
import { isolated } from "../isolated";
import { locate, MissingError } from "../locate";
import type { Server } from "../server";
import { isOurs } from "./proof";

const START_MS = 60_000;
const COUNTED_TRIES = 100;
const COUNTED_MS = 100;
const STARTING_TRIES = 100;
const STARTING_MS = 200;

/** The addresses of the providers, and of the gateway itself; each holds the token. */
export interface Addresses {
  anthropic: string;
  openai: string;
  own: string;
}

/** A request as the gateway has counted it; `at` is when it began, epoch seconds. */
export interface Passed {
  at: number;
  model: string;
  usage: { input: number; read: number; write: number; output: number } | null;
  usd: number | null;
}

export class Gateway extends Disposable {
  private child: ChildProcess | undefined;
  private starting: Promise<void> | undefined;

  constructor(private readonly server: Server) {
    super(() => this.child?.kill());
  }

  /** Return the addresses of a gateway that answers. */
  async running(): Promise<Addresses> {
    const attended = await this.attended();
    if (attended !== undefined) {
      if (!(await isOurs(attended.own))) {
        throw new Error(`another program answers at ${new URL(attended.own).host}: nothing was sent to it`);
      }
      return attended;
    }
    const program = await locate(this.server.environment());
    if (program === undefined) {
      throw new MissingError();
    }
    const { stdout } = await promisify(execFile)(
      program.command,
      ["gateway", "--show", "--json"],
      isolated(),
    );
    const shown = JSON.parse(stdout);
    const addresses = complete(shown);
    if ((await this.passed(addresses)) === undefined) {
      this.starting ??= this.start(program.command).finally(() => {
        this.starting = undefined;
      });
      await this.starting;
      if (!(await isOurs(addresses.own))) {
        throw new Error(`another program answers at ${new URL(addresses.own).host}: nothing was sent to it`);
      }
    }
    return addresses;
  }

  /** Return the addresses of the gateway that runs with the language server, where the settings have one. */
  private async attended(): Promise<Addresses | undefined> {
    for (let tries = 0; tries < STARTING_TRIES; tries++) {
      const { gateway } = await this.server.request("anchorline/status", {});
      if (gateway.anthropic !== null && gateway.openai !== null) {
        return complete({ anthropic: gateway.anthropic, openai: gateway.openai });
      }
      if (gateway.state !== "starting") {
        return undefined;
      }
      await new Promise((resolve) => setTimeout(resolve, STARTING_MS));
    }
    return undefined;
  }

  /** Return the newest request that began since then, once the gateway has counted it. */
  async newest(addresses: Addresses, since: number): Promise<Passed | undefined> {
    for (let tries = 0; tries < COUNTED_TRIES; tries++) {
      const newest = (await this.passed(addresses))?.at(-1);
      if (newest !== undefined && newest.at >= since) {
        return newest;
      }
      await new Promise((resolve) => setTimeout(resolve, COUNTED_MS));
    }
    return undefined;
  }

  /** Return what has passed lately, oldest first; undefined where no gateway answers. */
  private async passed({ own }: Addresses): Promise<Passed[] | undefined> {
    try {
      if (!(await isOurs(own))) {
        return undefined;
      }
      const answer = await fetch(`${own}/status`);
      return answer.ok ? ((await answer.json()) as { last: Passed[] }).last : undefined;
    } catch {
      return undefined;
    }
  }

  /** Start a gateway; resolves when it answers requests. */
  private start(command: string): Promise<void> {
    this.server.log.info(`Starting ${command} gateway`);
    const child = spawn(command, ["gateway"], { ...isolated(), stdio: ["ignore", "pipe", "pipe"] });
    this.child = child;
    return new Promise((resolve, reject) => {
      let stderr = "";
      const late = setTimeout(() => {
        child.kill();
        reject(new Error("the gateway does not start"));
      }, START_MS);
      child.stdout.once("data", () => resolve()); // its addresses, which are not logged: they hold the token
      child.stderr.on("data", (data) => {
        stderr += data;
        this.server.log.warn(`${data}`.trim());
      });
      child.on("error", reject);
      child.on("exit", () => reject(new Error(`the gateway has ended: ${stderr.trim()}`)));
      child.on("exit", () => clearTimeout(late));
      child.stdout.once("data", () => clearTimeout(late));
      child.stdout.resume();
    });
  }
}

/** The gateway's own address is that of its providers without their names. */
function complete({ anthropic, openai }: Omit<Addresses, "own">): Addresses {
  return { anthropic, openai, own: anthropic.replace(/\/anthropic$/, "") };
}
