"""Intent, what is missing, features and score."""

import pytest

from anchorline.refine.analyse import Intent, analyse
from anchorline.refine.mask import Masked

STUB = 'def mean(numbers):\n    """{0}"""\n'


@pytest.mark.parametrize(
    ("draft", "intent"),
    [
        ("Fix the crash in the parser", "fix"),
        ("yes, fix it", "fix"),
        ("The export crashes when the list is empty.", "fix"),
        ("Write unit tests for the parser", "test"),
        ("Add a `--json` flag to the list command", "edit"),
        ("Let's rename this to something better", "edit"),
        ("Explain how the cache works", "explain"),
        ("What does `go mod graph` do?", "explain"),
        ("Is there a way to run only one test?", "ask"),
        ("Review the changes on this branch", "review"),
        ("Design a change so that there is no HEAD request", "plan"),
        ("proceed", "other"),
        ("2", "other"),
        (STUB.format("Return the mean."), "edit"),
    ],
)
def test_intent_follows_the_first_verb(draft: str, intent: Intent) -> None:
    assert analyse(Masked(draft)).intent == intent


@pytest.mark.parametrize(
    ("draft", "missing"),
    [
        ("refactor this", ("reference",)),
        ("fix the bug", ("target", "symptom")),
        ("fix `parse_config`", ("symptom",)),
        ("fix `parse_config`, it fails on empty files", ()),
        ("fix #123", ()),
        ("Add a flag to the list command", ()),
        ("What does this do?", ()),
        (STUB.format("Return the mean."), ("specification",)),
        (STUB.format("Return the mean.\n    >>> mean([1, 3])\n    2\n    "), ()),
        (STUB.format("Return the mean of the\n\n    "), ("specification",)),
    ],
)
def test_only_what_the_intent_needs_is_missing(draft: str, missing: tuple[str, ...]) -> None:
    assert analyse(Masked(draft)).missing == missing


def test_other_languages_get_fewer_claims() -> None:
    analysis = analyse(Masked("Behebe den Fehler, der in der Funktion auftritt, und ist das nicht richtig?"))
    assert (analysis.language, analysis.intent, analysis.missing) == ("de", "ask", ())
    assert analyse(Masked("Исправь это")).language == "cyrillic"


def test_features_count_what_is_there() -> None:
    features = analyse(Masked("Fix `a` in b/c.py, not 3 TIMES\n- x\n- y\n```\nz\n```\nwhy?")).features
    assert (features.fences, features.code_spans, features.paths, features.numbers) == (1, 1, 1, 1)
    assert (features.lines, features.list_items, features.questions, features.negations) == (7, 2, 1, 1)
    assert 0 < features.upper_share < features.symbol_share < 0.5
    assert 0 < features.masked_share < 1


def test_a_draft_that_says_more_scores_higher() -> None:
    drafts = [
        "fix this",
        "fix `parse_config`",
        "Fix `parse_config` in src/config.py, it must not raise on empty files.",
    ]
    scores = [analyse(Masked(draft)).score for draft in drafts]
    assert scores == sorted(scores)
    assert scores[0] < 0.3
    assert 0.6 < scores[-1] <= 1


COMPLETE = "Return the smallest even value of the list.\n    >>> smallest([4, 2, 3])\n    2\n    "


@pytest.mark.parametrize(
    ("open_", "kind", "words"),
    [
        (COMPLETE.replace("smallest even", "smallest or largest"), "choice", "smallest or largest"),
        (COMPLETE.replace("an even", "an").replace("even", "certain"), "unspecific", "certain"),
        (COMPLETE.replace("the list", "k lists"), "undefined", "k"),
        (COMPLETE[: COMPLETE.index(">>>")], "no example", None),
        (COMPLETE[COMPLETE.index(">>>") :], "no rule", None),
    ],
)
def test_a_specification_that_leaves_something_open_is_less_clear(
    open_: str, kind: str, words: str | None
) -> None:
    complete, leaves_open = analyse(Masked(STUB.format(COMPLETE))), analyse(Masked(STUB.format(open_)))
    assert complete.missing == ()
    assert complete.unclear < leaves_open.unclear < 1
    found = {sign.kind: open_[sign.start : sign.end] for sign in leaves_open.signs}
    assert kind in found
    assert words is None or found[kind] == words


def test_a_case_is_no_choice() -> None:
    case = COMPLETE.replace("list.", "list, if it is even or odd.")
    choice = COMPLETE.replace("value", "even or odd value")
    assert analyse(Masked(STUB.format(case))).unclear < analyse(Masked(STUB.format(choice))).unclear


def test_of_a_long_report_nothing_is_said_to_be_missing() -> None:
    vague = "It somehow went bad for a few people, maybe because of the last release. " * 6
    assert analyse(Masked(f"Fix the export. {vague}")).missing == ()
