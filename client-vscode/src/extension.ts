/** What VS Code loads at its start: the commands, and a look whether a prompt is open. The rest comes when it is needed. */
import {
  type CommentThread,
  commands,
  EventEmitter,
  type ExtensionContext,
  lm,
  type TextDocument,
  window,
  workspace,
} from "vscode";
import { isServed } from "./documents";
import type { Session } from "./session";
import { chatIsOn } from "./settings";

const COMMANDS = {
  "anchorline.refineDraft": (session) => session.refine(),
  "anchorline.refineChat": (session) => session.refineChat(),
  "anchorline.acceptRefinement": (session) => session.review.accept(),
  "anchorline.modifyRefinement": (session) => session.review.modify(),
  "anchorline.rejectRefinement": (session) => session.review.reject(),
  "anchorline.acceptAddition": (session, thread?: CommentThread) => session.review.acceptAddition(thread),
  "anchorline.rejectAddition": (session, thread?: CommentThread) => session.review.rejectAddition(thread),
  "anchorline.answerQuestion": (session, reply) => session.review.answer(reply),
  "anchorline.planPrompt": (session) => session.plan(),
  "anchorline.insertAnchors": (session) => session.insertAnchors(),
  "anchorline.explainLast": (session) => session.explain(),
  "anchorline.giveFeedback": (session) => session.feedback(),
  "anchorline.pinRoute": (session) => session.pinRoute(),
  "anchorline.showDashboard": (session) => session.dashboard.show(),
  "anchorline.importSessions": (session) => session.importSessions(),
  "anchorline.train": (session) => session.train(),
  "anchorline.setKey": (session) => session.setKey(),
  "anchorline.installServer": (session) => session.install(),
  "anchorline.restart": (session) => session.server.restart(),
  "anchorline.showLogs": (session) => session.server.log.show(),
} satisfies Record<string, (session: Session, argument: never) => unknown>;

/** What the chat's model picker shows. Which model answers is decided anew for each request. */
const AUTO = {
  id: "auto",
  name: "Anchorline Auto",
  family: "anchorline",
  version: "1",
  tooltip:
    "Each request is planned and sent through the gateway on this machine; the status bar shows what it used.",
  maxInputTokens: 184_000,
  maxOutputTokens: 16_000,
  capabilities: { toolCalling: true, imageInput: true },
};
const CHARS_PER_TOKEN = 3.5;

/** The protocol's codes for a request that was cancelled, and for a text that was changed meanwhile: no errors. */
const LATE = new Set([-32800, -32801]);

let running: Session | undefined;

export function activate(context: ExtensionContext): void {
  const session = (): Session => {
    running ??= (require("./session.js") as typeof import("./session")).start(context);
    return running;
  };
  for (const [command, run] of Object.entries(COMMANDS)) {
    const registered = commands.registerCommand(command, async (argument: never) => {
      try {
        await run(session(), argument);
      } catch (error) {
        if (LATE.has((error as { code?: number }).code ?? 0)) {
          window.setStatusBarMessage("Anchorline: cancelled, or the text has changed", 5000);
          return;
        }
        const { name, message } = error instanceof Error ? error : { name: "", message: String(error) };
        if (name === "MissingError") {
          await session().install();
        } else if (name === "Notice") {
          window.showInformationMessage(message);
        } else {
          window.showErrorMessage(`Anchorline: ${message}`);
        }
      }
    });
    context.subscriptions.push(registered);
  }

  const offered = new EventEmitter<void>();
  const provider = lm.registerLanguageModelChatProvider("anchorline", {
    onDidChangeLanguageModelChatInformation: offered.event,
    provideLanguageModelChatInformation: () => [AUTO],
    provideLanguageModelChatResponse: (_model, messages, options, progress, token) =>
      session().answers.give(messages, options, progress, token),
    provideTokenCount: async (_model, text) =>
      Math.ceil((typeof text === "string" ? text : JSON.stringify(text.content)).length / CHARS_PER_TOKEN),
  });
  context.subscriptions.push(offered, provider);

  const look = (document: TextDocument): void => {
    if (isServed(document, chatIsOn())) {
      session().server.start();
    }
  };
  context.subscriptions.push(workspace.onDidOpenTextDocument(look));
  setImmediate(() => {
    // after the activation: no start-up waits for it
    offered.fire(); // the picker does not look for models by itself
    workspace.textDocuments.forEach(look);
  });
}

export async function deactivate(): Promise<void> {
  await running?.server.stop();
}
