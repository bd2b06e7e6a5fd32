/** What a developer does with the extension, and what is seen: into the file that E2E_RESULTS names. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { browse, codeServer, configure, serve, settle } from "./host.mjs";
import { attended, displaced, drafted, picked } from "./scenarios/chats.mjs";
import { imported, trained } from "./scenarios/histories.mjs";
import { activated, body, feedback, pinned, prompt, restarted } from "./scenarios/prompts.mjs";
import { accepted, asked, modified, outdated, rejected, selected } from "./scenarios/reviews.mjs";
import { modelled, untrusted } from "./scenarios/trust.mjs";
import { upstream } from "./upstream.mjs";
import { Workbench } from "./workbench.mjs";

const { HOME, E2E_RESULTS, E2E_VSIX, E2E_ASKER, E2E_FOLDER, E2E_STRANGE } = process.env;
const data = join(HOME, "vscode");
const places = ["--config", join(HOME, "code-server.yaml"), "--user-data-dir", data, "--extensions-dir", join(HOME, "extensions")];
const prompts = [prompt, accepted, modified, rejected, outdated, selected, asked, body, feedback, pinned, restarted];
const others = [drafted, displaced, picked, attended, imported, trained, activated];
const seen = {};

async function main() {
  writeFileSync(join(E2E_FOLDER, "ask.prompt.md"), "Please could you fix the the bug.\n");
  writeFileSync(join(HOME, "code-server.yaml"), "");
  settle(data, {
    "anchorline.editor.code_lens": true,
    "anchorline.engine.deadline_seconds": 100,
    "anchorline.ground.enabled": false, // these scenarios are about the words of a draft
    "anchorline.refine.model_seconds": 0,
    "chat.disableAIFeatures": false,
    "chat.agent.enabled": false,
    "extensions.autoUpdate": false,
    "extensions.ignoreRecommendations": true,
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
  const provider = await upstream(["The parser ", "stops at ", "the empty line."]);
  await configure(provider);
  seen.installed = await codeServer(...places, "--install-extension", E2E_VSIX, "--install-extension", E2E_ASKER);
  const server = await serve(...places, "--disable-telemetry", "--disable-update-check", "--disable-getting-started-override");
  const { browser, context } = await browse();
  const play = async (window, scenarios) => {
    for (const scenario of scenarios) {
      seen.scenario = scenario.name;
      await scenario(window, seen, provider);
    }
  };
  let window;
  try {
    window = await Workbench.open(context, server, E2E_FOLDER, join(E2E_FOLDER, "fix.prompt.md"));
    await window.trust("Yes, I trust the authors");
    await play(window, [...prompts, ...others]);
    await window.page.close();
    window = await Workbench.open(context, server, E2E_STRANGE, join(E2E_STRANGE, "crash.prompt.md"));
    await window.trust("No, I don't trust the authors");
    await play(window, [untrusted, modelled]);
  } catch (error) {
    await window?.picture("failure").catch(() => undefined);
    throw error;
  } finally {
    await browser.close();
    server.end();
    provider.end();
  }
}

main().then(
  () => writeFileSync(E2E_RESULTS, JSON.stringify(seen)),
  (error) => {
    writeFileSync(E2E_RESULTS, JSON.stringify({ ...seen, error: `${error.stack}` }));
    process.exitCode = 1;
  },
);
