/** The dashboard: the page that the server makes, the same as `anchorline report --html` writes. */
import { Disposable, ViewColumn, type WebviewPanel, window } from "vscode";
import type { Server } from "./server";

const KIND = "anchorline.dashboard";

/** One panel; showing it again adds up anew. */
export class Dashboard extends Disposable {
  private panel: WebviewPanel | undefined;

  constructor(private readonly server: Server) {
    super(() => this.panel?.dispose());
  }

  async show(): Promise<void> {
    const { html } = await this.server.request("anchorline/report", {});
    this.panel ??= this.open();
    this.panel.webview.html = html;
    this.panel.reveal();
  }

  /** Open an empty panel: its page may run the script that stands in it, and load nothing. */
  private open(): WebviewPanel {
    const panel = window.createWebviewPanel(KIND, "Anchorline Dashboard", ViewColumn.Active, {
      enableScripts: true,
      enableCommandUris: ["anchorline.importSessions"], // where nothing is recorded yet
      localResourceRoots: [],
    });
    panel.onDidDispose(() => {
      this.panel = undefined;
    });
    return panel;
  }
}
