// Zed as its extension sees it: a worktree with the user's shell, the settings, and the programs that the manifest lets it run.
// Called as `node host.mjs FOLDER`, FOLDER as `.ci/zed` makes it. Reads a scene (JSON) from standard input:
//   {root, shell: {NAME: value}, settings: {server: LspSettings}, capabilities: [{kind, command, args}]}
// and writes what the extension answers to each of Zed's calls, {ok} or {error}, and which programs it has run.
import { spawnSync } from "node:child_process";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const folder = resolve(process.argv[2]);
const scene = JSON.parse(readFileSync(0, "utf8"));
const ran = [];

// The packages are in FOLDER, not beside this file.
const load = (path) => import(pathToFileURL(join(folder, path)).href);
const { instantiate } = await load("node/extension.js");
const { WASIShim } = await load("node_modules/@bytecodealliance/preview2-shim/dist/common/instantiation.js");

function executable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

class Worktree {
  id() {
    return 1n;
  }
  which(name) {
    const folders = (scene.shell.PATH ?? "").split(delimiter).map((path) => resolve(scene.root, path));
    return folders.map((path) => join(path, name)).find(executable);
  }
  shellEnv() {
    return Object.entries(scene.shell);
  }
}

// Zed's own rule: `*` stands for any argument, `**` for all that follow.
function allows({ kind, command, args }, called) {
  if (kind !== "process:exec" || !["*", called.command].includes(command)) return false;
  const rest = args.indexOf("**");
  const wanted = rest < 0 ? args : args.slice(0, rest);
  if (rest < 0 ? called.args.length !== wanted.length : called.args.length < wanted.length) return false;
  return wanted.every((arg, index) => ["*", called.args[index]].includes(arg));
}

const host = {
  worktree: { default: Worktree },
  project: { default: class Project {} },
  "key-value-store": { default: class KeyValueStore {} },
  "get-settings": {
    default(location, category, key) {
      if (location?.worktreeId !== 1n || category !== "lsp") throw `no settings of ${category} here`;
      const none = { binary: null, initialization_options: null, settings: null };
      return JSON.stringify({ ...none, ...scene.settings[key] });
    },
  },
  "zed:extension/process": {
    runCommand(called) {
      if (!scene.capabilities.some((capability) => allows(capability, called))) {
        throw `capability for process:exec ${called.command} was not listed in the extension manifest`;
      }
      const env = { ...process.env, ...Object.fromEntries(called.env) };
      const { error, status, stdout, stderr } = spawnSync(called.command, called.args, { env });
      if (error) throw error.message;
      ran.push([called.command, ...called.args]);
      return { status: status ?? undefined, stdout, stderr };
    },
  },
};

// What Zed gives an extension of the system: a folder of its own, and its path.
const wasi = new WASIShim({ sandbox: { preopens: { "/extension": folder }, env: { PWD: "/extension" } } });
const core = async (path) => WebAssembly.compile(readFileSync(join(folder, "node", path)));
const extension = await instantiate(core, { ...wasi.getImportObject(), ...host });
extension.initExtension();

function call(name) {
  try {
    return { ok: extension[name]("anchorline", new Worktree()) ?? null };
  } catch (error) {
    if (typeof error.payload !== "string") throw error; // a trap, or a fault of this host
    return { error: error.payload };
  }
}
const answers = {
  command: call("languageServerCommand"),
  initialization_options: call("languageServerInitializationOptions"),
  workspace_configuration: call("languageServerWorkspaceConfiguration"),
};
process.stdout.write(JSON.stringify({ ...answers, ran }));
