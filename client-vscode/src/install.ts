/** Offers to install the server where it is missing. Nothing is installed without being asked. */
import { commands, env, Uri, window } from "vscode";
import { run } from "./imports";
import { configured, type Environment, which } from "./locate";

const HELP = Uri.parse("https://github.com/anchorline/anchorline/blob/main/docs/start/getting-started.md");
const SOURCE = "git+https://github.com/anchorline/anchorline";
const TOOLS = [
  { program: "uv", args: ["tool", "install"] },
  { program: "pipx", args: ["install"] },
];

/** Says what is missing and offers to install it. Returns true when the server was installed. */
export async function offerInstall(environment: Environment): Promise<boolean> {
  const tools = TOOLS.map((tool) => ({ ...tool, command: which(tool.program, environment) }));
  const usable = tools.filter((tool) => tool.command !== undefined);
  const choices = [...usable.map((tool) => `Install with ${tool.program}`), "Choose Path…", "How to Install"];
  const [path] = configured(environment);
  const text =
    path === undefined
      ? "Can't find the `anchorline` command."
      : `\`anchorline.path\` points to ${path}, which doesn't exist.`;
  const choice = await window.showWarningMessage(text, ...choices);
  if (choice === "Choose Path…") {
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
    prompt: "Install from (Git URL, folder or wheel). Don't enter just \"anchorline\": it isn't on PyPI.",
    value: SOURCE,
    ignoreFocusOut: true,
    validateInput: (given) => (/^\s*(-|$)/.test(given) ? "Enter a Git URL, a folder or a wheel" : undefined),
  });
  if (what === undefined) {
    return false;
  }
  const code = await run(`install with ${tool.program}`, tool.command, [...tool.args, what.trim()]);
  if (code !== 0) {
    window.showErrorMessage(`${tool.program} failed (exit code ${code}). See its terminal.`);
  }
  return code === 0;
}
