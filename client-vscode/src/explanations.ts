/** Plans in words, as rendered Markdown beside the prompt. */
import { commands, Disposable, EventEmitter, type TextDocumentContentProvider, Uri, workspace } from "vscode";

const SCHEME = "anchorline-plan";
const PAGE = Uri.from({ scheme: SCHEME, path: "/Plan.md" });

/** One page, which shows the plan that was asked for last. */
export class Explanations extends Disposable implements TextDocumentContentProvider {
  private readonly changed = new EventEmitter<Uri>();
  readonly onDidChange = this.changed.event;
  private readonly registered = workspace.registerTextDocumentContentProvider(SCHEME, this);
  private markdown = "";

  constructor() {
    super(() => Disposable.from(this.changed, this.registered).dispose());
  }

  provideTextDocumentContent(): string {
    return this.markdown;
  }

  /** Show a plan. */
  async show(markdown: string): Promise<void> {
    this.markdown = markdown;
    this.changed.fire(PAGE);
    await commands.executeCommand("markdown.showPreviewToSide", PAGE);
  }
}
