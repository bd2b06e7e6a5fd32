"""Words that are surely misspelt in a way that only their sentence can settle: "fiel" is "file", "field" or "feel".

`spelling` corrects a word where the dictionary leaves one choice. Where it leaves several, a language model may
choose among them, and only among them: the draft is scored with each choice in place of the word, the word itself
included (Kernighan, Church and Gale 1990: a noisy channel, here with equal chances for all slips).
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from string import ascii_lowercase
from typing import NamedTuple

import msgspec

from anchorline.generation import LanguageModel, Unavailable
from anchorline.plan import Edit, Refinement
from anchorline.refine import guard
from anchorline.refine.language import english
from anchorline.refine.mask import Masked
from anchorline.refine.mentions import mentioned, touches
from anchorline.refine.passages import passages
from anchorline.refine.propose import compose
from anchorline.refine.rewrite import Change, apply
from anchorline.refine.spelling import one_slip
from anchorline.refine.words import common, known
from anchorline.surroundings import Surroundings

MOST = 8
"""Doubts of one draft that a model is asked about, the first ones."""
MOST_CHOICES = 12
BEFORE, AFTER = 240, 60
"""Characters of the sentence that are scored with a word."""
SURE = 10.0
"""Nats by which the best choice must be likelier than the word as it stands."""
CLEAR = 1.0
"""Nats by which it must be likelier than the next best."""


class Doubt(NamedTuple):
    """The draft's characters `start:end`, what they may be meant to be, and the text around them.

    White space before the word is the labels' and not the text's: to a model it is a part of the word.
    """

    start: int
    end: int
    word: str
    choices: tuple[str, ...]
    before: str
    after: str

    def text(self) -> str:
        """Returns what a model reads first: an empty line where the draft begins with the word."""
        return self.before.rstrip() or "\n"

    def labels(self) -> list[str]:
        """Returns how the text may go on: as it stands, and with each choice."""
        gap = self.before[len(self.before.rstrip()) :]
        return [gap + word + self.after for word in (self.word, *self.choices)]


_WORDS = re.compile(r"(?<![\w'\u2019#/.\\-])[a-z]{4,20}(?![\w'\u2019/-]|\.\w)")


def doubts(draft: Masked) -> list[Doubt]:
    """Returns the doubtful words of a draft, in order.

    A word that stands twice is taken for a name; one that the draft speaks of stays.
    """
    if not english(draft.prose):
        return []
    candidates: list[Doubt] = []
    spoken_of = mentioned(draft)
    for passage in passages(draft):
        for match in _WORDS.finditer(passage.text):
            word = match[0]
            if known(word) or draft.low.count(word) > 1:
                continue
            choices = _choices(word)
            start = passage.position(match.start())
            if choices and not touches(spoken_of, start, start + len(word)):
                before = passage.text[max(0, match.start() - BEFORE) : match.start()]
                after = passage.text[match.end() : match.end() + AFTER].partition("\n")[0]
                candidates.append(Doubt(start, start + len(word), word, choices, before, after))
    return candidates[:MOST]


def _choices(word: str) -> tuple[str, ...]:
    """Returns the common words one slip away, the first letter included."""
    near = one_slip(word) | {letter + word[1:] for letter in ascii_lowercase} | {word[1:]}
    near.add(word[1] + word[0] + word[2:])
    return tuple(sorted(near & common()))[:MOST_CHOICES]


async def settle(draft: Masked, model: LanguageModel) -> list[Change]:
    """Returns the corrections that a model is sure of. Nothing is generated. Raises Unavailable."""
    corrections: list[Change] = []
    for doubt in doubts(draft):
        change = settled(doubt, await model.score(doubt.text(), doubt.labels(), chat=False))
        if change is not None:
            corrections.append(change)
    return corrections


def settled(doubt: Doubt, scores: Sequence[float]) -> Change | None:
    """Returns the correction, given the log-probability of each of `doubt.labels()`, or None where none is clear."""
    stands, *others = scores
    ranked: Iterator[tuple[float, str]] = iter(sorted(zip(others, doubt.choices, strict=True), reverse=True))
    best, choice = next(ranked)
    second, _ = next(ranked, (float("-inf"), ""))
    if best - stands < SURE or best - second < CLEAR:
        return None
    return Change(doubt.start, doubt.end, choice, f"spelling: {doubt.word} \u2192 {choice}", "doubt")


async def correct(
    draft: str, proposed: Refinement, surroundings: Surroundings, model: LanguageModel, *, seconds: float
) -> Refinement:
    """Returns the rules' proposal with the corrections that the model is sure of, asked for `seconds` at most.

    A draft without doubts asks nothing. Whatever happens to the model, the proposal stands and its reason says what
    happened; of a model that is not installed nothing is said.
    """
    base = Masked(proposed.text if proposed.text is not None else draft)
    if proposed.status not in ("proposed", "unchanged") or not doubts(base):
        return proposed
    name = model.status.model or "the local model"
    try:
        async with asyncio.timeout(seconds):
            changes = await settle(base, model)
    except TimeoutError:
        return _explained(proposed, f"{name} was not done within {seconds:g} s")
    except Unavailable as error:
        if error.status.state == "absent":
            return proposed
        return _explained(proposed, f"{name} did not answer ({error})")
    if not changes or not guard.check(draft, apply(base.text, changes), surroundings).ok:
        return proposed
    return _corrected(draft, proposed, changes, name)


def _corrected(draft: str, proposed: Refinement, changes: list[Change], name: str) -> Refinement:
    by_rules = [Change(edit.start, edit.end, edit.text, edit.reason, "rules") for edit in proposed.edits]
    composed = compose(draft, by_rules, changes)
    reason = f"corrected by {name}"
    return msgspec.structs.replace(
        proposed,
        status="proposed",
        reason=f"{proposed.reason}; {reason}" if proposed.status == "proposed" else reason,
        text=apply(draft, composed),
        edits=tuple(Edit(change.start, change.end, change.text, change.reason) for change in composed),
        engine=name,
    )


def _explained(refinement: Refinement, trouble: str) -> Refinement:
    return msgspec.structs.replace(refinement, reason=f"{refinement.reason}; {trouble}")
