/** Which documents the server gets: prompts and request bodies, each with its scheme; chat drafts only if asked for. */
import type { TextDocument, Uri } from "vscode";
import { BODIES, LANGUAGES, NAMES, SCHEMES, SUFFIXES } from "./served";

/** The scheme of VS Code's chat drafts. */
export const CHAT_SCHEME = "chatSessionInput";

/** A filter of both VS Code and the protocol. */
type Filter = { scheme: string; language: string } | { scheme: string } | { scheme: string; pattern: string };

const isOneOf = (values: readonly string[], value: string): boolean => values.includes(value);

/** Say whether the server is given a document. */
export function isServed(document: Pick<TextDocument, "uri" | "languageId">, chat: boolean): boolean {
  if (document.uri.scheme === CHAT_SCHEME) {
    return chat;
  }
  return (
    isOneOf(SCHEMES, document.uri.scheme) &&
    (isOneOf(LANGUAGES, document.languageId) || isOneOf(NAMES, name(document.uri)) || hasSuffix(document.uri))
  );
}

/** The same as a selector. */
export function selector(chat: boolean): Filter[] {
  const patterns = [`**/*{${[...SUFFIXES, ...BODIES].join(",")}}`, `**/{${NAMES.join(",")}}`];
  const filters: Filter[] = SCHEMES.flatMap((scheme) => [
    ...LANGUAGES.map((language) => ({ scheme, language })),
    ...patterns.map((pattern) => ({ scheme, pattern })),
  ]);
  return chat ? [...filters, { scheme: CHAT_SCHEME }] : filters;
}

/** The last part of a document's path. */
export function name(uri: Uri): string {
  return uri.path.slice(uri.path.lastIndexOf("/") + 1);
}

function hasSuffix(uri: Uri): boolean {
  return [...SUFFIXES, ...BODIES].some((suffix) => uri.path.endsWith(suffix));
}
