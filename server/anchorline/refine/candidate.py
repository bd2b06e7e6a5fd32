"""A language model's candidate: asked for passage by passage, and taken only as far as it is surely better.

The model may write what it likes. Of its text the differences from the rules' proposal are taken as edits: all of
them, if the guard lets the text pass, none drops or brings in a word of content, and fewer faults are left; else
those alone that put a known word for a similar misspelt one; else none, and the reason says why.

Before it writes, it chooses: of a misspelt word's corrections the one that its sentence makes likely (`doubts`).
That is one reading of the sentence, needs no writing, and even a very small model is good at it.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from difflib import SequenceMatcher
from typing import NamedTuple

import msgspec

from anchorline.generation import LanguageModel, Request, Unavailable
from anchorline.plan import Edit, Refinement
from anchorline.refine import guard
from anchorline.refine.doubts import settle
from anchorline.refine.ground import described
from anchorline.refine.language import english
from anchorline.refine.mask import Masked
from anchorline.refine.mentions import covers, mentioned
from anchorline.refine.passages import (
    LONGEST,
    NEAR,
    Passage,
    better,
    changes,
    passages,
    restorable,
    restored,
    unknown,
)
from anchorline.refine.propose import compose
from anchorline.refine.rewrite import Change, apply, rewrite
from anchorline.refine.templates import Template
from anchorline.surroundings import Surroundings

MOST_PASSAGES = 6
MOST_CHARACTERS = 1_500
"""Passages and characters of one draft that a model is asked about: the first ones."""
FEWEST_WORDS = 3
OFF_TRACK = 8
"""Words of an answer after which fewer than half may be the passage's: else it is no copy, and is stopped."""

FUNCTION_WORDS = (
    "a an the is are was were be been being am do does did has have had it its "
    "this that these those there of to"
)
"""Words that grammar may add, drop or change without another meaning; the guard watches over "not" and its kin."""
ENDINGS = frozenset({"", "s", "es", "e", "d", "ed", "ing", "y", "ies", "ied", "ly"})
"""What may differ at the end of two forms of one word."""


class PassageAnswer(NamedTuple):
    """What the model wrote of one passage, its entities as numbers."""

    passage: Passage
    text: str


def asked(draft: Masked) -> list[Passage]:
    """Returns the passages that a model is asked about: English prose of three words or more, not too long.

    None that is mentioned as a whole: a model would correct or leave out what is meant.
    """
    selection: list[Passage] = []
    room = MOST_CHARACTERS
    spoken_of = mentioned(draft)
    for passage in passages(draft):
        text = passage.text.strip()
        if (
            len(text) <= min(LONGEST, room)
            and len(text.split()) >= FEWEST_WORDS
            and any(map(str.islower, text))
            and english(text)
            and restorable(passage)
            and not covers(spoken_of, passage.start, passage.end)
        ):
            room -= len(text)
            selection.append(passage)
    return selection[:MOST_PASSAGES]


async def improve(
    draft: str,
    proposed: Refinement,
    surroundings: Surroundings,
    model: LanguageModel,
    template: Template,
    *,
    seconds: float,
    on_text: Callable[[str], None] = lambda _text: None,
) -> Refinement:
    """Returns the rules' proposal, or a better one with the model's help, within `seconds`.

    `on_text` gets the model's text piece by piece as it is written, entities in their places; joined, the pieces are
    the whole candidate. An exception from it stops the model and is passed on. Passages that are done when the time
    is over count. Whatever else happens to the model, the proposal stands and its reason says what happened;
    of a model that is not installed nothing is said.
    """
    base = proposed.text if proposed.text is not None else draft
    if proposed.status not in ("proposed", "unchanged") or not asked(Masked(base)):
        return proposed
    name = model.status.model or "the local model"
    answers: list[PassageAnswer] = []
    trouble = ""
    position = 0
    try:
        async with asyncio.timeout(seconds):
            proposed = chosen(draft, proposed, surroundings, await settle(Masked(base), model), name)
            base = proposed.text if proposed.text is not None else draft
            for passage in asked(Masked(base)):
                lead = passage.start + len(passage.text) - len(passage.text.lstrip())
                on_text(base[position:lead])
                text = await _answer(passage, surroundings, model, template, on_text)
                answers.append(PassageAnswer(passage, text))
                position = passage.start + len(_whole(passage).rstrip())
    except TimeoutError:
        trouble = f"{name} was not done within {seconds:g} s"
    except Unavailable as error:
        if error.status.state == "absent":
            return proposed
        trouble = f"{name} did not answer ({error})"
    else:
        on_text(base[position:])
    return judged(draft, proposed, surroundings, answers, name, trouble)


async def _answer(
    passage: Passage,
    surroundings: Surroundings,
    model: LanguageModel,
    template: Template,
    on_text: Callable[[str], None],
) -> str:
    text = passage.text.strip()
    request = Request(
        text=template.filled(text, described(surroundings)),
        instruction=template.instruction.strip(),
        copy_from=text,
        max_tokens=len(text) // 2 + 24,
    )
    words = Counter(words_of(text))
    written, shown = "", ""
    async with aclosing(model.generate(request)) as chunks:
        async for chunk in chunks:
            written += chunk.text
            ready = _settled(passage, written) if not chunk.finish else _filled(passage, written)
            on_text(ready[len(shown) :])
            shown = ready
            if off_track(words, written):
                break
    return written


def _settled(passage: Passage, written: str) -> str:
    """Returns the beginning of an answer that later pieces don't change: a number may still grow."""
    return _filled(passage, re.sub(r"#\d*\Z", "", written))


def _filled(passage: Passage, written: str) -> str:
    def entity(match: re.Match[str]) -> str:
        number = int(match[1])
        return passage.entities[number - 1].text if 0 < number <= len(passage.entities) else match[0]

    return re.sub(r"#(\d{1,6})", entity, written)


def off_track(words: Counter[str], written: str) -> bool:
    """Says whether an answer, though not yet done, is no copy of a passage of these words."""
    tokens = words_of(written)
    return len(tokens) >= OFF_TRACK and 2 * sum(word in words for word in tokens) < len(tokens)


def chosen(
    draft: str, proposed: Refinement, surroundings: Surroundings, spelled: list[Change], name: str
) -> Refinement:
    """Returns the proposal with the corrections that the model chose, if the guard lets them pass."""
    base = Masked(proposed.text if proposed.text is not None else draft)
    if not spelled or _refusals(draft, base, spelled, surroundings):
        return proposed
    return _with(draft, proposed, spelled, name, "")


def judged(
    draft: str,
    proposed: Refinement,
    surroundings: Surroundings,
    answers: Sequence[PassageAnswer],
    name: str,
    trouble: str = "",
) -> Refinement:
    """Returns the best of the rules' proposal and what the answers add to it; the reason tells of the model."""
    base = Masked(proposed.text if proposed.text is not None else draft)
    changes = [change for answer in answers for change in _changes(answer, name)]
    lost = any(_restored(answer) is None for answer in answers)
    refusals = ["loses or repeats a name"] if lost else _refusals(draft, base, changes, surroundings)
    if changes and not refusals:
        return _with(draft, proposed, changes, name, trouble)
    single = [change for change in changes if better(base, change)]
    if single and not _refusals(draft, base, single, surroundings):
        return _with(draft, proposed, single, name, trouble)
    if trouble:
        return _told(proposed, trouble)
    if not changes and proposed.engine == name:
        return proposed
    return _told(
        proposed, f"{name} had nothing to add" if not changes else f"{name} was left out: it {refusals[0]}"
    )


def faults(draft: Masked) -> int:
    """Counts what is wrong with a text: words that no dictionary knows, and what the rules would still change."""
    return len(unknown(draft.prose)) + len(rewrite(draft))


def _refusals(draft: str, base: Masked, changes: Sequence[Change], surroundings: Surroundings) -> list[str]:
    if not changes:
        return []
    text = apply(base.text, list(changes))
    verdict = guard.check(draft, text, surroundings)
    after = Masked(text)
    reasons = list(verdict.reasons)
    for change in changes:
        reasons += _unfaithful(base.text[change.start : change.end], change.text)
    if not reasons and faults(after) >= faults(base):
        reasons.append("has no fewer faults")
    return reasons


def _unfaithful(old: str, new: str) -> Iterator[str]:
    """Finds words of content that a change drops or brings in, where it does not only spell them otherwise."""
    before, after = Counter(words_of(old)), Counter(words_of(new))
    gone, fresh = sorted((before - after).keys()), sorted((after - before).keys())
    for word in gone:
        if word not in _FUNCTION_WORDS and not any(_same(word, other) for other in fresh):
            yield f"drops “{word}”"
    for word in fresh:
        if word not in _FUNCTION_WORDS and not any(_same(other, word) for other in gone):
            yield f"brings in “{word}”"


def _same(old: str, new: str) -> bool:
    """Says whether `new` is another form of a word, or the known word that a misspelt one is like.

    Letters in common are not enough: "enable" and "disable" have five.
    """
    stem = next(
        (at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    if stem >= 3 and {old[stem:], new[stem:]} <= ENDINGS:
        return True
    return bool(unknown(old)) and SequenceMatcher(None, old, new, autojunk=False).ratio() >= NEAR


_FUNCTION_WORDS = frozenset(FUNCTION_WORDS.split())
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*|#\d+")


def words_of(text: str) -> list[str]:
    """Returns the words and numbers of a passage, lower case."""
    return [match[0].lower() for match in _WORD.finditer(text)]


def _changes(answer: PassageAnswer, name: str) -> list[Change]:
    return changes(answer.passage, _padded(answer), f"corrected by {name}")


def _restored(answer: PassageAnswer) -> str | None:
    return restored(answer.passage, _padded(answer))


def _padded(answer: PassageAnswer) -> str:
    """Returns the answer with the white space that the passage begins and ends with."""
    text = answer.passage.text
    lead, tail = len(text) - len(text.lstrip()), len(text.rstrip())
    return text[:lead] + answer.text.strip() + text[tail:]


def _whole(passage: Passage) -> str:
    return restored(passage, passage.text) or passage.text


def _with(draft: str, proposed: Refinement, changes: list[Change], name: str, trouble: str) -> Refinement:
    first = [Change(edit.start, edit.end, edit.text, edit.reason, "rules") for edit in proposed.edits]
    composed = compose(draft, first, sorted(changes)) if first else sorted(changes)
    edits = tuple(Edit(change.start, change.end, change.text, change.reason) for change in composed)
    reasons = [f"corrected by {name}"]
    if proposed.status == "proposed":
        reasons.insert(0, proposed.reason)
    text = apply(draft, list(composed))
    improved = msgspec.structs.replace(
        proposed, status="proposed", reason="; ".join(reasons), text=text, edits=edits, engine=name
    )
    return _told(improved, trouble) if trouble else improved


def _told(refinement: Refinement, more: str) -> Refinement:
    return msgspec.structs.replace(refinement, reason=f"{refinement.reason}; {more}")
