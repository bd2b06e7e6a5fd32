/** VS Code in a browser: code-server as its host, Chromium as its window. */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";

const require = createRequire(join(process.env.E2E_VSCODE, "package.json"));
const { chromium } = require("playwright-core");
const entry = require.resolve("code-server/out/node/entry.js");

/** How long a thing is waited for that must come: long, since other programs may have the machine. */
export const WAIT_MS = 120_000;

/** Run code-server to its end, as for installing an extension. */
export function codeServer(...args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [entry, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    child.stdout.on("data", (data) => (said += data));
    child.stderr.on("data", (data) => (said += data));
    child.on("exit", (code) => (code === 0 ? resolve(said) : reject(new Error(`code-server ended with ${code}: ${said}`))));
  });
}

/** Start code-server on a free port; it is ended with the process group of the test. */
export async function serve(...args) {
  const port = await freePort();
  const child = spawn(process.execPath, [entry, "--auth", "none", "--bind-addr", `127.0.0.1:${port}`, ...args], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    if (child.exitCode !== null) {
      throw new Error(`code-server ended with ${child.exitCode}`);
    }
    try {
      await fetch(`${url}/healthz`);
      return { url, authority: `127.0.0.1:${port}`, end: () => child.kill() };
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Start the browser. */
export function browser() {
  return chromium.launch({ executablePath: process.env.E2E_CHROMIUM, args: ["--no-sandbox"] });
}

/** Open a browser that talks to this machine only. */
export async function browse() {
  const opened = await browser();
  const context = await opened.newContext({ viewport: { width: 1280, height: 800 } });
  context.setDefaultTimeout(WAIT_MS);
  await context.route(
    (url) => url.hostname !== "127.0.0.1",
    (route) => route.abort(),
  );
  return { browser: opened, context };
}

/** What axe finds in a page or a frame that keeps somebody out, serious or worse. */
export async function barriers(frame) {
  await frame.evaluate(readFileSync(require.resolve("axe-core/axe.min.js"), "utf-8"));
  const { violations } = await frame.evaluate(() => window.axe.run());
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(" ")}`);
}

/** Keep a picture of a page, with what fades in or out all there or gone. */
export async function picture(page, name, fullPage = false) {
  const folder = process.env.E2E_PICTURES;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage, animations: "disabled" });
}

/** Lay down settings as a person would. */
export function settle(folder, settings) {
  mkdirSync(join(folder, "User"), { recursive: true });
  writeFileSync(join(folder, "User", "settings.json"), JSON.stringify(settings));
}

/** Have the gateway send what it gets to a provider on this machine. */
export async function configure(provider, ...lines) {
  const gateway = ["[gateway]", `port = ${await freePort()}`, `anthropic = "${provider.url}"`, ...lines];
  writeFileSync(process.env.ANCHORLINE_CONFIG, gateway.map((line) => `${line}\n`).join(""));
}

/** A port that nobody listens on. */
function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
