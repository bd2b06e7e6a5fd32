"""From drafts and refinements to the editor's edits."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.lsp import edits
from anchorline.lsp.documents import Document
from anchorline.plan import Edit, Refinement
from anchorline.prompt.model import Draft

TEXTS = st.text(alphabet=st.sampled_from('ab \né😀"\\'), min_size=1, max_size=30)


def applied(document: Document, changes) -> str:
    data = document.data
    for change in sorted(changes, key=lambda each: document.offset(each.range.start), reverse=True):
        start, end = document.offset(change.range.start), document.offset(change.range.end)
        data = data[:start] + change.new_text.encode() + data[end:]
    return data.decode()


def replaced(text: str, spans: list[tuple[int, int]], new: str) -> Refinement:
    """A refinement that replaces `spans` (characters, in order, apart) of `text` by `new`."""
    result, position, made = "", 0, []
    for start, end in spans:
        result += text[position:start] + new
        position = end
        made.append(Edit(start, end, new, "test"))
    return Refinement("proposed", "test", result + text[position:], tuple(made))


@given(TEXTS, TEXTS, TEXTS, st.data())
def test_the_edits_give_the_refined_text(before, text, after, data):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), min_size=2, max_size=4)))
    spans = [(cuts[i], cuts[i + 1]) for i in range(0, len(cuts) - 1, 2)]
    refinement = replaced(text, spans, "N\u00eb")
    document = Document("file:///a.md", text=before + text + after)
    start = len(before.encode())
    draft = Draft(text, 0, start, start + len(text.encode()), encoded=False)
    assert (
        applied(document, edits.of_refinement(document, draft, refinement))
        == before + refinement.text + after
    )
    shifted = Draft(text, 0, 0, len(text.encode()), encoded=False)
    assert applied(document, edits.of_refinement(document, shifted, refinement, base=start)) == (
        before + refinement.text + after
    )


@pytest.mark.parametrize("escaped", [True, False])
def test_a_json_string_stays_a_json_string_in_the_way_it_was_written(escaped):
    text = 'Fix "é" here'
    literal = json.dumps(text, ensure_ascii=escaped)
    document = Document("file:///a.json", text='{"text": ' + literal + "}")
    draft = Draft(text, 0, 9, 9 + len(literal.encode()), encoded=True)
    changed = applied(document, edits.of_refinement(document, draft, replaced(text, [(0, 3)], "Mend")))
    assert json.loads(changed) == {"text": 'Mend "é" here'}
    assert changed.isascii() == escaped


def test_nothing_proposed_is_no_edit():
    document = Document("file:///a.md", text="Fix it.")
    draft = Draft("Fix it.", 0, 0, 7, encoded=False)
    assert edits.of_refinement(document, draft, Refinement("unchanged", "nothing to rewrite")) == []


def test_new_line_ends_are_those_of_the_draft():
    text = "one\r\ntwo"
    document = Document("file:///a.md", text=text)
    draft = Draft(text, 0, 0, len(text), encoded=False)
    changed = applied(document, edits.of_refinement(document, draft, replaced(text, [(0, 3)], "a\nb")))
    assert changed == "a\r\nb\r\ntwo"
