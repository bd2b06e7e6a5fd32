/** The server is missing: offer to install it, and never without being asked. */
import { commands, env, Uri, window } from "vscode";
import { run } from "./imports";
import { type Surrounds, which } from "./locate";

const HELP = Uri.parse("https://github.com/anchorline/anchorline/blob/main/docs/start/getting-started.md");
const TOOLS = [
  { program: "uv", args: ["tool", "install"] },
  { program: "pipx", args: ["install"] },
];

/** Say what is missing and offer what can be done about it. Returns true when the server was installed. */
export async function offerInstall(around: Surrounds): Promise<boolean> {
  const tools = TOOLS.map((tool) => ({ ...tool, command: which(tool.program, around) }));
  const usable = tools.filter((tool) => tool.command !== undefined);
  const choices = [...usable.map((tool) => `Install with ${tool.program}`), "Set Its Path", "How to Install"];
  const text = "The server `anchorline` was not found, neither in a Python environment nor on the PATH.";
  const choice = await window.showWarningMessage(text, ...choices);
  if (choice === "Set Its Path") {
    await commands.executeCommand("workbench.action.openSettings", "anchorline.path");
  } else if (choice === "How to Install") {
    await env.openExternal(HELP);
  }
  const tool = usable.find(({ program }) => choice === `Install with ${program}`);
  if (tool?.command === undefined) {
    return false;
  }
  const what = await window.showInputBox({
    title: `Anchorline: ${[tool.program, ...tool.args].join(" ")} …`,
    prompt:
      "The path or URL of a clone or of a wheel. Anchorline is not in the package index yet: the name alone may be another's",
    ignoreFocusOut: true,
    validateInput: (given) => (/^\s*(-|$)/.test(given) ? "Name what to install" : undefined),
  });
  if (what === undefined) {
    return false;
  }
  const code = await run(`install with ${tool.program}`, tool.command, [...tool.args, what.trim()]);
  if (code !== 0) {
    window.showErrorMessage(`Anchorline: ${tool.program} ended with ${code}; its terminal says why.`);
  }
  return code === 0;
}
