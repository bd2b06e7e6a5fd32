/** How programs of ours are started: nothing of the opened folder is imported or read by them, trusted or not. */
import { homedir } from "node:os";

/** What is added to a program's environment: Python's `-P`, for it and its children. */
export const SAFE = { PYTHONSAFEPATH: "1" };

/** Options of a child process: a current folder that no repository can choose, and a safe environment. */
export function isolated(): { cwd: string; env: NodeJS.ProcessEnv } {
  return { cwd: homedir(), env: { ...process.env, ...SAFE } };
}
