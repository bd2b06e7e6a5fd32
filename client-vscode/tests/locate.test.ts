import assert from "node:assert/strict";
import { test } from "node:test";
import { type Environment, locate, which } from "../src/locate";

const FOLDER = "/project";

function environment(files: readonly string[], told: Partial<Environment> = {}): Environment {
  return {
    path: [],
    interpreter: [],
    strategy: "fromEnvironment",
    trusted: true,
    folders: [FOLDER],
    home: "/home/me",
    env: { PATH: "/usr/bin:/project/bin:relative" },
    platform: "linux",
    isFile: (path) => files.includes(path),
    selected: async () => undefined,
    ...told,
  };
}

const ALL = [
  "/set/anchorline",
  "/py/bin/python",
  "/py/bin/anchorline",
  "/selected/bin/anchorline",
  "/venv/bin/anchorline",
  "/project/.venv/bin/anchorline",
  "/project/bin/anchorline",
  "/usr/bin/anchorline",
  "/home/me/.local/bin/anchorline",
];
const EVERYWHERE: Partial<Environment> = {
  path: ["/gone/anchorline", "/set/anchorline"],
  interpreter: ["/py/bin/python"],
  env: { PATH: "/project/bin:/usr/bin", VIRTUAL_ENV: "/venv" },
  selected: async () => "/selected/bin/python",
};

test("each place is looked at, in its order", async () => {
  const order = [];
  let files = ALL;
  for (
    let found = await locate(environment(files, EVERYWHERE));
    found;
    found = await locate(environment(files, EVERYWHERE))
  ) {
    order.push(found.command);
    files = files.filter((file) => file !== found?.command);
  }
  assert.deepEqual(
    order,
    ALL.filter((file) => file !== "/py/bin/python"),
  );
});

test("without the environment the settings and the PATH remain", async () => {
  const told = { ...EVERYWHERE, path: [], interpreter: [], strategy: "fromPath" as const };
  assert.equal((await locate(environment(ALL, told)))?.command, "/project/bin/anchorline");
});

test("nothing of a workspace that is not trusted is started", async () => {
  const told = { ...EVERYWHERE, path: [], interpreter: [], trusted: false };
  assert.equal((await locate(environment(ALL, told)))?.command, "/usr/bin/anchorline");
  const inside = ALL.filter((file) => file.startsWith(FOLDER) || file.startsWith("/selected"));
  assert.equal(await locate(environment(inside, told)), undefined);
});

test("relative places of the PATH and of the settings don't count", async () => {
  assert.equal(
    await locate(environment(["relative/anchorline", "anchorline"], { path: ["anchorline"] })),
    undefined,
  );
});

test("the home and the workspace are put into a path", async () => {
  const files = ["/home/me/bin/anchorline", "/project/tools/anchorline"];
  assert.equal((await locate(environment(files, { path: ["~/bin/anchorline"] })))?.command, files[0]);
  assert.equal(
    (await locate(environment(files, { path: ["${workspaceFolder}/tools/anchorline"] })))?.command,
    files[1],
  );
});

test("programs have another name on Windows", () => {
  const isFile = (path: string): boolean => path.endsWith("uv.exe");
  assert.match(which("uv", environment([], { platform: "win32", isFile })) ?? "", /uv\.exe$/);
});
