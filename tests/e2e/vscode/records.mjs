/** What is on the machine while VS Code runs: the decisions in the database, and Anchorline's processes. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const { HOME, E2E_DATABASE } = process.env;

/** How many decisions are recorded. */
export function decisions() {
  if (!existsSync(E2E_DATABASE)) {
    return 0;
  }
  const database = new DatabaseSync(E2E_DATABASE, { readOnly: true, timeout: 10_000 });
  try {
    return database.prepare("select count(*) as many from outcomes where decision is not null").get().many;
  } finally {
    database.close();
  }
}

/** The language servers that VS Code has started for this test. */
export function servers() {
  return processes("lsp").filter(({ command }) => command.includes(join(HOME, ".local/bin/anchorline"))).map(({ pid }) => pid);
}

/** The processes that run a command of Anchorline's. */
export function processes(...args) {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), ...read(name) }))
    .filter(({ command, home }) => home && command.includes(`\0${args.join("\0")}`));
}

/** The command line of a process, and whether it is of this test. */
function read(name) {
  try {
    const command = readFileSync(`/proc/${name}/cmdline`, "utf-8");
    return { command, home: readFileSync(`/proc/${name}/environ`, "utf-8").includes(`HOME=${HOME}\0`) };
  } catch {
    return { command: "", home: false }; // it has ended
  }
}
