/** A refinement is reviewed. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const { E2E_FOLDER } = process.env;
const PROMPT = join(E2E_FOLDER, "fix.prompt.md");

/** The draft is refined and accepted; one undo takes it back. */
export async function accepted(window, seen) {
  await window.focus();
  const reasons = await window.refine();
  seen.review = { reasons, title: await window.front.innerText() };
  for (const action of ["Accept", "Modify", "Reject"]) {
    await window.page.locator(`.editor-actions .action-label[aria-label^="${action} Refinement"]`).first().waitFor();
  }
  await window.picture("review");
  await window.chord("Enter");
  await window.decided();
  seen.accepted = await window.saved(PROMPT);
  seen.undone = await window.undone(PROMPT);
}

/** The proposal is edited before it is accepted. */
export async function modified(window, seen) {
  await window.refine();
  await window.chord("m");
  await window.append("# thanks");
  await window.chord("Enter");
  await window.decided();
  seen.modified = await window.saved(PROMPT);
  await window.undone(PROMPT);
}

/** The proposal is rejected: nothing changes. */
export async function rejected(window, seen) {
  await window.refine();
  await window.chord("Backspace");
  await window.decided();
  seen.rejected = readFileSync(PROMPT, "utf-8");
}

/** The text is changed while its refinement is reviewed: the review goes, nothing is applied. */
export async function outdated(window) {
  await window.refine();
  await window.page.locator('.tab[data-resource-name="fix.prompt.md"]', { hasNotText: "refined" }).click();
  await window.front.filter({ hasNotText: "refined" }).waitFor();
  await window.focus();
  await window.keys.press("Control+Home");
  await window.keys.type("x");
  await window.notified("the text has changed since it was refined");
  await window.closed();
  await window.focus();
  await window.keys.press("Control+z");
  await window.front.and(window.page.locator(":not(.dirty)")).waitFor();
}

/** A selection in a file that is no prompt is refined. */
export async function selected(window, seen) {
  await window.go("notes.md");
  await window.keys.press("Control+Home");
  await window.keys.press("ArrowDown");
  await window.keys.press("ArrowDown");
  await window.keys.press("Shift+ArrowDown");
  await window.refine();
  await window.chord("Enter");
  await window.decided();
  seen.selected = await window.saved(join(E2E_FOLDER, "notes.md"));
}

/** What only the developer can know is asked in the review, and the answer becomes part of the prompt. */
export async function asked(window, seen) {
  await window.go("ask.prompt.md");
  await window.refine();
  const thread = window.page.locator(".review-widget", { hasText: "What happens now" });
  await thread.waitFor();
  await window.picture("questions");
  const input = thread.locator(".monaco-editor.focused");
  await window.act("the place for an answer", () => thread.locator(".review-thread-reply-button").click(), input);
  await window.keys.type("It raises a KeyError.");
  await thread.locator(".form-actions .monaco-text-button", { hasText: "Answer" }).click();
  await thread.waitFor({ state: "detached" });
  await window.chord("Enter");
  await window.decided();
  seen.answered = await window.saved(join(E2E_FOLDER, "ask.prompt.md"));
}
