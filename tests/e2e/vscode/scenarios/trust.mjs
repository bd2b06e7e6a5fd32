/** A folder of strangers. */
import { readdirSync } from "node:fs";
import { join } from "node:path";

const { E2E_STRANGE } = process.env;

/** It brings a server and settings of its own: neither counts before it is trusted. */
export async function untrusted(window, seen) {
  await window.status.waitFor();
  seen.untrusted = await window.words(window.status, "P(hit)");
  await window.picture("untrusted");
  seen.strangers = { before: readdirSync(E2E_STRANGE).includes("started") };
  await window.run("Workspaces: Manage Workspace Trust");
  await window.page.getByRole("button", { name: "Trust", exact: true }).first().click();
  await window.until("the workspace's own server", () => readdirSync(E2E_STRANGE).includes("started"));
  seen.strangers.after = true;
  const trust = window.page.locator(".monaco-modal-editor-block");
  await trust.locator(".codicon-close").first().click();
  await trust.waitFor({ state: "detached" });
}

/** Its settings, once it is trusted, let the local model help: refined, accepted, undone. */
export async function modelled(window, seen) {
  const file = join(E2E_STRANGE, "crash.prompt.md");
  await window.status.waitFor();
  await window.focus();
  await window.chord("r");
  await window.front.filter({ hasText: "refined" }).waitFor();
  await window.reviewed();
  await window.chord("Enter");
  await window.decided();
  seen.rewritten = await window.saved(file);
  seen.restored = await window.undone(file);
}
