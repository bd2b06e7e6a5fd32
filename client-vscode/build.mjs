/** Bundle the extension (what VS Code loads at its start, and apart from it the session that a prompt needs), and the dashboard. */
import { readdirSync, writeFileSync } from "node:fs";
import { build } from "esbuild";
import { dashboard } from "./dashboard.mjs";

const common = {
  bundle: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  external: ["vscode", "./session.js"],
  legalComments: "linked",
};

if (process.argv.includes("--tests")) {
  const tests = readdirSync("tests").filter((name) => name.endsWith(".test.ts"));
  await build({ ...common, entryPoints: tests.map((name) => `tests/${name}`), outdir: "out" });
} else {
  await build({
    ...common,
    entryPoints: ["src/extension.ts", "src/session.ts"],
    outdir: "dist",
    minify: true,
  });
  for (const [path, text] of await dashboard()) {
    writeFileSync(path, text);
  }
}
