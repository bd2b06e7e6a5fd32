"""A long, mixed draft in order: every statement once, untouched, under a heading; anything else is left alone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.refine.context_lines import context_lines
from anchorline.refine.mask import Masked
from anchorline.refine.propose import propose
from anchorline.refine.structure import SECTIONS, Section, section, structure

DRAFT = """\
The importer reads session files in one go, and large ones take minutes. Users of shared folders see the editor freeze.
Do not change the format of the database. Read `session.json` in chunks, and report progress every 1000 lines.

Run the importer's tests and make sure that they pass. The progress comes from `import_all` today:

```py
for line in lines:
    import_all(line)
```

It is called once for each file. Old clients must stay compatible.
"""
ORDERED = """\
Goal:
Read `session.json` in chunks, and report progress every 1000 lines.

Context:
The importer reads session files in one go, and large ones take minutes. Users of shared folders see the editor freeze.

The progress comes from `import_all` today:

```py
for line in lines:
    import_all(line)
```

It is called once for each file.

Constraints:
Do not change the format of the database. Old clients must stay compatible.

Checks:
Run the importer's tests and make sure that they pass.
"""


def structured(draft: str) -> str | None:
    edit = structure(Masked(draft))
    return None if edit is None else draft[: edit.start] + edit.text + draft[edit.end :]


def test_statements_are_ordered_and_what_belongs_to_one_goes_with_it() -> None:
    assert structured(DRAFT) == ORDERED


def test_it_is_proposed_apart_and_a_structured_draft_is_done() -> None:
    refined = propose(DRAFT)
    assert refined.status == "unchanged"
    assert refined.structure is not None
    assert refined.structure.text == ORDERED
    assert propose(ORDERED).structure is None


def test_accepted_facts_stay_at_the_end() -> None:
    facts = "\nContext: `src/importer.py`\nCheck: `pytest tests/test_importer.py`\n"
    ordered = structured(DRAFT + facts)
    assert ordered == ORDERED + facts
    assert context_lines(ordered) == context_lines(DRAFT + facts)


def test_whoever_sorts_is_followed() -> None:
    def reverse(statement: str) -> Section:
        return SECTIONS[3 - SECTIONS.index(section(statement))]

    edit = structure(Masked(DRAFT), reverse)
    assert edit is not None
    assert edit.text.startswith("Goal:\nRun the importer's tests")
    assert structure(Masked(DRAFT), lambda _: "Goal") is None


@pytest.mark.parametrize(
    "draft",
    [
        "Fix the importer.",
        ORDERED,
        "# Importer\n\n" + DRAFT,
        DRAFT.replace("The importer reads", "Background: The importer reads"),
        DRAFT.replace("Old clients", "1. Old clients"),
        DRAFT + '\nTraceback (most recent call last):\n  File "a.py", line 3\nValueError: no\n',
        DRAFT.replace("```\n\n", ""),
        "Die Sitzungen werden in einem Zug gelesen, und das ist nicht gut. "
        + DRAFT.replace(" the ", " die "),
        DRAFT + 'def load(path):\n    """Return the sessions."""\n',
    ],
)
def test_what_would_gain_nothing_or_is_in_doubt_is_left_alone(draft: str) -> None:
    assert structured(draft) is None


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("Add a flag for the timeout", "Goal"),
        ("Can you make the list shorter?", "Goal"),
        ("I want the list to be shorter.", "Goal"),
        ("Currently the list is too long.", "Context"),
        ("We only call it from one place.", "Context"),
        ("Never write outside of the folder.", "Constraints"),
        ("The API must stay as it is.", "Constraints"),
        ("Make sure that the tests pass.", "Checks"),
        ("Add tests for the parser.", "Checks"),
    ],
)
def test_a_statement_goes_where_its_words_say(statement: str, expected: str) -> None:
    assert section(statement) == expected


SENTENCES = (
    "The list of users is read twice.",
    "We keep `users.json` in the home folder!",
    "Add a cache to the reader, and log every miss.",
    "Remove the second read of `load_users()`",
    "Do not touch the writer.",
    "The answer must not take longer than 200 ms.",
    "Run the tests of the reader and make sure they pass.",
    "It is slow because of that.",
    "See https://example.com/a?b=c for the report.",
    "Use these:\n\n- first the cache\n- then the “file”",
    "Here is how:\n\n```py\nread(1.5)\n\nread(2)\n```",
    "Read 3 files: src/a.py, src/b.py and e.g. src/c.py.",
    "What is the reason for the second read?",
)
HEADINGS = re.compile(r"^(?:Goal|Context|Constraints|Checks):\n", re.MULTILINE)


@given(
    st.permutations(SENTENCES),
    st.lists(st.sampled_from([" ", "\n", "\n\n", "  "]), min_size=13, max_size=13),
    st.data(),
)
def test_every_sentence_stands_once_in_the_drafts_order_within_its_section(
    sentences: list[str], gaps: list[str], data: st.DataObject
) -> None:
    draft = "".join(
        sentence + (gap if sentence[-1] != "`" else "\n")
        for sentence, gap in zip(sentences, gaps, strict=True)
    )
    last = iter(
        [
            "Goal",
            "Checks",
            "Context",
            *data.draw(st.lists(st.sampled_from(SECTIONS[1:]), min_size=13, max_size=13)),
        ]
    )
    edit = structure(Masked(draft), lambda _: next(last))
    if edit is None:  # the code or the quotation would change places
        return
    text = edit.text
    assert [text.count(sentence) for sentence in sentences] == [1] * len(sentences)
    assert sorted(HEADINGS.sub("", text).split()) == sorted(draft.split())
    for part in HEADINGS.split(text):
        places = [part.index(sentence) for sentence in sentences if sentence in part]
        assert places == sorted(places)
    assert text.endswith(draft[len(draft.rstrip()) :])
