"""What the refinement bench measures on, and with: real prompts, seeded defects, and measures of its own.

The measures don't use `anchorline.refine.mask`: a gate checked by the code it gates would prove little. They
are plain patterns for the kinds of entities that nobody disputes.
"""

import gzip
import json
import random
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from anchorline.refine.words import common, known
from anchorline.surroundings import NOTHING, Selection, Surroundings

FENCE = re.compile(r"^[ \t]*(```|~~~)[^\n]*\n.*?^[ \t]*\1[ \t]*$", re.MULTILINE | re.DOTALL)
DOCTEST = re.compile(r"^[ \t]*>>> [^\n]*(?:\n[ \t]*(?!>>>|\"\"\"|''')\S[^\n]*)*", re.MULTILINE)
ENTITIES = (
    re.compile(r"https?://[^\s)>\]\"'`]+"),
    re.compile(r"(?<!`)`[^`\n]+`(?!`)"),
    re.compile(r"\$\{[^}\n]*\}|\{\{[^}\n]*\}\}|<[A-Za-z][\w .:-]*>"),
    re.compile(r"(?<![\w/])[\w.~@-]*/[\w./-]+\.\w{1,5}\b"),
    re.compile(r"\b\w+\.(?:py|js|ts|tsx|go|rs|java|md|json|ya?ml|toml|txt|sql|sh|css|html)\b"),
    re.compile(r"\b[A-Za-z]+_\w+\b|\b[a-z]+[A-Z]\w*\b|\b[A-Z][a-z]+[A-Z]\w*\b"),
    re.compile(r"(?m)(?<!^)(?<![\w.])\d[\d.,:]*\d\b|(?<=\s)\d\b(?![.)] )"),
    re.compile(r"(?<!\w)@[\w./-]+|(?<!\w)#\d+|(?<!\w)--[a-z][\w-]+"),
    re.compile(r"\"[^\"\n]{1,200}\""),
)
OBLIGATIONS = re.compile(
    r"\b(?:not|never|only|must|without|cannot|should)\b|\w+n['\u2019]t\b|\bdont\b", re.IGNORECASE
)


def entities(text: str) -> Counter[str]:
    """Count the entities of a text by the bench's own patterns."""
    return Counter(match[0] for pattern in ENTITIES for match in pattern.finditer(text))


def blocks(text: str) -> list[str]:
    """Return fences and doctests, in order."""
    return [match[0] for pattern in (FENCE, DOCTEST) for match in pattern.finditer(text)]


def obligations(text: str) -> Counter[str]:
    """Count negations and modals; a contraction without its apostrophe counts as the one with it."""
    return Counter(re.sub(r"['\u2019]", "", match[0].lower()) for match in OBLIGATIONS.finditer(text))


class Case(NamedTuple):
    """A draft, where it comes from, and what the editor shows."""

    source: str
    name: str
    text: str
    surroundings: Surroundings = NOTHING


KEPT_SHARE = 0.4
"""Share of sessions, files and problems that nothing is tuned on."""


def kept_for_measuring(case: Case) -> bool:
    """Tell whether nothing may be tuned on a case: by session, file, problem or repository."""
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
    return zlib.crc32(f"refiner {group}".encode()) % 1000 < KEPT_SHARE * 1000


def prompts(folder: Path) -> Iterator[Case]:
    """Yield every prompt of `folder` (laid out as `refine/` of the data)."""
    for path in sorted((folder / "awesome_copilot").rglob("*.md")):
        kind = "prompts" if path.parent.name == "prompts" else "instructions"
        yield Case(f"awesome_copilot/{kind}", path.name, path.read_text("utf-8"))
    yield from specstory(folder)
    for path in sorted((folder / "humaneval_xl").glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            yield Case("humaneval_xl", f"{path.stem} {row['task_id']}", row["prompt"])
            yield Case("humaneval_xl", f"{path.stem} {row['task_id']} text", row["description"])
    for row in rows(folder / "swebench_lite_classified.jsonl.gz"):
        yield Case("swebench_lite", row["instance_id"], row["problem_statement"])
    for row in rows(folder / "humanevalcomm.jsonl.gz"):
        for key in ("prompt", "prompt1a", "prompt1c", "prompt1p", "prompt2ac", "prompt2ap"):
            if row.get(key):
                yield Case("humanevalcomm", f"{row['name']} {key}", row[key])


def specstory(folder: Path) -> Iterator[Case]:
    """Yield what developers wrote to their agents; commands of the agent's own interface are left out."""
    for path in sorted((folder / "specstory_sessions").glob("*.md*")):
        text = (
            gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text("utf-8")
        )
        parts = re.split(r"^_\*\*(User|Agent)[^\n]*\*\*_$", text, flags=re.MULTILINE)
        for number, (who, body) in enumerate(zip(parts[1::2], parts[2::2], strict=True)):
            draft = re.sub(r"\n---\s*\Z", "", body.strip()).strip()
            if who == "User" and draft and not draft.startswith(("<", "[Request interrupted")):
                yield Case("specstory", f"{path.name} {number}", draft)


def rows(path: Path) -> list[dict[str, str]]:
    """Read gzipped JSON lines; a missing file holds none."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


class Seeded(NamedTuple):
    """A real prompt with one defect put in: `draft` is refined, `clean` is what should come back."""

    kind: str
    clean: str
    draft: str
    surroundings: Surroundings = NOTHING
    facts: tuple[str, ...] = ()


REQUESTS = (
    "Please could you maybe ",
    "I was wondering if you could ",
    "Could you please ",
    "Can you please just ",
    "I would really appreciate it if you could ",
    "If you don't mind, ",
)
ASIDES = (
    "Basically, ",
    "To be honest, ",
    "Um, ",
    "So basically, ",
    "I mean, ",
    "Hi there, ",
    "Okay so like, ",
)
TAILS = (" Thanks in advance!", " Thank you so much!", " Hope this makes sense.")
SENTENCE = re.compile(
    r"(?<=[.!?] )[A-Z][^.!?\n`]{20,200}[.!?](?= |\n|\Z)|(?m:^)[A-Z][^.!?\n`]{20,200}[.!?](?= |\n|\Z)"
)
VERBS = re.compile(
    r"(?:Add|Address|Change|Check|Clean|Consider|Convert|Do|Drop|Explain|Find|Finish|Fix|Implement|Look|Make|Move|Put|Read"
    r"|Refactor|Remove|Rename|Replace|Research|Review|Run|Show|Take|Tell|Update|Use|Write)\b"
)
TARGET = re.compile(
    r"`[\w./()-]+`|(?<![\w/`])[\w./-]+\.(?:go|md|py|ts|json|yml)\b|\b[a-z]+[A-Z]\w+\b(?:\(\))?"
)


BEFORE_THIS = re.compile(r"(?:^|\s)(?!the\b|a\b|an\b)[A-Za-z]+ $")
AFTER_THIS = re.compile(
    r"[.,!?]|\s*\Z|\s(?:to|so|for|and|with|by|as|from|into|in|is|are|using|when|because)\b|\n"
)


def seeded(folder: Path, keep: Callable[[Case], bool] = lambda _: True) -> Iterator[Seeded]:
    """Yield every real developer prompt of 40 to 4000 characters that `keep` keeps with each defect that fits it.

    Which word or sentence is hit follows from the prompt itself (CRC-32 seeds the choice), so that the same
    data gives the same seeds.
    """
    for case in filter(keep, specstory(folder)):
        if not 40 <= len(case.text) <= 4000 or "```" in case.text:
            continue
        chance = random.Random(zlib.crc32(case.text.encode()))
        for seed in (_typo, _filler, _duplicate, _list):
            made = seed(case.text, chance)
            if made is not None and made.draft != made.clean:
                yield made
    for case in filter(keep, specstory(folder)):
        made = _this(case.text)
        if made is not None:
            yield made


def _typo(text: str, chance: random.Random) -> Seeded | None:
    words = [
        match
        for match in re.finditer(r"(?<![\w`/.@-])[a-z]{5,14}(?=[ ,.?!]|\Z)", text)
        if match[0] in common()
    ]
    chance.shuffle(words)
    for match in words[:8]:
        wrong = _misspell(match[0], chance)
        if wrong != match[0] and not known(wrong):
            return Seeded("typo", text, text[: match.start()] + wrong + text[match.end() :])
    return None


def _misspell(word: str, chance: random.Random) -> str:
    at = chance.randrange(1, len(word) - 1)
    slip = chance.randrange(4)
    if slip == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if slip == 1:
        return word[:at] + word[at + 1 :]
    if slip == 2:
        return word[:at] + word[at] + word[at:]
    return word[:at] + chance.choice("aeioustrnl") + word[at + 1 :]


def _filler(text: str, chance: random.Random) -> Seeded | None:
    kind = chance.randrange(3)
    if kind == 0 and VERBS.match(text):
        first = SENTENCE.match(text)
        if first is None or "?" in first[0]:
            return None
        asked = first[0][:-1] + "?" if chance.random() < 0.5 else first[0]
        draft = chance.choice(REQUESTS) + asked[0].lower() + asked[1:] + text[first.end() :]
        return Seeded("filler", text, draft)
    if kind == 1 and text[0].isupper() and text[1:2].islower() and not text.startswith("I "):
        return Seeded("filler", text, chance.choice(ASIDES) + text[0].lower() + text[1:])
    if text.endswith((".", "!", "?")):
        return Seeded("filler", text, text + chance.choice(TAILS))
    return None


def _duplicate(text: str, chance: random.Random) -> Seeded | None:
    found = list(SENTENCE.finditer(text))
    if not found:
        return None
    match = chance.choice(found)
    return Seeded("duplicate", text, text[: match.end()] + " " + match[0] + text[match.end() :])


def _list(text: str, chance: random.Random) -> Seeded | None:
    items = [match[0].strip() for match in SENTENCE.finditer(text)]
    if len(items) < 3:
        return None
    if chance.random() < 0.5:
        clean = "\n".join(f"- {item}" for item in items)
        broken = clean.split("\n")
        at = chance.randrange(1, len(items))
        broken[at] = chance.choice("*•") + broken[at][1:]
        return Seeded("list", clean, "\n".join(broken))
    clean = "\n".join(f"{number}. {item}" for number, item in enumerate(items, 1))
    at = chance.randrange(1, len(items))
    broken = [f"{number if number <= at else number - 1}. {item}" for number, item in enumerate(items, 1)]
    return Seeded("list", clean, "\n".join(broken))


def _this(text: str) -> Seeded | None:
    """Put "this" for the only target of a request, and the target into the editor's selection.

    Only where the target stands alone behind a verb or a preposition, so that the sentence stays one.
    """
    found = list(TARGET.finditer(text))
    if len(text) > 240 or len(found) != 1 or "\n" in text[: found[0].end()]:
        return None
    start, end = found[0].span()
    if not BEFORE_THIS.search(text[:start]) or not AFTER_THIS.match(text, end):
        return None
    symbol = found[0][0].strip("`")
    surroundings = Surroundings("pkg/main.go", Selection("pkg/main.go", 12, 40), symbol)
    return Seeded(
        "this", text, text[:start] + "this" + text[end:], surroundings, (symbol, "pkg/main.go:12-40")
    )


HANDMADE = (
    "fix this", "Refactor this.", "explain this please", "what does this do?", "why does this fail?",
    "How does this work", "add tests for this", "write a docstring for this", "simplify this",
    "optimize this, it is too slow", "explain what this function does", "can you review this?",
    "This is broken.", "this function is too long, split it", "rename this to something better",
    "Make this faster", "convert this to async", "Is this thread safe?", "clean up the selected code",
    "document the selection", "test this method", "What is wrong with this?", "this should return a list",
    "move this into its own file",
)  # fmt: skip
"""Requests as people write them with code selected: the real sessions hold too few for a narrow interval."""


def handmade() -> list[Seeded]:
    """Return the handmade requests, each with a selection."""
    surroundings = Surroundings("src/config.py", Selection("src/config.py", 40, 71), "parse_config")
    facts = ("parse_config", "src/config.py:40-71")
    return [Seeded("this, handmade", text, text, surroundings, facts) for text in HANDMADE]
