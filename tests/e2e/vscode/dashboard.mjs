/** The dashboard's page in a browser that can reach nothing: what is seen, heard and reached by keyboard, in both colour schemes. */
import { writeFileSync } from "node:fs";
import { barriers, browser, picture, WAIT_MS } from "./host.mjs";

const { E2E_RESULTS, E2E_PAGE } = process.env;
const seen = { asked: [], errors: [] };

async function look(context, scheme) {
  const page = await context.newPage();
  await page.emulateMedia({ colorScheme: scheme });
  page.on("request", (request) => seen.asked.push(request.url()));
  page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
  page.on("pageerror", (error) => seen.errors.push(error.message));
  await page.goto(`file://${E2E_PAGE}`);
  await page.locator("html[data-drawn]").waitFor({ state: "attached" });
  await picture(page, `dashboard-${scheme}`, true);
  const found = {
    barriers: await barriers(page),
    title: await page.getByRole("heading", { level: 1 }).innerText(),
    sections: await page.getByRole("heading", { level: 2 }).allInnerTexts(),
    charts: await page.getByRole("img").evaluateAll((all) => all.map((one) => one.getAttribute("aria-label"))),
    back: await page.evaluate(() => getComputedStyle(document.body).backgroundColor),
    blank: await page
      .locator("canvas")
      .evaluateAll((all) =>
        all.map((one) => one.getContext("2d").getImageData(0, 0, one.width, one.height).data.every((value) => value === 0)),
      ),
  };
  await page.keyboard.press("Tab");
  found.first = await page.evaluate(() => document.activeElement.tagName);
  await page.keyboard.press("ArrowRight");
  found.told = await page.locator(".told").first().innerText();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("table").first().waitFor();
  found.table = await page.getByRole("table").first().innerText();
  await page.getByLabel("Group by").selectOption("tool");
  found.grouped = await page.getByRole("region", { name: "Cost by tool" }).innerText();
  await page.setViewportSize({ width: 380, height: 800 });
  found.sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await picture(page, `dashboard-narrow-${scheme}`, true);
  return found;
}

const opened = await browser();
try {
  const context = await opened.newContext({ viewport: { width: 1000, height: 800 }, offline: true });
  context.setDefaultTimeout(WAIT_MS);
  seen.light = await look(context, "light");
  seen.dark = await look(context, "dark");
} catch (error) {
  seen.error = `${error.stack}`;
  process.exitCode = 1;
} finally {
  await opened.close();
  writeFileSync(E2E_RESULTS, JSON.stringify(seen));
}
