/** Build the dashboard's page into the server, which has it for everybody: `npm run build`. */
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));

/** Return the built files by their path; the same source gives the same bytes. */
export async function dashboard() {
  const { outputFiles } = await build({
    absWorkingDir: here,
    entryPoints: [
      { in: "dashboard/main.ts", out: "dashboard" },
      { in: "dashboard/style.css", out: "dashboard" },
    ],
    outdir: fileURLToPath(new URL("../server/anchorline/report/page", import.meta.url)),
    bundle: true,
    minify: true,
    target: ["es2022", "chrome123", "firefox120", "safari17.5"],
    format: "iife",
    charset: "utf8",
    legalComments: "eof",
    write: false,
  });
  return new Map(outputFiles.map(({ path, text }) => [path, text]));
}
