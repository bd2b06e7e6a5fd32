"""What holds for every draft: nothing is lost, nothing is invented, and a refined draft needs no refinement."""

import asyncio
from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from anchorline.plan import Refinement
from anchorline.refine.doubts import correct
from anchorline.refine.guard import check
from anchorline.refine.mask import ORDERED, Masked, entities
from anchorline.refine.propose import propose
from anchorline.refine.rewrite import Change, apply
from anchorline.surroundings import NOTHING, Diagnostic, Selection, Surroundings
from support.examples import examples
from support.scripted_model import Scripted

PIECES = st.sampled_from(
    [
        "Please could you maybe ", "I was wondering if you could ", "Could you please ", "Basically, ", "fix this", "it",
        "teh ", "the the ", "recieve ", "posibility ", "not ", "never ", "must ", "only ", "Thanks in advance!", "?", ". ",
        "! ", "\n", "\n\n", "\r\n", "\n\n\n\n", "  ", " ", ", ", "- one", "* two", "1. a", "2. b", "2. c", "\n- ", "\n* ",
        "\n2. ", "\n2) ", "`code`", "`", "```\nx = teh\n```", "```", "src/a.py", "https://x.org/a", "snake_case", "42", "v1.2.3",
        '"quoted teh"', '"', "${input:x}", "{{y}}", "<z>", "@me", "#1", "Look at the writer thread first. ", "JSON ", "This is ",
        "error", "Ä", "исправь ", "שלום ", "请修复", "\u200b", "\u202e", "\ud800", "\x00", "\U0001f600", ">>> f(1)\n1\n", "> said",
        "---\na: b\n---\n", "    indented", "def f():\n    \"\"\"Return.\"\"\"\n", "and then ", "Add a test. ", "the file ",
        "um, ", "you know, ", "this function ", "the selection ", "Um, ", "hey, ", ", thanks",
    ]
)  # fmt: skip
DRAFTS = st.one_of(st.lists(PIECES, max_size=24).map("".join), st.text(max_size=200))
NAMES = st.one_of(st.sampled_from(["src/a.py", "load", "x`y", "a\nb", ""]), st.text(max_size=12))
PLACES = st.one_of(
    st.just(NOTHING),
    st.builds(
        Surroundings,
        active_file=st.none() | NAMES,
        selection=st.none() | st.builds(Selection, NAMES, st.integers(1, 99), st.integers(1, 99)),
        symbol=st.none() | NAMES,
        diagnostics=st.lists(st.builds(Diagnostic, NAMES, st.integers(1, 99), NAMES), max_size=2).map(tuple),
    ),
)


def made(draft: str, refined: Refinement) -> str:
    return apply(draft, [Change(e.start, e.end, e.text, e.reason, "") for e in refined.edits])


@examples(400)
@given(DRAFTS, PLACES)
@example("Please could you maybe fix this?", Surroundings(selection=Selection("a.py", 1, 2), symbol="f"))
@example("1. a\n2. b\n2. b\n", NOTHING)
@example("recieve Basically, the the recieve posibility posibility ", NOTHING)
def test_a_refined_draft_proposes_nothing_more(draft: str, place: Surroundings) -> None:
    refined = propose(draft, place)
    assert refined.status != "unavailable", refined.reason
    if refined.text is not None:
        assert refined.status == "proposed"
        assert made(draft, refined) == refined.text != draft
        again = propose(refined.text, place)
        assert again.text is None, (refined.text, again.text)
    else:
        assert refined.edits == ()


@examples(400)
@given(DRAFTS, PLACES)
def test_every_proposal_passes_the_guard_and_keeps_its_blocks(draft: str, place: Surroundings) -> None:
    refined = propose(draft, place)
    if refined.text is not None:
        assert check(draft, refined.text, place).ok
        before = [entity.text for entity in entities(draft) if entity.kind in ORDERED]
        assert before == [entity.text for entity in entities(refined.text) if entity.kind in ORDERED]


@examples(200)
@given(DRAFTS, PLACES)
def test_the_same_draft_gets_the_same_answer(draft: str, place: Surroundings) -> None:
    assert propose(draft, place) == propose(draft, place)


@examples(300)
@given(DRAFTS)
def test_hints_and_edits_stay_within_the_draft(draft: str) -> None:
    refined = propose(draft)
    assert len(refined.hints) <= 2
    assert all(0 <= hint.start <= hint.end <= len(draft) for hint in refined.hints)
    edits = refined.edits
    assert all(0 <= edit.start <= edit.end <= len(draft) for edit in edits)
    assert all(edits[i].end <= edits[i + 1].start for i in range(len(edits) - 1))


@examples(300)
@given(DRAFTS)
def test_entities_are_slices_in_order_and_the_view_keeps_length(draft: str) -> None:
    masked = Masked(draft)
    assert len(masked.prose) == len(draft)
    position = 0
    for _, start, end, text in masked.entities:
        assert position <= start < end
        assert draft[start:end] == text
        position = end


@examples(200)
@given(DRAFTS, DRAFTS)
def test_the_guard_answers_for_any_candidate(draft: str, candidate: str) -> None:
    verdict = check(draft, candidate)
    assert verdict.ok == (not verdict.reasons)
    assert check(draft, draft).ok


@examples(400)
@given(DRAFTS, PLACES, st.lists(st.floats(-90, -10), min_size=16, max_size=16))
@example("Fix the crsh in `a`, it must not fial agan.", NOTHING, [-60.0, *[-40.0, -90.0] * 7, -90.0])
def test_whatever_a_model_likes_what_is_offered_passes_the_guard(
    draft: str, place: Surroundings, likes: list[float]
) -> None:
    proposed = propose(draft, place)
    refined = asyncio.run(correct(draft, proposed, place, Fickle(likes), seconds=20))
    if refined.engine == "rules":
        assert refined == proposed
    else:
        assert refined.text is not None
        assert made(draft, refined) == refined.text
        assert check(draft, refined.text, place).ok


class Fickle(Scripted):
    """A model that finds the labels as likely as a test says."""

    def __init__(self, likelihoods: list[float]) -> None:
        super().__init__()
        self.likelihoods = likelihoods

    async def score(
        self, text: str, labels: Sequence[str], *, instruction: str = "", chat: bool = True
    ) -> list[float]:
        return self.likelihoods[: len(labels)]
