/** Changes of texts. Offsets are UTF-16 code units, as in VS Code. */

/** Replace `start:end` by `text`. */
export interface Change {
  start: number;
  end: number;
  text: string;
}

/** A text with changes made, and where each of them stands in it. */
export interface Changed {
  text: string;
  places: { start: number; end: number }[];
}

/** Make changes that do not overlap, in the order in which they stand. */
export function changed(text: string, changes: readonly Change[]): Changed {
  const ordered = [...changes].sort((one, other) => one.start - other.start || one.end - other.end);
  const places = [];
  let result = "";
  let done = 0;
  for (const change of ordered) {
    result += text.slice(done, change.start);
    places.push({ start: result.length, end: result.length + change.text.length });
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

function splits(text: string, offset: number): boolean {
  return (text.codePointAt(offset - 1) ?? 0) > 0xffff && offset > 0 && offset < text.length;
}
