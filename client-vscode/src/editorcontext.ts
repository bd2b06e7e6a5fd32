/** What a refinement may use: the file, selection and symbol that one works at, problems, open files, recent edits. */
import {
  commands,
  DiagnosticSeverity,
  Disposable,
  type DocumentSymbol,
  languages,
  type Position,
  TabInputText,
  type TextDocument,
  type TextEditor,
  type Uri,
  window,
  workspace,
} from "vscode";
import { isServed } from "./documents";
import type { EditorDiagnostic, Surroundings } from "./protocol";
import { plain } from "./ranges";

const FILES = 100;
const EDITS = 20;
const DIAGNOSTICS = 50;
const SELECTED = 20_000;
const SYMBOL_MS = 300;

/** Follows the editors; nothing of it leaves the machine, and nothing is sent before it is asked for. */
export class EditorContext extends Disposable {
  private readonly edited = new Map<string, Uri>();
  private worked: TextEditor | undefined;
  private readonly parts: Disposable[];

  constructor() {
    super(() => Disposable.from(...this.parts).dispose());
    this.follow(window.activeTextEditor);
    this.parts = [
      window.onDidChangeActiveTextEditor((editor) => this.follow(editor)),
      workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (contentChanges.length > 0 && isWork(document)) {
          this.edited.delete(document.uri.toString());
          this.edited.set(document.uri.toString(), document.uri);
        }
      }),
    ];
  }

  /** Return what surrounds a draft in `document`. */
  async of(document: TextDocument): Promise<Surroundings> {
    const editor = this.editorFor(document);
    const tabs = window.tabGroups.all.flatMap((group) => group.tabs);
    const open = tabs
      .flatMap(({ input }) => (input instanceof TabInputText ? [input.uri] : []))
      .filter(isFile);
    const recent = [...this.edited.values()].reverse().slice(0, EDITS);
    const at = editor?.document.uri;
    const near = [
      ...(at === undefined ? [] : [at]),
      ...open.filter((uri) => uri.toString() !== at?.toString()),
    ];
    const symbol = editor && (await symbolAt(editor.document, editor.selection.active));
    return {
      ...(editor && { activeFile: editor.document.uri.toString() }),
      ...(editor && !editor.selection.isEmpty && { selection: selected(editor) }),
      ...(symbol !== undefined && { symbol }),
      diagnostics: near.flatMap(problems).slice(0, DIAGNOSTICS),
      openFiles: near.map(String).slice(0, FILES),
      recentEdits: recent.map(String),
    };
  }

  private follow(editor: TextEditor | undefined): void {
    if (editor !== undefined && isWork(editor.document)) {
      this.worked = editor;
    }
  }

  /** The editor in which the work is that a draft is about: not the draft's own. */
  private editorFor(document: TextDocument): TextEditor | undefined {
    const shown = [this.worked, ...window.visibleTextEditors];
    return shown.find(
      (editor) => editor !== undefined && editor.document !== document && isWork(editor.document),
    );
  }
}

function isFile(uri: Uri): boolean {
  return workspace.getWorkspaceFolder(uri) !== undefined;
}

function isWork(document: TextDocument): boolean {
  return isFile(document.uri) && !document.isClosed && !isServed(document, true);
}

function selected({ document, selection }: TextEditor): NonNullable<Surroundings["selection"]> {
  const text = document.getText(selection).slice(0, SELECTED);
  return { uri: document.uri.toString(), range: plain(selection), text };
}

function problems(uri: Uri): EditorDiagnostic[] {
  return languages
    .getDiagnostics(uri)
    .filter(({ severity, source }) => severity <= DiagnosticSeverity.Warning && source !== "anchorline")
    .map(({ range, message, severity }) => ({
      uri: uri.toString(),
      range: plain(range),
      message: message.slice(0, 1000),
      severity: severity === DiagnosticSeverity.Error ? 1 : 2,
    }));
}

/** The innermost symbol around a place, if its language server tells in time. */
async function symbolAt(document: TextDocument, place: Position): Promise<string | undefined> {
  const asked = commands.executeCommand<DocumentSymbol[] | undefined>(
    "vscode.executeDocumentSymbolProvider",
    document.uri,
  );
  const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), SYMBOL_MS));
  let name: string | undefined;
  let symbols = (await Promise.race([Promise.resolve(asked).catch(() => undefined), late])) ?? [];
  for (;;) {
    const enclosing = symbols.find((symbol) => symbol.range?.contains(place));
    if (enclosing === undefined) {
      return name;
    }
    name = enclosing.name;
    symbols = enclosing.children ?? [];
  }
}
