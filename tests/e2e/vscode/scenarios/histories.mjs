/** What was recorded elsewhere is imported, shown, and learnt from. */
import { renameSync } from "node:fs";
import { join } from "node:path";
import { barriers } from "../host.mjs";
import { processes } from "../records.mjs";

const { HOME, E2E_MORE } = process.env;

/** Sessions of Claude Code are imported, and the dashboard shows what they cost. */
export async function imported(window, seen) {
  const { page } = window;
  await window.run("Anchorline: Import Past Sessions");
  await window.choose("Claude Code");
  await window.notified("Imported your", "Show Dashboard");
  await window.front.filter({ hasText: "Anchorline Dashboard" }).waitFor();
  await page.locator(".editor-actions .action-label[aria-label^='Show Dashboard']").first().waitFor();
  const drawn = page.locator("iframe.webview").last().contentFrame().locator("iframe#active-frame").contentFrame().locator("html[data-drawn]");
  await drawn.waitFor({ state: "attached" });
  const frame = await (await drawn.elementHandle()).ownerFrame();
  seen.dashboard = {
    barriers: await barriers(frame),
    text: await frame.locator("main").textContent(), // with the tables, which are closed
    theme: await frame.evaluate(() => getComputedStyle(document.documentElement).colorScheme),
  };
  await window.hidePanel();
  await window.picture("dashboard");
  await window.close();
}

/** Training says what it lacks; with more sessions it runs, can be stopped, and goes on from there. */
export async function trained(window, seen) {
  await window.run("Anchorline: Train on Recorded Outcomes");
  seen.untrained = await window.notified("There is too little to learn from yet");
  renameSync(E2E_MORE, join(HOME, ".claude/projects/more"));
  await window.run("Anchorline: Import Past Sessions");
  await window.choose("Claude Code");
  await window.notified("Imported your");
  const stopped = await started(window, (epoch) => epoch > 1);
  const [training] = processes("train", "--json");
  process.kill(training.pid, "SIGSTOP"); // a moment that lasts, on a quick machine too
  await window.picture("training");
  await window.page.locator(".notification-toast", { hasText: "Training on your recorded outcomes" }).getByRole("button", { name: "Cancel" }).click();
  process.kill(training.pid, "SIGCONT");
  seen.stopped = { epoch: stopped, told: await window.notified("Training stopped") };
  const again = await started(window, () => true);
  seen.trained = { epoch: again, told: await window.notified("Trained ", "Start Experiment") };
}

/** Start training, and return the first epoch told that is as wanted. */
async function started(window, wanted) {
  const toast = window.page.locator(".notification-toast", { hasText: "Training on your recorded outcomes" });
  await window.run("Anchorline: Train on Recorded Outcomes");
  return window.until("an epoch", async () => {
    const told = (await toast.allInnerTexts()).join(" ").match(/epoch (\d+) of/);
    return told && wanted(Number(told[1])) && Number(told[1]);
  });
}
