/** The settings that the server gets: only what somebody has set, so that defaults don't hide `anchorline.toml`. */
import { type ConfigurationScope, workspace } from "vscode";
import { SETTINGS } from "./served";

type Settings = Record<string, Record<string, unknown>>;

/** Return what is set, by section and key. */
export function serverSettings(scope?: ConfigurationScope): Settings {
  const configuration = workspace.getConfiguration("anchorline", scope);
  const settings: Settings = {};
  for (const setting of SETTINGS) {
    const set = configuration.inspect(setting);
    const isSet = [set?.globalValue, set?.workspaceValue, set?.workspaceFolderValue].some(
      (value) => value !== undefined,
    );
    if (isSet) {
      const [section, key] = setting.split(".") as [string, string];
      settings[section] = { ...settings[section], [key]: configuration.get(setting) };
    }
  }
  return settings;
}

/** Say whether chat drafts may be given to the server. */
export function chatIsOn(): boolean {
  return workspace.getConfiguration("anchorline").get("editor.chat", false);
}
