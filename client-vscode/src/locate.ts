/**
 * Where the server is: the settings first, then the project's Python environment, the PATH, and the folders into
 * which uv and pipx install. A workspace that is not trusted has no say: neither its settings nor its files count.
 */
import { delimiter, dirname, isAbsolute, join, relative } from "node:path";

/** What is known about the machine and the workspace. */
export interface Surrounds {
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

/** The program to start, and where it was found. */
export interface Found {
  command: string;
  from: string;
}

/** Find the server. Returns undefined where it is not installed. */
export async function locate(around: Surrounds): Promise<Found | undefined> {
  const { isFile } = around;
  const program = around.platform === "win32" ? "anchorline.exe" : "anchorline";
  const set = around.path
    .map((path) => expand(path, around))
    .find((path) => isAbsolute(path) && isFile(path));
  if (set !== undefined) {
    return { command: set, from: "the setting anchorline.path" };
  }
  const beside = (interpreter: string): string => join(dirname(interpreter), program);
  const chosen = around.interpreter.map((path) => expand(path, around)).find((path) => isFile(path));
  if (chosen !== undefined && isFile(beside(chosen))) {
    return { command: beside(chosen), from: "the setting anchorline.interpreter" };
  }
  if (around.trusted && around.strategy === "fromEnvironment") {
    const bin = around.platform === "win32" ? "Scripts" : "bin";
    const selected = await around.selected();
    const environments = [
      ...(selected === undefined ? [] : [dirname(selected)]),
      ...["VIRTUAL_ENV", "CONDA_PREFIX"]
        .flatMap((name) => around.env[name] ?? [])
        .map((root) => join(root, bin)),
      ...around.folders.map((folder) => join(folder, ".venv", bin)),
    ];
    const found = environments.map((folder) => join(folder, program)).find((path) => isFile(path));
    if (found !== undefined) {
      return { command: found, from: "the project's Python environment" };
    }
  }
  const found = searched(around)
    .map((folder) => join(folder, program))
    .find((path) => isFile(path));
  return found === undefined ? undefined : { command: found, from: "the PATH" };
}

/** Find another program on the PATH, such as `uv`. */
export function which(name: string, around: Surrounds): string | undefined {
  const program = around.platform === "win32" ? `${name}.exe` : name;
  return searched(around)
    .map((folder) => join(folder, program))
    .find((path) => around.isFile(path));
}

/** The folders of the PATH and those of uv and pipx, which an editor started from a menu often lacks. */
function searched(around: Surrounds): string[] {
  const path = around.env["PATH"] ?? around.env["Path"] ?? "";
  const folders = [...path.split(delimiter), join(around.home, ".local", "bin")];
  return folders.filter(
    (folder) => isAbsolute(folder) && (around.trusted || !inside(folder, around.folders)),
  );
}

function inside(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => {
    const way = relative(folder, path);
    return way === "" || !(way.startsWith("..") || isAbsolute(way));
  });
}

function expand(path: string, around: Surrounds): string {
  return path
    .replace(/^~(?=$|[\\/])/, () => around.home)
    .replaceAll("${workspaceFolder}", () => around.folders[0] ?? "${workspaceFolder}");
}
