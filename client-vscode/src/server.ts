/** The language server: found, started once, restarted, and asked. */
import { existsSync, statSync } from "node:fs";
import { homedir } from "node:os";
import {
  type CancellationToken,
  commands,
  Disposable,
  EventEmitter,
  extensions,
  LanguageStatusSeverity,
  type LogOutputChannel,
  languages,
  type TextDocument,
  Uri,
  window,
  workspace,
} from "vscode";
import {
  DidCloseTextDocumentNotification,
  DidOpenTextDocumentNotification,
  LanguageClient,
  type Middleware,
  RevealOutputChannelOn,
  State,
} from "vscode-languageclient/node";
import { isServed, selector } from "./documents";
import { isolated } from "./isolated";
import { type Environment, locate, MissingError, type Program } from "./locate";
import type { Requests } from "./protocol";
import { chatIsOn, serverSettings } from "./settings";

/** Settings of the extension; a change of one starts the server anew. */
const STARTING = ["path", "interpreter", "importStrategy", "editor.chat"].map((name) => `anchorline.${name}`);

/** The server. Commands that it offers to every client are run by `execute`, so that they get a face here. */
export class Server extends Disposable {
  readonly log: LogOutputChannel = window.createOutputChannel("Anchorline", { log: true });
  private readonly changed = new EventEmitter<State>();
  readonly onDidChangeState = this.changed.event;
  private readonly status = languages.createLanguageStatusItem("anchorline.server", selector(true));
  private readonly parts: Disposable[];
  private client: LanguageClient | undefined;
  private starting: Promise<LanguageClient> | undefined;
  private stopping: Promise<void> = Promise.resolve();
  private wanted = false;
  private launched = "";

  constructor(
    private readonly execute: (command: string, argument: unknown) => Promise<unknown> | undefined,
    private readonly offerInstall: () => void,
  ) {
    super(() => Disposable.from(...this.parts).dispose());
    this.status.name = "Anchorline";
    this.status.command = { command: "anchorline.showLogs", title: "Show logs" };
    this.show("not started");
    this.parts = [
      this.log,
      this.changed,
      this.status,
      workspace.onDidGrantWorkspaceTrust(() => this.startAnew()), // with the project's settings
      workspace.onDidChangeConfiguration((change) => {
        if (STARTING.some((setting) => change.affectsConfiguration(setting))) {
          this.startAnew();
        }
      }),
    ];
  }

  get isRunning(): boolean {
    return this.client?.isRunning() ?? false;
  }

  /** Start the server if it is not running; what can't be done is shown, not thrown. */
  async start(): Promise<void> {
    try {
      await this.running();
    } catch (error) {
      if (error instanceof MissingError) {
        this.offerInstall();
      }
    }
  }

  /** Stop the server and start it again, from where it is found now. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Stop the server; one that is just starting is waited for, so that two never run at once. */
  stop(): Promise<void> {
    const { starting } = this;
    this.starting = undefined;
    this.stopping = this.stopping.then(async () => {
      try {
        await (await starting)?.dispose();
      } catch (error) {
        this.log.warn(`The server did not start or stop as it should: ${error}`);
      }
    });
    return this.stopping;
  }

  /** Send one of Anchorline's own requests. */
  async request<Method extends keyof Requests>(
    method: Method,
    params: Requests[Method]["params"],
    token?: CancellationToken,
  ): Promise<Requests[Method]["result"]> {
    const client = await this.running();
    return token === undefined
      ? client.sendRequest(method, params)
      : client.sendRequest(method, params, token);
  }

  /** Run `ask` while the server has `document` open: it is not given other documents than prompts otherwise. */
  async lend<Result>(document: TextDocument, ask: () => Promise<Result>): Promise<Result> {
    const client = await this.running();
    if (isServed(document, chatIsOn())) {
      return ask();
    }
    const { code2ProtocolConverter: converter } = client;
    await client.sendNotification(
      DidOpenTextDocumentNotification.type,
      converter.asOpenTextDocumentParams(document),
    );
    try {
      return await ask();
    } finally {
      const closed = converter.asCloseTextDocumentParams(document);
      await client.sendNotification(DidCloseTextDocumentNotification.type, closed);
    }
  }

  /** Return the client, started. Throws MissingError where there is no server. */
  running(): Promise<LanguageClient> {
    this.wanted = true;
    if (this.starting === undefined) {
      const starting = this.launch();
      this.starting = starting;
      starting.catch(() => {
        if (this.starting === starting) {
          this.starting = undefined; // the next request tries again
        }
      });
    }
    return this.starting;
  }

  /** Something has changed that decides which server is started: if one was needed so far, and it is another now, start it. */
  private async startAnew(): Promise<void> {
    const launched = identity(await locate(this.environment()));
    if (this.wanted && launched !== this.launched) {
      this.launched = launched;
      await this.restart();
    }
  }

  /** What is known about where a server may be. */
  environment(): Environment {
    const configuration = workspace.getConfiguration("anchorline");
    const trusted = workspace.isTrusted;
    const paths = (key: string): string[] =>
      (trusted ? configuration.get<string[]>(key) : configuration.inspect<string[]>(key)?.globalValue) ?? [];
    return {
      path: paths("path"),
      interpreter: paths("interpreter"),
      strategy: configuration.get("importStrategy", "fromEnvironment"),
      trusted,
      folders: (workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath),
      home: homedir(),
      env: process.env,
      platform: process.platform,
      isFile: (path) => existsSync(path) && statSync(path).isFile(),
      selected: selectedInterpreter,
    };
  }

  private async launch(): Promise<LanguageClient> {
    await this.stopping;
    this.show("starting", { busy: true });
    const program = await locate(this.environment());
    this.launched = identity(program);
    if (program === undefined) {
      this.show("not installed", { severity: LanguageStatusSeverity.Warning });
      this.log.warn("Can't find the `anchorline` command in the settings, a Python environment or the PATH.");
      throw new MissingError();
    }
    this.log.info(`Starting ${program.command} (${program.from})`);
    const client = this.connect(program);
    this.client = client;
    try {
      await client.start();
    } catch (error) {
      this.show("failed", { severity: LanguageStatusSeverity.Error });
      this.log.error(`The server did not start: ${error}`);
      throw error;
    }
    return client;
  }

  private connect(program: Program): LanguageClient {
    const client = new LanguageClient(
      "anchorline",
      "Anchorline",
      { command: program.command, args: ["lsp"], options: isolated() },
      {
        documentSelector: selector(chatIsOn()),
        outputChannel: this.log,
        traceOutputChannel: this.log,
        revealOutputChannelOn: RevealOutputChannelOn.Never,
        initializationOptions: () => ({ ...serverSettings(), workspaceTrusted: workspace.isTrusted }),
        middleware: this.middleware(),
      },
    );
    client.onDidChangeState(({ newState }) => {
      commands.executeCommand("setContext", "anchorline.running", newState === State.Running);
      if (newState === State.Running) {
        this.show(`${client.initializeResult?.serverInfo?.version ?? "running"}`, {
          detail: program.command,
        });
      } else if (newState === State.Stopped && this.client === client) {
        this.show("stopped", { severity: LanguageStatusSeverity.Error });
      }
      this.changed.fire(newState);
    });
    return client;
  }

  private middleware(): Middleware {
    return {
      executeCommand: (command, args, next) => this.execute(command, args[0]) ?? next(command, args),
      workspace: {
        configuration: (params) =>
          params.items.map((item) => serverSettings(item.scopeUri ? Uri.parse(item.scopeUri) : undefined)),
        didChangeConfiguration: (_sections, next) => next(undefined),
      },
    };
  }

  private show(
    state: string,
    shown: { busy?: boolean; severity?: LanguageStatusSeverity; detail?: string } = {},
  ): void {
    this.status.text = `Anchorline: ${state}`;
    this.status.busy = shown.busy ?? false;
    this.status.severity = shown.severity ?? LanguageStatusSeverity.Information;
    this.status.detail = shown.detail ?? "";
  }
}

/** What makes a server another one: its program, whether it is given chat drafts, and whether it reads the project. */
function identity(program: Program | undefined): string {
  return `${program?.command} ${chatIsOn()} ${workspace.isTrusted}`;
}

/** Ask the Python extension, if there is one, which interpreter is selected. */
async function selectedInterpreter(): Promise<string | undefined> {
  interface Python {
    environments?: { getActiveEnvironmentPath(): { path: string } };
  }
  const python = extensions.getExtension<Python>("ms-python.python");
  try {
    return (await python?.activate())?.environments?.getActiveEnvironmentPath().path;
  } catch {
    return undefined;
  }
}
