"""What can be wrong with a passage: functions that spoil a clean one, each in one way, or return None.

`SPOILERS` has them all. They share no code and no phrase with the seeding of refinement_data.py. Slips of the finger (a letter swapped, lost,
doubled) are what they are in both; here keys are replaced by their neighbours on the keyboard, letters are
slipped in, vowels confused and spaces lost, several at a time, in words of any length.
"""

import random
import re
from collections.abc import Callable

from anchorline.refine.words import known

NUMBERED = re.compile(r"#\d+")
WORD = re.compile(r"(?<![\w#'\u2019/-])[A-Za-z]{3,16}(?![\w'\u2019/-])")
SENTENCE = re.compile(r"[^\s.!?][^.!?\n]*[.!?]+(?=\s|\Z)")


def _misspelt(text: str, chance: random.Random) -> str | None:
    """Misspell one to three words. No result is a word of the dictionary."""
    words = [match for match in WORD.finditer(text) if match[0][1:].islower()]
    if not words:
        return None
    weights = [min(10, len(match[0])) for match in words]
    times = min(len(words), chance.choices((1, 2, 3), weights=(6, 3, 1))[0])
    for match in sorted(set(chance.choices(words, weights, k=times)), key=re.Match.start, reverse=True):
        wrong = chance.choice(SLIPS)(match[0], chance)
        if wrong != match[0] and not known(wrong.lower()):
            text = text[: match.start()] + wrong + text[match.end() :]
    return text


def _neighbour(word: str, chance: random.Random) -> str:
    """Hit the key beside the right one, instead of it or as well."""
    at = chance.randrange(1, len(word))
    keys = NEIGHBOURS.get(word[at])
    if keys is None:
        return word
    return word[:at] + chance.choice(keys) + word[at + chance.randrange(2) :]


def _lost(word: str, chance: random.Random) -> str:
    at = chance.randrange(1, len(word))
    return word[:at] + word[at + 1 :]


def _swapped(word: str, chance: random.Random) -> str:
    at = chance.randrange(len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _twice(word: str, chance: random.Random) -> str:
    at = chance.randrange(len(word))
    return word[: at + 1] + word[at] * chance.choice((1, 1, 1, 2)) + word[at + 1 :]


def _by_ear(word: str, chance: random.Random) -> str:
    """Spell a word as it sounds."""
    found = [(match.span(), heard) for said, heard in SOUNDS for match in re.finditer(said, word)]
    if not found:
        return word
    (start, end), heard = chance.choice(found)
    return word[:start] + heard + word[end:]


def _two_slips(word: str, chance: random.Random) -> str:
    return _lost(_neighbour(word, chance), chance) if len(word) > 7 else _swapped(word, chance)


SLIPS: tuple[Callable[[str, random.Random], str], ...] = (
    _neighbour, _neighbour, _lost, _lost, _swapped, _swapped, _twice, _by_ear, _by_ear, _two_slips,
)  # fmt: skip
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
NEIGHBOURS = {
    key: "".join(
        row[at]
        for near, row in enumerate(ROWS)
        if abs(near - line) <= 1
        for at in range(max(0, place - 1), min(len(row), place + 2))
        if row[at] != key
    )
    for line, keys in enumerate(ROWS)
    for place, key in enumerate(keys)
}
SOUNDS = (
    ("ie", "ei"), ("ei", "ie"), ("ent", "ant"), ("ance", "ence"), ("ible", "able"), ("able", "ible"),
    ("tion", "sion"), ("ph", "f"), ("ck", "k"), ("(?<=.)e(?=.)", "a"), ("(?<=.)a(?=.)", "e"), ("i(?=.)", "e"),
    ("ss", "s"), ("ll", "l"), ("mm", "m"), ("tt", "t"), ("cc", "c"), ("rr", "r"), ("ough", "uff"), ("c(?=[ei])", "s"),
    ("ation", "aton"), ("ate", "eat"), ("ur", "er"), ("er(?=.)", "re"), ("ly", "lly"), ("ful", "full"), ("u(?=.)", "oo"),
)  # fmt: skip


def _wordy(text: str, chance: random.Random) -> str | None:
    """Put filler at the beginning, at the end, or between two sentences."""
    first = re.match(r"[A-Z][a-z]+", text)
    where = chance.randrange(3)
    if where == 0 and first is not None:
        opener = chance.choice(ASKING if first[0].lower() in VERBS else OPENING)
        return opener + text[0].lower() + text[1:]
    ends = [match.end() for match in SENTENCE.finditer(text)]
    if where == 1 and text[-1:] in (".", "!", "?"):
        return text + " " + chance.choice(CLOSING)
    if len(ends) > 1 and text[ends[0] : ends[0] + 1] == " ":
        return text[: ends[0]] + " " + chance.choice(BETWEEN) + text[ends[0] :]
    return None


ASKING = (
    "can u pls ", "could you go ahead and ", "if you get a chance, ", "hey, quick one: ", "so, I'd love for you to ",
    "would you be so kind to ", "it would be super nice of you to ", "ok so now I need you to please ", "yo, ",
    "I need your help here, so ", "would you mind to ", "when you have a minute, ", "alright, so now ", "pls pls ",
)  # fmt: skip
OPENING = (
    "so yeah, ", "ok so, ", "right, ", "like I was saying, ", "you see, ", "alright so ", "anyway, ", "erm, ", "hmm ok, ",
    "hey hey, ", "I guess what I'm trying to say is: ", "as you surely know, ", "good morning! ",
)  # fmt: skip
CLOSING = (
    "Thx a bunch!!", "Much appreciated :)", "You're the best.", "Cheers mate!", "Thanks for your patience.",
    "Sorry for the long message.", "I hope that is clear.", "Have a nice day!", "TIA!", "That's it I think.",
)  # fmt: skip
BETWEEN = ("Anyway.", "So yeah.", "You get the idea.", "I hope you follow.", "Right?", "Ok.", "Hmm.")
VERBS = frozenset(
    [
        "add",
        "address",
        "allow",
        "apply",
        "avoid",
        "build",
        "change",
        "check",
        "clean",
        "compare",
        "consider",
        "convert",
        "create",
        "define",
        "describe",
        "do",
        "document",
        "drop",
        "ensure",
        "explain",
        "extract",
        "find",
        "fix",
        "follow",
        "format",
        "generate",
        "get",
        "give",
        "handle",
        "implement",
        "include",
        "keep",
        "let",
        "list",
        "look",
        "make",
        "move",
        "note",
        "provide",
        "put",
        "read",
        "refactor",
        "remove",
        "rename",
        "replace",
        "review",
        "run",
        "set",
        "show",
        "start",
        "take",
        "tell",
        "test",
        "try",
        "update",
        "use",
        "validate",
        "verify",
        "write",
    ]
)


def _said_again(text: str, chance: random.Random) -> str | None:
    """Repeat a sentence later on, or a few words at once."""
    found = [match for match in SENTENCE.finditer(text) if not NUMBERED.search(match[0])]
    if len(found) > 1 and chance.random() < 0.6:
        again = chance.choice(found[:-1])[0]
        return f"{text} {again if chance.random() < 0.7 else again[0].lower() + again[1:]}"
    words = list(re.finditer(r"(?<!\S)[a-z]+(?: [a-z]+){0,2}(?= )", text))
    if not words:
        return None
    match = chance.choice(words)
    return f"{text[: match.end()]} {match[0]}{text[match.end() :]}"


def _unlisted(text: str, chance: random.Random) -> str | None:
    """Break a list: another mark, no space behind it, a number off, an indented item."""
    items = list(re.finditer(r"(?m)^(?:([-*]) |(\d)([.)]) )(?=\S)", text))
    if len(items) < 2:
        return None
    match = chance.choice(items[1:])
    if match[1]:
        mark = chance.choice(("+ ", "-", "– ", " - ", "-- "))
    else:
        number = int(match[2])
        mark = chance.choice(
            (f"{number}){'' if match[3] == ')' else ' '}", f"{number + 1}{match[3]} ", f"{number}{match[3]}")
        )
    return text[: match.start()] + mark + text[match.end() :]


def _careless(text: str, chance: random.Random) -> str | None:
    """Lose or misplace a space, or the capital at the beginning of a sentence."""
    match chance.randrange(3):
        case 0:
            found = [gap.start() for gap in re.finditer(r"(?<=[a-z]{2}) (?=[a-z]{2})", text)]
            at = chance.choice(found) if found else None
            return None if at is None else text[:at] + text[at + 1 :]
        case 1:
            found = [gap.start() for gap in re.finditer(r"(?<=[a-z])[,.] (?=\w)", text)]
            at = chance.choice(found) if found else None
            return None if at is None else f"{text[:at]} {text[at]}{text[at + 2 :]}"
        case _:
            found = [gap.end() for gap in re.finditer(r"[.!?] (?=[A-Z][a-z])", text)]
            at = chance.choice(found) if found else None
            return None if at is None else text[:at] + text[at].lower() + text[at + 1 :]


SPOILERS: dict[str, tuple[float, Callable[[str, random.Random], str | None]]] = {
    "typo": (6, _misspelt),
    "filler": (2, _wordy),
    "repetition": (1.5, _said_again),
    "list": (1.5, _unlisted),
    "spacing": (1, _careless),
}
"""What is put wrong, how often, and by what."""
