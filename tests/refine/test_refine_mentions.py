"""Words that a draft speaks of stay as they are written; the same words used in it are corrected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.refine.guard import check
from anchorline.refine.mask import Masked
from anchorline.refine.mentions import mentioned
from anchorline.refine.propose import propose
from anchorline.refine.words import misspellings
from support.examples import examples

SLIPS = st.sampled_from(
    sorted(word for word, right in misspellings().items() if len(word) > 4 and " " not in right)
)
ASIDES = st.sampled_from(
    ["basically", "um", "uh", "you know", "honestly", "thanks", "thank you so much", "please"]
)
ABOUT_SLIPS = (
    "Replace {0} with {1} everywhere in docs/.", "Replace {0} by {1}", "Rename {0} to {1} in the client.",
    "Change every {0} to {1}.", "Search for {0} in src/ and list the files.", "grep for {0} and {1}",
    "Find all occurrences of {0} in the docs.", "Fix the typo {0} in README.md", "The word {0} is wrong in the manual.",
    "{0} -> {1}", "In the guide: {0} → {1}, nothing else", "The column {0} is missing in the export.",
    "We have a method called {0}, keep it.", "The API says {0} instead of {1}.", "It should be {1}, not {0}.",
    "Is it spelled {0} or {1}?", "How do you spell {0}?", "Make **{0}** bold.", "Reject these words: {0}, {1}.",
    "These strings are wrong:\n- {0}\n- {1}", "Misspellings to look for:\n\n{0}\n{1}\n", "The test expects {0}.",
    "button.title: {0}\nbutton.hint: {0} now", "Remove {0} from the word list.", "Delete the word {0}.",
    "In the docs it is {0}, elsewhere {1}.", "Set the label to {0}.", "The page reads: we {0} it",
    "The variable {0} in `a.py` is too long.", "Say \u2018{0}\u2019 in the footer.", "The German page says „{0}“.",
)  # fmt: skip
ABOUT_ASIDES = (
    "Remove every {0} from the docs.", "Remove {0} from the transcript.", "Strip the {0} from the text.",
    "Delete um, uh and {0} from the transcript.", "The footer should read: {0}!", "Replace {0} with nothing in templates/.",
    "Ban these words: um, {0}, actually.", "Why is there a {0} in the header?", "The page has {0} in it, drop that.",
    "Set the title to {0}", "The label is {0}", "End the mail with {0}", "Add this line to the footer: {0}!",
    "Use this greeting:\n\nHi there, {0}\n\nCould you please wait?\n\nThanks in advance!", "Print {0}",
    "Count the filler in it: well, {0}, it is slow.", "sorry → {0}", "Avoid {0} and um in transcripts.",
)  # fmt: skip


def written(draft: str) -> str:
    refined = propose(draft)
    assert refined.status != "unavailable", refined.reason
    return draft if refined.text is None else refined.text


@examples(600)
@given(st.sampled_from(ABOUT_SLIPS), SLIPS)
def test_a_misspelling_that_is_the_subject_stays(template: str, word: str) -> None:
    draft = template.format(word, misspellings()[word])
    assert written(draft) == draft


@examples(300)
@given(st.sampled_from(ABOUT_ASIDES), ASIDES)
def test_filler_and_politeness_that_are_the_subject_stay(template: str, words: str) -> None:
    draft = template.format(words)
    assert written(draft) == draft


@examples(200)
@given(st.sampled_from(ABOUT_SLIPS), SLIPS)
def test_nor_may_a_model_change_them(template: str, word: str) -> None:
    draft = template.format(word, misspellings()[word])
    if word in Masked(draft).prose:
        verdict = check(draft, draft.replace(word, misspellings()[word]))
        assert any("which the draft speaks of" in reason for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("draft", "refined"),
    [
        ("Could you please fix teh bug in `a.py`? Thanks in advance!", "Fix the bug in `a.py`."),
        ("Remove the seperate config loader from `a.py`", "Remove the separate config loader from `a.py`"),
        ("The fucntion retruns the wrong value.", "The function returns the wrong value."),
        ("We want to recieve data from the server.", "We want to receive data from the server."),
        ("Rename load() to fetch() in teh client, thanks", "Rename load() to fetch() in the client"),
        ("Basically, the loader is slow. Make it faster.", "The loader is slow. Make it faster."),
        ("Could you please add a header to the page?", "Add a header to the page."),
        ("Could you please replace seperate with separate?", "Replace seperate with separate."),
    ],
)
def test_words_that_are_used_are_still_corrected(draft: str, refined: str) -> None:
    assert written(draft) == refined


@examples(300)
@given(
    st.one_of(
        st.text(max_size=300),
        st.lists(st.sampled_from([*ABOUT_SLIPS, *ABOUT_ASIDES, "\n", " ", "İ"]), max_size=8).map("".join),
    )
)
def test_spans_are_in_order_and_within_the_draft(draft: str) -> None:
    position = 0
    for start, end in mentioned(Masked(draft)):
        assert position <= start <= end <= len(draft)
        position = end


def test_a_long_hostile_draft_is_read_in_time_of_its_length() -> None:
    for piece in ("replace the word ", "a -> ", "um, ", "the label to be ", "**a", "x: ", "not "):
        assert mentioned(Masked(piece * (60_000 // len(piece)))) is not None
