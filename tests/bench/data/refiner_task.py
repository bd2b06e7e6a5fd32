"""The refiner's denoising task: clean passages of real prompts, spoilt, and what should come back.

Passages are paragraphs in which every entity is a number ("#1"): what the model sees and must copy is short,
and an entity survives or it does not. Which texts are trained on and which are kept for measuring follows from
session (specstory), file (awesome_copilot), problem (humaneval_xl) and repository (swebench_lite). What is
spoilt, and how, is in spoiling.py.
"""

import random
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from anchorline.refine import guard
from anchorline.refine.language import english, language
from anchorline.refine.mask import Masked
from anchorline.refine.passages import Passage, passages
from anchorline.refine.propose import propose
from anchorline.refine.words import known
from bench.data.refinement_data import Case, prompts
from bench.data.spoiling import NUMBERED, SENTENCE, SPOILERS

INSTRUCTION = "Repair the text."
"""The system turn: short, for the adapter and not the instruction says what to do."""
LONGEST = 300
"""Characters of a passage, its entities as numbers."""
SELECTED = "Selected: "
"""Comes, with one more number, before a passage where the editor shows what "this" may be."""
DEV_SHARE = 0.4
"""Share of sessions, files and problems that is kept for measuring."""


def kept_for_measuring(case: Case) -> bool:
    """Tell whether a case may not be trained on."""
    match case.source:
        case "specstory":
            group = case.name.split()[0]
        case "humaneval_xl":
            group = case.name.split("/")[1].split()[0]
        case "swebench_lite":
            group = case.name.split("__")[0]
        case "humanevalcomm":
            return True
        case _:
            group = case.name
    return zlib.crc32(f"refiner {group}".encode()) % 1000 < DEV_SHARE * 1000


class Example(NamedTuple):
    """What the model is shown, what it should answer, and what was put wrong."""

    draft: str
    clean: str
    kinds: tuple[str, ...]


def examples(folder: Path, *, seed: int, count: int, measuring: bool = False) -> list[Example]:
    """Return `count` examples from the prompts in `folder` that may be trained on, or from those kept back.

    The rules run over most spoilt passages first, as they do before the model is asked; so the model learns
    what they leave. No example's answer is one that the guard refuses.
    """
    chance = random.Random(seed)
    pool = _pool(folder, measuring)
    made: list[Example] = []
    shown: set[str] = set()
    while len(made) < count:
        source = chance.choices(list(pool), weights=[SHARES[name] for name in pool])[0]
        example = _example(chance.choice(pool[source]), chance)
        if example is None or example.draft in shown:
            continue
        unchanged = example.draft == example.clean
        if unchanged and chance.random() > 0.45:
            continue
        shown.add(example.draft)
        made.append(example)
    return made


SHARES = {"specstory": 5.0, "awesome_copilot": 4.0, "swebench_lite": 3.0, "humaneval_xl": 1.2}


def _pool(folder: Path, measuring: bool) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {name: {} for name in SHARES}
    withheld: dict[str, dict[str, None]] = {name: {} for name in SHARES}
    for case in prompts(folder):
        source = case.source.split("/")[0]
        if source not in SHARES or (source == "humaneval_xl" and not case.name.endswith(" text")):
            continue
        texts = [part for passage in passages(Masked(case.text)) for part in _cut(passage)]
        (withheld if kept_for_measuring(case) else found)[source].update(dict.fromkeys(texts))
    jargon = Counter(word for texts in found.values() for text in texts for word in set(_unknown(text)))
    if measuring:
        found, withheld = withheld, {}
    apart = {text for texts in withheld.values() for text in texts}
    return {
        source: [text for text in texts if text not in apart and _clean(text, jargon)]
        for source, texts in found.items()
    }


def _cut(passage: Passage) -> Iterator[str]:
    """Yield a passage, or runs of its sentences where it is long, numbered anew."""
    text = passage.text.strip()
    if len(text) <= LONGEST:
        yield _renumbered(text)
        return
    run = ""
    for match in SENTENCE.finditer(text):
        if len(run) + len(match[0]) > LONGEST * 2 // 3 and run:
            yield _renumbered(run)
            run = ""
        run = f"{run} {match[0]}".strip() if len(match[0]) <= LONGEST else ""
    if run:
        yield _renumbered(run)


def _renumbered(text: str) -> str:
    numbers = iter(range(1, len(text)))
    return NUMBERED.sub(lambda _: f"#{next(numbers)}", text)


def _unknown(text: str) -> list[str]:
    return [word for word in re.findall(r"(?<![\w#-])[a-z]{3,}(?![\w-])", text) if not known(word)]


def _clean(text: str, jargon: Counter[str]) -> bool:
    """Tell whether a passage is prose without a misspelling; a word unknown but frequent is jargon."""
    letters = sum(map(str.isalpha, text))
    if not len(text) >= 12 or letters < 0.6 * len(text) or len(text.split()) < 3 or "|" in text:
        return False
    if language(text) not in (None, "en"):
        return True
    return all(jargon[word] >= 3 for word in _unknown(text)) and propose(text).status == "unchanged"


def _example(clean: str, chance: random.Random) -> Example | None:
    if not english(clean) and language(clean) != "en" and len(clean) > 60:
        return Example(clean, clean, ("foreign",)) if chance.random() < 0.5 else None
    selected = False
    draft = clean
    kinds: list[str] = []
    if chance.random() < 0.2 and (pointed := _pointed(clean, chance)) is not None:
        draft, clean = pointed
        kinds, selected = ["this"], True
    for _ in range(chance.choices((0, 1, 2, 3), weights=(2, 6, 3, 1))[0]):
        name = chance.choices(list(SPOILERS), weights=[weight for weight, _ in SPOILERS.values()])[0]
        spoilt = SPOILERS[name][1](draft, chance)
        if spoilt is not None:
            draft, kinds = spoilt, [*kinds, name]
    if chance.random() < 0.8 and (proposed := propose(draft).text) is not None:
        draft = proposed
    count = len(NUMBERED.findall(clean))
    if not guard.check(draft, clean, allowed=[f"#{count}"] if selected else []).ok:
        return None
    if selected:
        return Example(f"{SELECTED}#{count}\n{draft}", clean, tuple(kinds))
    if chance.random() < 0.04:
        return Example(f"{SELECTED}#{count + 1}\n{draft}", clean, (*kinds, "selection unused"))
    return Example(draft, clean, tuple(kinds))


def _pointed(clean: str, chance: random.Random) -> tuple[str, str] | None:
    """Put "this" or the like for one entity behind a verb or a preposition, which becomes the last number."""
    total = len(NUMBERED.findall(clean))
    fits = [
        match.start() for match in POINTABLE.finditer(clean) if not ARTICLE.search(clean, 0, match.start())
    ]
    if not fits or total > 4:
        return None
    chosen = chance.choice(fits)
    others = iter(range(1, total))
    answer = NUMBERED.sub(lambda match: f"#{total if match.start() == chosen else next(others)}", clean)
    return answer.replace(f"#{total}", chance.choice(POINTING)), answer


POINTABLE = re.compile(
    r"(?<=[a-z] )#\d+(?=[.,!?]|\s(?:to|so|for|and|with|by|in|is|are|into|using|when|because)\b|\s*\Z)"
)
ARTICLE = re.compile(r"\b(?:the|an?|and|or|new) \Z", re.IGNORECASE)
POINTING = ("this", "this", "this", "it", "this one", "the selected code", "that")
