/** The two texts of a review: the original, read-only, and the proposal, which can be unlocked. In memory only. */
import {
  Disposable,
  EventEmitter,
  type FileChangeEvent,
  FileChangeType,
  FilePermission,
  type FileStat,
  FileSystemError,
  type FileSystemProvider,
  FileType,
  type Tab,
  TabInputTextDiff,
  Uri,
  window,
  workspace,
} from "vscode";

const REFINED = "anchorline-refined";
const ORIGINAL = "anchorline-original";

interface Text {
  data: Uint8Array;
  locked: boolean;
  mtime: number;
}

export class Proposals extends Disposable implements FileSystemProvider {
  private readonly texts = new Map<string, Text>();
  private readonly changed = new EventEmitter<FileChangeEvent[]>();
  readonly onDidChangeFile = this.changed.event;
  private readonly registered = [REFINED, ORIGINAL].map((scheme) =>
    workspace.registerFileSystemProvider(scheme, this, { isCaseSensitive: true }),
  );
  private count = 0;

  constructor() {
    super(() => Disposable.from(this.changed, ...this.registered).dispose());
  }

  /** Take in both texts, and return where they are. */
  put(title: string, original: string, proposed: string): { left: Uri; right: Uri } {
    const path = `/${++this.count}/${title}`;
    const left = Uri.from({ scheme: ORIGINAL, path });
    const right = Uri.from({ scheme: REFINED, path });
    this.texts.set(left.toString(), text(original));
    this.texts.set(right.toString(), text(proposed));
    return { left, right };
  }

  /** Let the developer edit a text. */
  unlock(uri: Uri): void {
    const text = this.find(uri);
    if (text.locked) {
      this.texts.set(uri.toString(), { ...text, locked: false, mtime: text.mtime + 1 });
      this.changed.fire([{ type: FileChangeType.Changed, uri }]);
    }
  }

  isShownIn(tab: Tab, uri: Uri | undefined): boolean {
    return tab.input instanceof TabInputTextDiff && tab.input.modified.toString() === uri?.toString();
  }

  /** Close the diff without asking whether to save it: what is in it was decided on. */
  async close(uri: Uri): Promise<void> {
    await workspace.textDocuments.find((document) => document.uri.toString() === uri.toString())?.save();
    const tabs = window.tabGroups.all.flatMap((group) => group.tabs);
    await window.tabGroups.close(tabs.filter((tab) => this.isShownIn(tab, uri)));
    this.texts.delete(uri.toString());
    this.texts.delete(uri.with({ scheme: ORIGINAL }).toString());
  }

  stat(uri: Uri): FileStat {
    const { data, locked, mtime } = this.find(uri);
    const stat = { type: FileType.File, ctime: 0, mtime, size: data.byteLength };
    return locked ? { ...stat, permissions: FilePermission.Readonly } : stat;
  }

  readFile(uri: Uri): Uint8Array {
    return this.find(uri).data;
  }

  writeFile(uri: Uri, data: Uint8Array): void {
    const { locked, mtime } = this.find(uri);
    this.texts.set(uri.toString(), { data, locked, mtime: mtime + 1 });
  }

  watch(): Disposable {
    return new Disposable(() => undefined);
  }

  readDirectory(): never {
    throw FileSystemError.NoPermissions();
  }

  createDirectory(): never {
    throw FileSystemError.NoPermissions();
  }

  delete(): never {
    throw FileSystemError.NoPermissions();
  }

  rename(): never {
    throw FileSystemError.NoPermissions();
  }

  private find(uri: Uri): Text {
    const text = this.texts.get(uri.toString());
    if (text === undefined) {
      throw FileSystemError.FileNotFound(uri);
    }
    return text;
  }
}

function text(content: string): Text {
  return { data: new TextEncoder().encode(content), locked: true, mtime: 1 };
}
