/** VS Code in a browser: code-server as its host, Chromium as its window, and what a person does in it. */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";

const require = createRequire(join(process.env.E2E_VSCODE, "package.json"));
const { chromium } = require("playwright-core");
const entry = require.resolve("code-server/out/node/entry.js");

const WAIT_MS = 60_000;

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

/** Keep a picture of a page, if anybody wants it. */
export async function picture(page, name, fullPage = false) {
  const folder = process.env.E2E_PICTURES;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage });
}

/** A window of VS Code. */
export class Workbench {
  static async open(context, server, folder, file) {
    const page = await context.newPage();
    const payload = JSON.stringify([["openFile", `vscode-remote://${server.authority}${file}`]]);
    await page.goto(`${server.url}/?folder=${folder}&payload=${encodeURIComponent(payload)}`);
    return new Workbench(page);
  }

  constructor(page) {
    this.page = page;
    this.keys = page.keyboard;
    this.editor = page.locator(".editor-instance .monaco-editor").first();
    this.status = page.locator('[id="anchorline.anchorline.plan"]');
  }

  /** Answer whether the authors of the folder are trusted. */
  async trust(answer) {
    await this.page.getByRole("button", { name: answer }).click();
  }

  /** Run a command by its name, as in the palette. A key pressed while a webview goes is lost, so it is pressed anew. */
  async run(title) {
    const input = this.page.locator(".quick-input-widget input");
    await this.until("the palette", async () => {
      await this.keys.press("F1");
      return input.waitFor({ timeout: 2000 }).then(() => true, () => false);
    });
    await input.fill(`>${title}`);
    await this.page.locator(".quick-input-list .monaco-list-row", { hasText: title }).first().waitFor();
    await this.keys.press("Enter");
  }

  /** Close the tab in front. */
  async close() {
    const front = this.page.locator(".editor-group-container.active .tab.active");
    const name = await front.getAttribute("data-resource-name");
    await this.keys.press("Control+w");
    await this.page.locator(`.tab[data-resource-name="${name}"]`).waitFor({ state: "detached" });
  }

  /** Open a file of the folder from the list of its files. */
  async go(name) {
    await this.page.locator(".explorer-folders-view .label-name", { hasText: name }).first().dblclick();
    await this.page.locator(`.tab.active[data-resource-name="${name}"]`, { hasNotText: "refined" }).waitFor();
    await this.focus();
  }

  /** Put the cursor into the text. */
  async focus() {
    await this.keys.press("Control+1");
    await this.page.locator(".editor-instance .monaco-editor.focused").first().waitFor();
  }

  /** Press the two parts of one of Anchorline's keys. */
  async chord(key) {
    await this.keys.press("Control+Alt+a");
    await this.keys.press(key);
  }

  /** The review of a refinement is open; returns the reasons that it shows. */
  async reviewed() {
    await this.page.locator(".tab.active", { hasText: "refined" }).waitFor();
    return this.until("the reasons of the review", async () => {
      const reasons = await this.page.evaluate(() =>
        [...document.querySelectorAll(".modified-in-monaco-diff-editor [class*='ced-']")]
          .map((element) => getComputedStyle(element, "::after").content)
          .filter((content) => content.includes("←")),
      );
      return reasons.length > 0 && reasons;
    });
  }

  /** The review is closed, and its file is in front again. */
  async decided() {
    await this.page.locator(".tab", { hasText: "refined" }).waitFor({ state: "detached" });
    await this.focus();
  }

  /** Type into a proposal that is just being unlocked: the first character until it is taken, then the rest. */
  async write(text) {
    const dirty = this.page.locator(".tab.active.dirty");
    await this.until("the proposal to be unlocked", async () => {
      await this.keys.type(text[0]);
      return dirty.waitFor({ timeout: 2000 }).then(() => true, () => false);
    });
    await this.keys.type(text.slice(1));
  }

  /** What the Problems view lists. */
  async problems() {
    await this.keys.press("Control+Shift+m");
    const rows = this.page.locator(".markers-panel .monaco-list-row");
    await rows.first().waitFor();
    const texts = await rows.allInnerTexts();
    await this.keys.press("Control+j");
    return texts;
  }

  /** Wait for a change of the text in front, save it, and return the file as it is then. */
  async saved(path) {
    await this.page.locator(".tab.active.dirty").waitFor();
    await this.keys.press("Control+s");
    await this.page.locator(".tab.active:not(.dirty)").waitFor();
    return readFileSync(path, "utf-8");
  }

  /** Keep a picture. */
  picture(name) {
    return picture(this.page, name);
  }

  /** Wait until a thing is true that no element shows. */
  async until(what, check) {
    const end = Date.now() + WAIT_MS;
    for (;;) {
      const value = await check();
      if (value) {
        return value;
      }
      if (Date.now() > end) {
        throw new Error(`waited in vain: ${what}`);
      }
      await this.page.waitForTimeout(50);
    }
  }
}

/** Lay down settings as a person would. */
export function settle(folder, settings) {
  mkdirSync(join(folder, "User"), { recursive: true });
  writeFileSync(join(folder, "User", "settings.json"), JSON.stringify(settings));
}

/** A port that nobody listens on. */
export function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
