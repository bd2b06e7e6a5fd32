/** API keys of providers, in VS Code's secret storage. */
import { type SecretStorage, window } from "vscode";

const PROVIDERS = [
  { label: "Anthropic", name: "anthropic" },
  { label: "OpenAI", name: "openai", description: "or the service that `gateway.openai` points to" },
] as const;

export function keyOf(secrets: SecretStorage, provider: string): Thenable<string | undefined> {
  return secrets.get(`key.${provider}`);
}

/** Ask for a key, of `provider` where it is known, and keep it; an empty one forgets it. */
export async function askForKey(secrets: SecretStorage, provider?: string): Promise<void> {
  const title = "Anchorline: API key";
  const chosen =
    PROVIDERS.find(({ name }) => name === provider) ??
    (await window.showQuickPick(PROVIDERS, { title, placeHolder: "Provider" }));
  if (chosen === undefined) {
    return;
  }
  const key = await window.showInputBox({
    title: `${title} for ${chosen.label}`,
    prompt:
      "Stored in VS Code's secret storage and sent only to the gateway on this machine. Leave empty to delete it.",
    password: true,
    ignoreFocusOut: true,
  });
  if (key === "") {
    await secrets.delete(`key.${chosen.name}`);
  } else if (key !== undefined) {
    await secrets.store(`key.${chosen.name}`, key.trim());
  }
}
