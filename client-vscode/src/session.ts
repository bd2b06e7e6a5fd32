/** Everything but the commands' names: made when the first prompt is opened or the first command is run. */
import {
  type CodeAction,
  commands,
  Disposable,
  type ExtensionContext,
  type SecretStorage,
  type TextDocument,
  Uri,
  window,
  workspace,
} from "vscode";
import { draftOfChat } from "./chat";
import { Dashboard } from "./dashboard";
import { isServed } from "./documents";
import { EditorContext } from "./editorcontext";
import { Explanations } from "./explanations";
import { giveFeedback } from "./feedback";
import { importSessions } from "./imports";
import { offerInstall } from "./install";
import { Notice } from "./notice";
import { PlanStatus } from "./planstatus";
import type { Explanation, PlanParams } from "./protocol";
import { Answers } from "./provider/answer";
import { askForKey } from "./provider/keys";
import { type PlainRange, plain, whole } from "./ranges";
import { makeRefinement } from "./refining";
import { Review } from "./review";
import { pinRoute } from "./route";
import { Server } from "./server";
import { chatIsOn } from "./settings";
import { train } from "./training";

/** Commands of the server that propose a refinement: here it is reviewed. */
const REVIEWED = new Set(["anchorline.refine", "anchorline.preview"]);
const BREAKPOINTS = "Insert cache breakpoints";
const NO_PROMPT = "This file isn't a prompt. Open a .prompt.md, CLAUDE.md, AGENTS.md or .request.json file.";

/** Make the session; the server is started by whoever needs it. */
export function start(context: ExtensionContext): Session {
  const session = new Session(context.secrets);
  context.subscriptions.push(session);
  return session;
}

/** The commands, and what they share. */
export class Session extends Disposable {
  readonly server: Server = new Server(
    (command, argument) => this.execute(command, argument),
    () => this.install(),
  );
  readonly review: Review = new Review(this.server, () => this.refine());
  readonly dashboard: Dashboard = new Dashboard(this.server);
  readonly answers: Answers;
  private readonly editorContext = new EditorContext();
  private readonly explanations = new Explanations();
  private readonly status = new PlanStatus(this.server);
  private lastPlan: string | undefined;

  constructor(private readonly secrets: SecretStorage) {
    super(() =>
      Disposable.from(
        this.server,
        this.review,
        this.dashboard,
        this.answers,
        this.editorContext,
        this.explanations,
        this.status,
      ).dispose(),
    );
    this.answers = new Answers(this.server, this.editorContext, secrets);
  }

  /** Refine the selection, or the draft of a prompt. */
  async refine(): Promise<void> {
    const editor = window.activeTextEditor;
    if (editor === undefined) {
      throw new Notice("Open a prompt, or select text in any file.");
    }
    const { document, selection } = editor;
    if (selection.isEmpty && !isServed(document, chatIsOn())) {
      throw new Notice("This file isn't a prompt. Select the text to refine.");
    }
    await this.propose(document, selection.isEmpty ? undefined : plain(selection));
  }

  /** Refine what stands in the chat's input. */
  async refineChat(): Promise<void> {
    const document = await draftOfChat();
    if (document !== undefined) {
      await this.propose(document, plain(whole(document)));
    }
  }

  /** Plan the prompt in the editor and show the plan. */
  async plan(): Promise<void> {
    const document = await this.prompt();
    const params = await this.params(document, undefined);
    const plan = await this.server.lend(document, () => this.server.request("anchorline/plan", params));
    this.lastPlan = plan.id;
    await this.explain(plan.id);
  }

  /** Explain a plan, or the last one. */
  async explain(planId?: string): Promise<Explanation> {
    const explanation = await this.server.request(
      "anchorline/explain",
      planId === undefined ? {} : { planId },
    );
    this.lastPlan = explanation.plan.id;
    await this.explanations.show(explanation.markdown);
    return explanation;
  }

  /** Insert the planned breakpoints into a request body. */
  async insertAnchors(): Promise<void> {
    const document = await this.prompt();
    const client = await this.server.running();
    const actions = await commands.executeCommand<CodeAction[]>(
      "vscode.executeCodeActionProvider",
      document.uri,
      whole(document),
      undefined,
      20,
    );
    const action = actions.find(({ title }) => title === BREAKPOINTS);
    if (action?.edit === undefined || !client.isRunning()) {
      throw new Notice("No cache breakpoints to insert.");
    }
    if (!(await workspace.applyEdit(action.edit))) {
      throw new Error("the editor did not insert the cache breakpoints");
    }
  }

  /** Record whether the last plan was good. */
  async feedback(): Promise<void> {
    const planId = this.lastPlan ?? (await this.server.request("anchorline/explain", {})).plan.id;
    await giveFeedback(this.server, planId);
  }

  /** Choose the model that plans may propose. */
  async pinRoute(): Promise<void> {
    const document = window.activeTextEditor?.document;
    const served = document !== undefined && isServed(document, chatIsOn());
    const params = served ? { textDocument: { uri: document.uri.toString() } } : {};
    await pinRoute(() => this.server.request("anchorline/explain", params));
  }

  /** Read the session files of other tools into the database. */
  async importSessions(): Promise<void> {
    await importSessions(this.server.environment(), () => this.dashboard.show());
  }

  /** Train the network on what is recorded. */
  async train(): Promise<void> {
    await train(this.server.environment(), this.server.log);
  }

  /** Take the API key that the chat's requests are sent with. */
  async setKey(): Promise<void> {
    await askForKey(this.secrets);
  }

  /** Offer to install the server. */
  async install(): Promise<void> {
    if (await offerInstall(this.server.environment())) {
      await this.server.restart();
    }
  }

  /** Run a command that the server offers, as the code lens and code actions ask for it; undefined leaves it to the server. */
  private execute(command: string, argument: unknown): Promise<unknown> | undefined {
    const given = (argument ?? {}) as PlanParams & { planId?: string };
    if (command === "anchorline.explain") {
      return this.explain(given.planId);
    }
    if (REVIEWED.has(command) && given.textDocument) {
      const { uri } = given.textDocument;
      return this.opened(uri).then((document) => this.propose(document, given.range ?? undefined));
    }
    return undefined;
  }

  private async propose(document: TextDocument, range: PlainRange | undefined): Promise<void> {
    const { version } = document;
    const params = await this.params(document, range);
    const refined = await makeRefinement(this.server, document, params);
    this.lastPlan = refined.planId;
    if (document.version !== version) {
      return; // what was typed meanwhile is newer than the answer
    }
    await this.review.open(document, refined);
  }

  private async params(document: TextDocument, range: PlainRange | undefined): Promise<PlanParams> {
    return {
      textDocument: { uri: document.uri.toString(), version: document.version },
      ...(range === undefined ? {} : { range }),
      surroundings: await this.editorContext.of(document),
    };
  }

  private async prompt(): Promise<TextDocument> {
    const document = window.activeTextEditor?.document;
    if (document === undefined || !(isServed(document, chatIsOn()) || document.fileName.endsWith(".jsonl"))) {
      throw new Notice(NO_PROMPT);
    }
    return document;
  }

  private async opened(uri: string): Promise<TextDocument> {
    const parsed = Uri.parse(uri);
    const opened = workspace.textDocuments.find((document) => document.uri.toString() === parsed.toString());
    return opened ?? workspace.openTextDocument(parsed);
  }
}
