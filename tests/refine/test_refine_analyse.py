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
