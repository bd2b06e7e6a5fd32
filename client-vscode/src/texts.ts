/** Changes of texts. Offsets are UTF-16 code units, as in VS Code. */

/** Replace `start:end` by `text`. */
export interface Change {
  start: number;
  end: number;
  text: string;
}

/** Where a change stands in the text that it was made in. */
export interface Place<Kind extends Change = Change> {
  start: number;
  end: number;
  change: Kind;
}

/** A text with changes made, and where each of them stands in it. */
export interface Changed<Kind extends Change> {
  text: string;
  places: Place<Kind>[];
}

/** Make changes that do not overlap, in the order in which they stand. */
export function changed<Kind extends Change>(text: string, changes: readonly Kind[]): Changed<Kind> {
  const ordered = [...changes].sort((one, other) => one.start - other.start || one.end - other.end);
  const places: Place<Kind>[] = [];
  let result = "";
  let done = 0;
  for (const change of ordered) {
    result += text.slice(done, change.start);
    places.push({ start: result.length, end: result.length + change.text.length, change });
    result += change.text;
    done = change.end;
  }
  return { text: result + text.slice(done), places };
}

/** The one change that makes `after` of `before`, as small as it can be without splitting a character. */
export function difference(before: string, after: string): Change {
  const most = Math.min(before.length, after.length);
  let head = 0;
  while (head < most && before[head] === after[head]) {
    head++;
  }
  let tail = 0;
  while (tail < most - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) {
    tail++;
  }
  if (splits(before, head) || splits(after, head)) {
    head--;
  }
  if (splits(before, before.length - tail) || splits(after, after.length - tail)) {
    tail--;
  }
  return { start: head, end: before.length - tail, text: after.slice(head, after.length - tail) };
}

/** Take a line out of the last paragraph that has it; with its last line the paragraph goes. */
export function withoutLine(text: string, line: string): string {
  const lines = text.split("\n");
  const at = lines.findLastIndex((other) => other.replace(/\r$/, "") === line);
  if (at < 0) {
    return text;
  }
  const isBlank = (other: string | undefined): boolean => other === undefined || other.trim() === "";
  const alone = isBlank(lines[at - 1]) && isBlank(lines[at + 1]);
  lines.splice(alone && at > 0 ? at - 1 : at, alone && at > 0 ? 2 : 1);
  const without = lines.join("\n");
  return text.endsWith("\n") ? without : without.replace(/\r$/, "");
}

function splits(text: string, offset: number): boolean {
  return (text.codePointAt(offset - 1) ?? 0) > 0xffff && offset > 0 && offset < text.length;
}
