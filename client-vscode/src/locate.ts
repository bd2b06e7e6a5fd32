/**
 * Where the server is: the settings first, then the project's Python environment, the PATH, and the folders into
 * which uv and pipx install. A workspace that is not trusted has no say: neither its settings nor its files count.
 */
import { delimiter, dirname, isAbsolute, join, relative } from "node:path";

/** What is known about the machine and the workspace. */
export interface Environment {
  /** The setting `path`. */
  path: readonly string[];
  /** The setting `interpreter`. */
  interpreter: readonly string[];
  strategy: "fromEnvironment" | "fromPath";
  trusted: boolean;
  /** The workspace's folders. */
  folders: readonly string[];
  home: string;
  env: Readonly<Record<string, string | undefined>>;
  platform: NodeJS.Platform;
  isFile(path: string): boolean;
  /** The interpreter that the Python extension has selected. */
  selected(): Promise<string | undefined>;
}

/** The server is not installed: nothing can be asked. */
export class MissingError extends Error {
  override readonly name = "MissingError";

  constructor() {
    super("Can't find the `anchorline` command.");
  }
}

/** The program to start, and where it was found. */
export interface Program {
  command: string;
  from: string;
}

/** Returns the server; undefined where it is not installed. */
export async function locate(environment: Environment): Promise<Program | undefined> {
  const { isFile } = environment;
  const program = environment.platform === "win32" ? "anchorline.exe" : "anchorline";
  const set = configured(environment).find((path) => isAbsolute(path) && isFile(path));
  if (set !== undefined) {
    return { command: set, from: "the setting anchorline.path" };
  }
  const beside = (interpreter: string): string => join(dirname(interpreter), program);
  const chosen = environment.interpreter
    .map((path) => expand(path, environment))
    .find((path) => isFile(path));
  if (chosen !== undefined && isFile(beside(chosen))) {
    return { command: beside(chosen), from: "the setting anchorline.interpreter" };
  }
  if (environment.trusted && environment.strategy === "fromEnvironment") {
    const bin = environment.platform === "win32" ? "Scripts" : "bin";
    const selected = await environment.selected();
    const environments = [
      ...(selected === undefined ? [] : [dirname(selected)]),
      ...["VIRTUAL_ENV", "CONDA_PREFIX"]
        .flatMap((name) => environment.env[name] ?? [])
        .map((root) => join(root, bin)),
      ...environment.folders.map((folder) => join(folder, ".venv", bin)),
    ];
    const command = environments.map((folder) => join(folder, program)).find((path) => isFile(path));
    if (command !== undefined) {
      return { command, from: "the project's Python environment" };
    }
  }
  const command = searched(environment)
    .map((folder) => join(folder, program))
    .find((path) => isFile(path));
  return command === undefined ? undefined : { command, from: "the PATH" };
}

/** Returns the paths that the setting `path` names, expanded. */
export function configured(environment: Environment): string[] {
  return environment.path.map((path) => expand(path, environment));
}

/** Find another program on the PATH, such as `uv`. */
export function which(name: string, environment: Environment): string | undefined {
  const program = environment.platform === "win32" ? `${name}.exe` : name;
  return searched(environment)
    .map((folder) => join(folder, program))
    .find((path) => environment.isFile(path));
}

/** The folders of the PATH and those of uv and pipx, which an editor started from a menu often lacks. */
function searched(environment: Environment): string[] {
  const path = environment.env["PATH"] ?? environment.env["Path"] ?? "";
  const folders = [...path.split(delimiter), join(environment.home, ".local", "bin")];
  return folders.filter(
    (folder) => isAbsolute(folder) && (environment.trusted || !inside(folder, environment.folders)),
  );
}

function inside(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => {
    const inner = relative(folder, path);
    return inner === "" || !(inner.startsWith("..") || isAbsolute(inner));
  });
}

function expand(path: string, environment: Environment): string {
  return path
    .replace(/^~(?=$|[\\/])/, () => environment.home)
    .replaceAll("${workspaceFolder}", () => environment.folders[0] ?? "${workspaceFolder}");
}
