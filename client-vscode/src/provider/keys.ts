/** API keys of providers, in VS Code's secret storage. */
import { type SecretStorage, window } from "vscode";

const PROVIDERS = [
  { label: "Anthropic", name: "anthropic" },
  { label: "OpenAI", name: "openai", description: "or what `gateway.openai` names" },
] as const;

export function keyOf(secrets: SecretStorage, provider: string): Thenable<string | undefined> {
  return secrets.get(`key.${provider}`);
}

/** Ask for a key and keep it; an empty one forgets it. */
export async function askForKey(secrets: SecretStorage): Promise<void> {
  const title = "Anchorline: API key";
  const chosen = await window.showQuickPick(PROVIDERS, { title, placeHolder: "of which provider?" });
  if (chosen === undefined) {
    return;
  }
  const key = await window.showInputBox({
    title: `${title} of ${chosen.label}`,
    prompt: "Kept in VS Code's secret storage and sent to the gateway on this machine. Empty: forget it",
    password: true,
    ignoreFocusOut: true,
  });
  if (key === "") {
    await secrets.delete(`key.${chosen.name}`);
  } else if (key !== undefined) {
    await secrets.store(`key.${chosen.name}`, key.trim());
  }
}
