/** What a developer does with the extension, and what is seen: into the file that E2E_RESULTS names. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { upstream } from "./upstream.mjs";
import { barriers, browse, codeServer, freePort, serve, settle, Workbench } from "./workbench.mjs";

const { HOME, E2E_RESULTS, E2E_VSIX, E2E_ASKER, E2E_FOLDER, E2E_STRANGE } = process.env;
const data = join(HOME, "vscode");
const places = ["--config", join(HOME, "code-server.yaml"), "--user-data-dir", data, "--extensions-dir", join(HOME, "extensions")];
const PROMPT = join(E2E_FOLDER, "fix.prompt.md");
const SCENARIOS = [prompt, accepted, modified, rejected, outdated, selected, asked, body, feedback, pinned, restarted, chat, picked, imported, trained, activated];
const seen = {};
let provider;

async function main() {
  writeFileSync(join(E2E_FOLDER, "ask.prompt.md"), "Please could you fix the the bug.\n");
  writeFileSync(join(HOME, "code-server.yaml"), "");
  settle(data, {
    "anchorline.editor.code_lens": true,
    "anchorline.engine.deadline_seconds": 100,
    "anchorline.refine.model_seconds": 0,
    "chat.disableAIFeatures": false,
    "chat.agent.enabled": false,
    "extensions.autoUpdate": false,
    "files.autoSave": "off",
    "git.enabled": false,
    "security.workspace.trust.startupPrompt": "always",
    "security.workspace.trust.untrustedFiles": "open",
    "telemetry.telemetryLevel": "off",
    "workbench.startupEditor": "none",
    "workbench.colorTheme": "Default Light Modern",
    "window.commandCenter": false,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
  });
  provider = await upstream();
  const gateway = `[gateway]\nport = ${await freePort()}\nanthropic = "${provider.url}"\n`;
  writeFileSync(process.env.ANCHORLINE_CONFIG, gateway);
  seen.installed = await codeServer(...places, "--install-extension", E2E_VSIX, "--install-extension", E2E_ASKER);
  const server = await serve(...places, "--disable-telemetry", "--disable-update-check", "--disable-getting-started-override");
  const { browser, context } = await browse();
  let window;
  try {
    window = await Workbench.open(context, server, E2E_FOLDER, join(E2E_FOLDER, "fix.prompt.md"));
    await window.trust("Yes, I trust the authors");
    for (const scenario of SCENARIOS) {
      seen.scenario = scenario.name;
      await scenario(window);
    }
    await window.page.close();
    window = await Workbench.open(context, server, E2E_STRANGE, join(E2E_STRANGE, "crash.prompt.md"));
    await window.trust("No, I don't trust the authors");
    seen.scenario = "untrusted";
    await untrusted(window);
    seen.scenario = "modelled";
    await modelled(window);
  } catch (error) {
    await window?.picture("failure");
    throw error;
  } finally {
    await browser.close();
    server.end();
    provider.end();
  }
}

/** A prompt is opened: what is shown without being asked for. */
async function prompt(window) {
  const { page, status } = window;
  await status.waitFor();
  seen.status = await status.innerText();
  seen.lens = await page.locator(".codelens-decoration a", { hasText: "P(hit)" }).first().innerText();
  await page.locator(".squiggly-warning, .squiggly-error, .squiggly-info").first().waitFor();
  seen.problems = await window.problems();
  await status.hover();
  seen.reasons = await page.locator(".monaco-hover:visible", { hasText: "Route" }).innerText();
  await window.picture("prompt");
  await page.mouse.move(640, 500);
  await window.focus();
  await window.run("Show or Focus Hover");
  seen.hover = await page.locator(".monaco-hover:visible", { hasText: "Refinement" }).innerText();
  await window.picture("hover");
  await window.keys.press("Escape");
}

/** The draft is refined and accepted; one undo takes it back. */
async function accepted(window) {
  await window.focus();
  await window.chord("r");
  seen.review = { reasons: await window.reviewed(), title: await window.page.locator(".tab.active").innerText() };
  for (const action of ["Accept", "Modify", "Reject"]) {
    await window.page.locator(`.editor-actions .action-label[aria-label^="${action} Refinement"]`).first().waitFor();
  }
  await window.picture("review");
  await window.chord("Enter");
  await window.decided();
  seen.accepted = await window.saved(PROMPT);
  await window.keys.press("Control+z");
  seen.undone = await window.saved(PROMPT);
}

/** The proposal is edited before it is accepted. */
async function modified(window) {
  await window.chord("r");
  await window.reviewed();
  await window.chord("m");
  await window.keys.press("Control+End");
  await window.write("# thanks");
  await window.chord("Enter");
  await window.decided();
  seen.modified = await window.saved(PROMPT);
  await window.keys.press("Control+z");
  await window.saved(PROMPT);
}

/** The proposal is rejected: nothing changes. */
async function rejected(window) {
  await window.chord("r");
  await window.reviewed();
  await window.chord("Backspace");
  await window.decided();
  seen.rejected = readFileSync(PROMPT, "utf-8");
}

/** The text is changed while its refinement is reviewed: the review goes, nothing is applied. */
async function outdated(window) {
  await window.chord("r");
  await window.reviewed();
  await window.page.locator('.tab[data-resource-name="fix.prompt.md"]', { hasNotText: "refined" }).click();
  await window.keys.press("Control+Home");
  await window.keys.type("x");
  await window.page.getByText("the text has changed since it was refined").first().waitFor();
  await window.decided();
  await window.keys.press("Control+z");
  await window.page.locator(".tab.active:not(.dirty)").waitFor();
}

/** A selection in a file that is no prompt is refined. */
async function selected(window) {
  await window.go("notes.md");
  await window.keys.press("Control+Home");
  await window.keys.press("ArrowDown");
  await window.keys.press("ArrowDown");
  await window.keys.press("Shift+ArrowDown");
  await window.chord("r");
  await window.reviewed();
  await window.chord("Enter");
  await window.decided();
  seen.selected = await window.saved(join(E2E_FOLDER, "notes.md"));
}

/** What only the developer can know is asked in the review, and the answer becomes part of the prompt. */
async function asked(window) {
  const { page } = window;
  await window.go("ask.prompt.md");
  await window.chord("r");
  await window.reviewed();
  const thread = page.locator(".review-widget", { hasText: "What happens now" });
  await thread.waitFor();
  await window.picture("questions");
  await thread.locator(".review-thread-reply-button").click();
  await window.keys.type("It raises a KeyError.");
  await thread.locator(".form-actions .monaco-text-button", { hasText: "Answer" }).click();
  await thread.waitFor({ state: "detached" });
  await window.chord("Enter");
  await window.decided();
  seen.answered = await window.saved(join(E2E_FOLDER, "ask.prompt.md"));
}

/** The draft in the chat's input is refined, once the developer has turned that on. */
async function chat(window) {
  const { page } = window;
  await window.run("Chat: Open Chat");
  const input = page.locator(".interactive-session .chat-editor-container .monaco-editor").first();
  await input.click();
  await window.keys.type("Please could you fix the the bug.");
  await window.chord("r");
  await page.getByRole("button", { name: "Turn On" }).click();
  await window.reviewed();
  await window.picture("chat");
  await window.chord("Enter");
  seen.chat = await window.until("the refined draft in the chat", async () => {
    const text = (await input.locator(".view-lines").innerText()).replaceAll("\u00a0", " ");
    return text.startsWith("Fix") && text;
  });
  await page.locator(".interactive-session .monaco-editor.focused").waitFor(); // where one goes on
  await window.focus();
}

/** "Anchorline Auto" is picked as the chat's model: the request is planned, goes through the gateway, and is answered. */
async function picked(window) {
  const { page } = window;
  await window.run("Anchorline: Set API Key");
  await page.locator(".quick-input-list .monaco-list-row", { hasText: "Anthropic" }).click();
  await page.locator(".quick-input-widget", { hasText: "secret storage" }).waitFor();
  await window.keys.type("key-of-the-test");
  await window.keys.press("Enter");
  await window.run("Chat: Open Chat");
  const chat = page.locator(".interactive-session");
  await chat.locator(".model-picker-split").click();
  await page.locator(".action-widget .monaco-list-row", { hasText: "Anchorline Auto" }).click();
  const input = chat.locator(".chat-editor-container .monaco-editor").first();
  await input.click();
  const question = "@asker Why does the parser stop?";
  const sent = chat.locator(".interactive-request", { hasText: "Why does the parser stop?" }).first();
  await window.until("the question in the chat", async () => {
    if (await sent.isVisible()) {
      return true;
    }
    const text = (await input.locator(".view-lines").innerText()).replaceAll("\u00a0", " ").trim();
    if (text !== question) {
      // A completion of "@asker" that comes late takes the place of all that was typed: then it is typed anew.
      await window.keys.press("Control+a");
      await window.keys.type(`${question} `);
    }
    await window.keys.press("Enter");
    await sent.waitFor({ timeout: 3_000 }).catch(() => undefined);
    return sent.isVisible();
  });
  await chat.getByText("The parser stops at the empty line.").waitFor();
  const usage = page.locator('[id="anchorline.anchorline.usage"]');
  await usage.waitFor();
  seen.picked = { usage: await usage.innerText(), asked: provider.asked };
  await window.picture("answer");
  await window.focus();
}

/** Sessions of Claude Code are imported, and the dashboard shows what they cost. */
async function imported(window) {
  const { page } = window;
  await window.run("Anchorline: Import Session Files");
  await page.locator(".quick-input-list .monaco-list-row", { hasText: "Claude Code" }).click();
  await page.getByRole("button", { name: "Show Dashboard" }).click();
  await page.locator(".tab.active", { hasText: "Anchorline Dashboard" }).waitFor();
  await page.locator(".editor-actions .action-label[aria-label^='Show Dashboard']").first().waitFor();
  const outer = await (await page.locator("iframe.webview").last().elementHandle()).contentFrame();
  const frame = await (await outer.locator("iframe#active-frame").elementHandle()).contentFrame();
  await frame.locator("html[data-drawn]").waitFor({ state: "attached" });
  seen.dashboard = {
    barriers: await barriers(frame),
    text: await frame.locator("main").textContent(), // with the tables, which are closed
    theme: await frame.evaluate(() => getComputedStyle(document.documentElement).colorScheme),
  };
  await window.keys.press("Control+j");
  await window.picture("dashboard");
  await window.close();
}

/** Training says what it lacks. */
async function trained(window) {
  await window.run("Anchorline: Train the Network");
  const toast = window.page.locator(".notification-toast", { hasText: "no head has enough data yet" });
  seen.untrained = await toast.innerText();
}

/** What the extension costs when VS Code starts, by VS Code's own account of it. */
async function activated(window) {
  await window.run("Developer: Startup Performance");
  const line = window.page.locator(".view-line", { hasText: "anchorline.anchorline" }).first();
  await window.page.locator(".tab.active", { hasText: "Startup Performance" }).waitFor();
  await window.keys.press("Control+f");
  await window.keys.type("anchorline.anchorline");
  await line.waitFor();
  seen.activation = await line.innerText();
  await window.picture("activation");
}

/** A request body is planned, explained, and gets its anchors. */
async function body(window) {
  const { page } = window;
  await window.go("agent.request.json");
  await page.locator(".view-line", { hasText: "P(hit)" }).first().waitFor();
  seen.hint = await page.locator(".view-line", { hasText: "P(hit)" }).first().innerText();
  await window.picture("body");
  await window.chord("b");
  seen.anchored = await window.saved(join(E2E_FOLDER, "agent.request.json"));
  await window.keys.press("Control+z");
  await window.saved(join(E2E_FOLDER, "agent.request.json"));
  await window.chord("p");
  const preview = page.locator("iframe.webview").last().contentFrame().locator("iframe").contentFrame();
  await preview.getByText("Route").first().waitFor();
  seen.explanation = await preview.locator("body").innerText();
  await window.picture("plan");
  await window.close();
}

/** Feedback on the last plan. */
async function feedback(window) {
  await window.go("fix.prompt.md");
  await window.chord("f");
  await window.page.locator(".quick-input-list .monaco-list-row", { hasText: "Good plan" }).waitFor();
  await window.keys.press("Enter");
  await window.page.locator(".quick-input-widget", { hasText: "why?" }).waitFor();
  await window.keys.type("it kept my file names");
  await window.keys.press("Enter");
  await window.page.getByText("Anchorline: recorded").first().waitFor();
}

/** A model is pinned, and the plan follows. */
async function pinned(window) {
  const { page, status } = window;
  const other = page.locator(".quick-input-list .monaco-list-row", { hasText: "claude-haiku-5-5" });
  await window.chord("m");
  await other.waitFor();
  await window.picture("route");
  await other.click();
  await page.locator('[id="anchorline.anchorline.plan"]', { hasText: "claude-haiku-5-5" }).waitFor();
  seen.pinned = await status.innerText();
  await window.chord("m");
  await page.locator(".quick-input-list .monaco-list-row", { hasText: "Automatic" }).click();
  await page.locator('[id="anchorline.anchorline.plan"]', { hasNotText: "claude-haiku-5-5" }).waitFor();
}

/** The server is killed: another one takes over by itself, and the command starts a third. */
async function restarted(window) {
  const first = servers();
  process.kill(first[0], "SIGKILL");
  const second = await window.until("a second server", () => servers().find((pid) => !first.includes(pid)));
  await window.status.waitFor();
  await window.chord("r");
  await window.reviewed();
  await window.chord("Backspace");
  await window.decided();
  await window.run("Anchorline: Restart Server");
  await window.until("a third server", () => servers().some((pid) => pid !== second && !first.includes(pid)));
  await window.until("the end of the second", () => !servers().includes(second));
  await window.status.waitFor();
  seen.servers = { first: first.length, last: servers().length, told: await window.status.innerText() };
}

/** A folder of strangers brings a server and settings of its own: neither counts before it is trusted. */
async function untrusted(window) {
  await window.status.waitFor();
  seen.untrusted = await window.status.innerText();
  await window.picture("untrusted");
  seen.strangers = { before: readdirSync(E2E_STRANGE).includes("started") };
  await window.run("Workspaces: Manage Workspace Trust");
  await window.page.getByRole("button", { name: "Trust", exact: true }).first().click();
  await window.until("the workspace's own server", () => readdirSync(E2E_STRANGE).includes("started"));
  seen.strangers.after = true;
}

/** The trusted folder's settings let the local model help: what it writes is seen as it comes; accepted, undone. */
async function modelled(window) {
  const { page } = window;
  const toast = page.locator(".notification-toast", { hasText: "Anchorline refines the draft" });
  const trust = page.locator(".monaco-modal-editor-block");
  await trust.locator(".codicon-close").first().click();
  await trust.waitFor({ state: "detached" });
  await window.status.waitFor(); // of the folder's own server
  await window.focus();
  seen.written = new Set();
  await window.until("the text of the model", async () => {
    if ((await toast.count()) === 0 && seen.written.size === 0) {
      await window.chord("r");
      await toast.waitFor({ timeout: 5000 }).catch(() => {});
    }
    for (const text of await toast.allInnerTexts()) {
      seen.written.add(text);
    }
    return seen.written.size > 0 && (await toast.count()) === 0;
  });
  seen.written = [...seen.written];
  await window.reviewed();
  await window.chord("Enter");
  await window.decided();
  const file = join(E2E_STRANGE, "crash.prompt.md");
  seen.rewritten = await window.saved(file);
  await window.keys.press("Control+z");
  seen.restored = await window.saved(file);
}

/** The language servers that VS Code has started for this test. */
function servers() {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf-8");
        return command.includes(join(HOME, ".local/bin/anchorline")) && command.includes("\0lsp");
      } catch {
        return false;
      }
    })
    .map(Number);
}

main().then(
  () => writeFileSync(E2E_RESULTS, JSON.stringify(seen)),
  (error) => {
    writeFileSync(E2E_RESULTS, JSON.stringify({ ...seen, error: `${error.stack}` }));
    process.exitCode = 1;
  },
);
