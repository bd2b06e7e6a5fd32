/** A prompt or the body of a request is open: what is shown of it, and what can be done about its plan. */
import { join } from "node:path";
import { servers } from "../records.mjs";

const { E2E_FOLDER } = process.env;

/** A prompt is opened: what is shown without being asked for. */
export async function prompt(window, seen) {
  const { page, status } = window;
  await status.waitFor();
  seen.status = await window.words(status, "P(hit)");
  seen.lens = await window.words(page.locator(".codelens-decoration a", { hasText: "P(hit)" }).first(), "P(hit)");
  await page.locator(".squiggly-warning, .squiggly-error, .squiggly-info").first().waitFor();
  seen.problems = await window.problems("AL402");
  const reasons = page.locator(".monaco-hover:visible", { hasText: "Model" });
  await window.act("the reasons of the plan", () => status.hover(), reasons);
  seen.reasons = await window.words(reasons, "Model");
  await window.picture("prompt");
  await page.mouse.move(640, 500);
  await reasons.waitFor({ state: "hidden" });
  await window.focus();
  await window.act("the hover", () => window.run("Show or Focus Hover"), reasons);
  seen.hover = await window.words(reasons, "Model");
  await window.picture("hover");
  await window.keys.press("Escape");
}

/** A request body is planned, explained, and gets its anchors. */
export async function body(window, seen) {
  const { page } = window;
  const file = join(E2E_FOLDER, "agent.request.json");
  const hint = page.locator(".view-line", { hasText: "P(hit)" }).first();
  await window.go("agent.request.json");
  seen.hint = await window.words(hint, "P(hit)");
  await window.picture("body");
  await window.chord("b");
  seen.anchored = await window.saved(file);
  await window.undone(file);
  await window.chord("p");
  const preview = page.locator("iframe.webview").last().contentFrame().locator("iframe").contentFrame();
  await preview.getByText("Model").first().waitFor();
  seen.explanation = await preview.locator("body").innerText();
  await window.picture("plan");
  await window.front.filter({ hasText: "Plan.md" }).waitFor();
  await window.close();
}

/** Feedback on the last plan. */
export async function feedback(window) {
  await window.go("fix.prompt.md");
  await window.chord("f");
  await window.choose("Good plan");
  await window.fill("why?", "it kept my file names");
  await window.page.locator(".statusbar", { hasText: "Anchorline: recorded" }).waitFor();
}

/** A model is pinned, and the plan follows. */
export async function pinned(window, seen) {
  const other = "claude-haiku-5-5";
  await window.chord("m");
  await window.quick.locator(".monaco-list-row", { hasText: other }).waitFor();
  await window.picture("route");
  await window.choose(other);
  await window.status.filter({ hasText: other }).waitFor();
  seen.pinned = await window.words(window.status, other);
  await window.chord("m");
  await window.choose("Automatic");
  await window.status.filter({ hasNotText: other }).waitFor();
}

/** The server is killed: another one takes over by itself, and the command starts a third. */
export async function restarted(window, seen) {
  const first = servers();
  process.kill(first[0], "SIGKILL");
  const second = await window.until("a second server", () => servers().find((pid) => !first.includes(pid)));
  await window.status.waitFor();
  await window.refine();
  await window.chord("Backspace");
  await window.decided();
  await window.run("Anchorline: Restart Server");
  await window.until("a third server", () => servers().some((pid) => pid !== second && !first.includes(pid)));
  await window.until("the end of the second", () => !servers().includes(second));
  await window.status.waitFor();
  seen.servers = { first: first.length, last: servers().length, told: await window.words(window.status, "P(hit)") };
}

/** What the extension costs when VS Code starts, by VS Code's own account of it. */
export async function activated(window, seen) {
  const line = window.page.locator(".view-line", { hasText: "anchorline.anchorline" }).first();
  const find = window.group.locator(".find-widget.visible .find-part textarea");
  await window.run("Developer: Startup Performance");
  await window.front.filter({ hasText: "Startup Performance" }).waitFor();
  await window.focus();
  await window.act("the search", () => window.keys.press("Control+f"), find);
  await find.fill("anchorline.anchorline");
  await line.waitFor();
  seen.activation = await line.innerText();
  await window.picture("activation");
}
