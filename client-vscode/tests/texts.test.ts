import assert from "node:assert/strict";
import { test } from "node:test";
import { changed, difference, withoutLine } from "../src/texts";

test("changes are made wherever they stand, and each is found again", () => {
  const { text, places } = changed("one two three", [
    { start: 8, end: 13, text: "3" },
    { start: 0, end: 3, text: "first" },
    { start: 4, end: 4, text: "and " },
  ]);
  assert.equal(text, "first and two 3");
  assert.deepEqual(
    places.map(({ start, end }) => text.slice(start, end)),
    ["first", "and ", "3"],
  );
});

test("the difference makes one text of the other, and never splits a character", () => {
  const texts = [
    "",
    "a",
    "aa",
    "aba",
    "🙂",
    "🙃",
    "a🙂b",
    "a🙃b",
    "🙂🙂",
    "🙂🙃",
    "crash when the the 🙂",
    "crash when the 🙂",
  ];
  for (const before of texts) {
    for (const after of texts) {
      const change = difference(before, after);
      assert.equal(before.slice(0, change.start) + change.text + before.slice(change.end), after);
      assert.ok(change.text.isWellFormed(), `${before} → ${after}`);
      assert.ok(before.slice(change.start, change.end).isWellFormed(), `${before} → ${after}`);
    }
  }
});

test("equal texts differ in nothing", () => {
  assert.equal(difference("same", "same").text, "");
});

test("a line goes from the last paragraph, and its last line takes the paragraph along", () => {
  const both = "Fix it.\n\nContext: `a.py`\nContext: `b.py`\n";
  assert.equal(withoutLine(both, "Context: `a.py`"), "Fix it.\n\nContext: `b.py`\n");
  assert.equal(withoutLine(withoutLine(both, "Context: `b.py`"), "Context: `a.py`"), "Fix it.\n");
  assert.equal(withoutLine("Fix it.\r\n\r\nContext: `a.py`", "Context: `a.py`"), "Fix it.");
  assert.equal(withoutLine(both, "Context: `c.py`"), both);
});
