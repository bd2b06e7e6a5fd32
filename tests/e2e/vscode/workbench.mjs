/** A window of VS Code, and what a person does in it. What is done is done until it is seen: a key pressed too early is lost. */
import { readFileSync } from "node:fs";
import { picture, WAIT_MS } from "./host.mjs";
import { decisions } from "./records.mjs";

const AGAIN_MS = 3000;
let decided = 0;

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
    this.status = page.locator('[id="anchorline.anchorline.plan"]');
    this.quick = page.locator(".quick-input-widget");
    this.input = this.quick.locator(".quick-input-box input");
    this.group = page.locator(".editor-group-container.active");
    this.front = this.group.locator(".tab.active");
  }

  /** Answer whether the authors of the folder are trusted. */
  async trust(answer) {
    await this.page.getByRole("button", { name: answer }).click();
  }

  /** Run a command by its whole name, as in the palette. */
  async run(title) {
    const label = this.page.locator(".monaco-highlighted-label", { hasText: new RegExp(`^${RegExp.escape(title)}$`) });
    const row = this.quick.locator(".monaco-list-row", { has: label });
    await this.until("the palette", async () => {
      await this.keys.press("F1");
      await this.input.waitFor({ timeout: AGAIN_MS }).catch(() => undefined);
      return this.inPalette();
    });
    await this.input.fill(`>${title}`);
    await row.click();
    await this.until("the end of the palette", async () => !(await this.inPalette()));
  }

  /** Say whether the palette is open: other lists and inputs have the same place. */
  inPalette() {
    return this.input.evaluateAll((inputs) => inputs.some((input) => input.checkVisibility() && input.value.startsWith(">")));
  }

  /** Choose from a list that opens. */
  async choose(label) {
    const row = this.quick.locator(".monaco-list-row", { hasText: label });
    await row.click();
    await row.waitFor({ state: "hidden" });
  }

  /** Fill the input that opens with a prompt. */
  async fill(prompt, text) {
    const asked = this.quick.filter({ hasText: prompt });
    await asked.waitFor();
    await this.input.fill(text);
    await this.keys.press("Enter");
    await asked.waitFor({ state: "hidden" });
  }

  /** Read a notification, and press its button or close it: one that stays could be taken for a later one. */
  async notified(text, button) {
    const notification = this.page.locator(".notification-toast", { hasText: text });
    const told = await notification.innerText();
    if (button) {
      await notification.getByRole("button", { name: button }).click();
      await notification.waitFor({ state: "detached" });
      return told;
    }
    await this.until("the end of the notification", async () => {
      const close = () => notification.locator(".codicon-notifications-clear").click({ timeout: AGAIN_MS });
      await notification.hover({ timeout: AGAIN_MS }).then(close).catch(() => undefined); // it may go by itself
      return !(await notification.isVisible());
    });
    return told;
  }

  /** Open a file of the folder from the list of its files. */
  async go(name) {
    await this.page.locator(".explorer-folders-view .monaco-list-row").getByText(name, { exact: true }).dblclick();
    await this.page.locator(`.tab.active[data-resource-name="${name}"]`, { hasNotText: "refined" }).waitFor();
    await this.focus();
  }

  /** Put the cursor into the text. */
  async focus() {
    await this.act("the cursor in the text", () => this.keys.press("Control+1"), this.group.locator(".monaco-editor.focused"));
  }

  /** Press the two parts of one of Anchorline's keys. */
  async chord(key) {
    const waiting = this.page.locator(".statusbar", { hasText: "Waiting for second key of chord" });
    await this.act("the second half of a chord", () => this.keys.press("Control+Alt+a"), waiting);
    await this.keys.press(key);
    await waiting.waitFor({ state: "hidden" });
  }

  /** Refine by the keys; returns the reasons that the review shows. */
  async refine() {
    await this.chord("r");
    return this.reviewed();
  }

  /** The review of a refinement is open; returns the reasons that it shows. */
  async reviewed() {
    await this.front.filter({ hasText: "refined" }).waitFor();
    return this.until("the reasons of the review", async () => {
      const reasons = await this.page.evaluate(() =>
        [...document.querySelectorAll(".editor-group-container.active .modified-in-monaco-diff-editor [class*='ced-']")]
          .filter((element) => element.checkVisibility())
          .map((element) => getComputedStyle(element, "::after").content)
          .filter((content) => content.includes("←")),
      );
      return reasons.length > 0 && reasons;
    });
  }

  /** The review is closed, the decision recorded, and the file in front again. */
  async decided() {
    await this.closed();
    await this.recorded();
    await this.focus();
  }

  /** The review is closed. */
  async closed() {
    await this.page.locator(".tab", { hasText: "refined" }).waitFor({ state: "detached" });
  }

  /** One more decision is in the database. */
  async recorded() {
    decided = await this.until("the decision in the database", () => decisions() > decided && decisions());
  }

  /** Write a text at the end of a proposal that is just being unlocked. */
  async append(text) {
    await this.front.locator(".monaco-decoration-badge").waitFor({ state: "detached" }); // the lock
    await this.keys.press("Control+End");
    await this.act("an edited proposal", () => this.keys.type(text[0]), this.front.and(this.page.locator(".dirty")));
    await this.keys.type(text.slice(1));
  }

  /** What the Problems view lists, once a problem is among it. */
  async problems(problem) {
    const panel = this.page.locator(".markers-panel");
    const rows = panel.locator(".monaco-list-row");
    await this.run("Problems: Focus on Problems View");
    await rows.filter({ hasText: problem }).first().waitFor();
    const texts = await rows.allInnerTexts();
    await this.hidePanel();
    return texts;
  }

  /** Hide what is below the text. */
  async hidePanel() {
    const panel = this.page.locator(".part.panel");
    if (await panel.isVisible()) {
      await this.run("View: Hide Panel");
      await panel.waitFor({ state: "hidden" });
    }
  }

  /** Close the tab in front. */
  async close() {
    const name = await this.front.getAttribute("data-resource-name");
    await this.run("View: Close Editor");
    await this.page.locator(`.tab[data-resource-name="${name}"]`).waitFor({ state: "detached" });
  }

  /** Wait for a change of the text in front, save it, and return the file as it is then. */
  async saved(path) {
    await this.front.and(this.page.locator(".dirty")).waitFor();
    await this.act("a saved file", () => this.keys.press("Control+s"), this.front.and(this.page.locator(":not(.dirty)")));
    return readFileSync(path, "utf-8");
  }

  /** Take the last change of the text back and save it; returns the file as it is then. */
  async undone(path) {
    await this.focus();
    await this.keys.press("Control+z");
    return this.saved(path);
  }

  /** Read an element once its words are there to be seen: one that is just being drawn anew reads as empty. */
  words(element, expected) {
    return this.until(`the words "${expected}"`, async () => {
      const text = await element.innerText();
      return text.includes(expected) && text;
    });
  }

  /** Keep a picture. */
  picture(name) {
    return picture(this.page, name);
  }

  /** Do what may be done twice until an element is seen that comes of it at once. */
  act(what, action, seen) {
    return this.until(what, async () => {
      await action();
      return seen.first().waitFor({ timeout: AGAIN_MS }).then(() => true, () => false);
    });
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
