"""The entities of a draft: the parts that a rewrite may not touch.

`entities` finds fences, code, paths, URLs, identifiers, numbers, quotes, placeholders and the like, in linear
time: lines first (`blocks`), then delimited spans, then single tokens of what is left. Every pattern is
possessive or bounded, so hostile input costs no more than prose. `view` blanks the entities out without
moving a character, so that rewriting works on prose alone and its positions stay those of the draft.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from anchorline.refine.blocks import blocks

ORDERED = frozenset({"front_matter", "fence", "doctest", "pasted", "quote"})
"""Kinds whose own text holds further entities: they are kept byte for byte and in order."""

TARGETS = frozenset({"fence", "pasted", "code", "url", "path", "mention", "identifier"})
"""Kinds that can tell what a request is about."""

BLANK = "\x00"
LEADING = "([{\"'*,;:!?|“”\u2018\u2019«»…"
TRAILING = ".,;:!?)]}\"'*|“”\u2018\u2019«»…"
CJK = "\u2e80"
"""From here on scripts write words without spaces between them."""
LONGEST_TOKEN = 128
"""Characters up to which a token's shape is looked at: it bounds the backtracking of the patterns."""
LONGEST_CODE = 2000
"""Characters of one inline code span, at most."""


class Entity(NamedTuple):
    """Characters `start:end` of a draft, which hold `text`."""

    kind: str
    start: int
    end: int
    text: str


Span = tuple[str, int, int]


class Masked:
    """A draft with its entities, and the views of it that every step needs, each computed once.

    `prose` is the draft with its entities blank, `low` the same in lower case, `tokens` its words.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.entities = entities(text)
        self.prose = view(text, self.entities)
        self.low = self.prose.lower()
        self.tokens = self.low.split()


_BACKTICKS = re.compile(r"`++")
_DELIMITED = re.compile(
    r"\$\{[^{}\n]{1,200}\}|\{\{[^{}\n]{1,200}\}\}|\{[^{}\n]{1,80}\}|\[[A-Z][A-Z0-9 _-]{2,60}\]"
    r"|</?[A-Za-z!?][^<>\n]{0,200}>"
    r"|\"[^\"\n]{1,300}\"|“[^“”\n]{1,300}”|«[^«»\n]{1,300}»|„[^„“”\n]{1,300}[“”]"
    r"|\u2018(?<!\w\u2018)[^\u2018\u2019\n]{1,80}\u2019(?!\w)"
    r"|「[^「」\n]{1,300}」|'(?<!\w')[^'\n]{1,80}'(?!\w)"
)
"""Spans that may hold spaces: bounded, stopping at their own opening character.

    Every alternative begins with a literal, so that the engine skips to the next of them at C speed; the
    kind follows from that first character (`DELIMITED`).
    """
DELIMITED = {"$": "placeholder", "{": "placeholder", "[": "placeholder", "<": "tag"}


_TOKENS = re.compile(
    r"(?:(?:[*(]*+[^\W\d_][^\W\dA-Z_]*+(?:['\u2019-][^\W\dA-Z_]++)*+[,.;:!?)*]*+|[-*#•\u2013—&|+]++)(?:\s++|\Z))*+"
    r"(\S++)?\s*+"
)
"""Skips plain words and bare punctuation at C speed; group 1 is the next token that may be more."""
_URL = re.compile(r"[a-z]{2,10}://[^\s<>\"'`|\x00]++")
EXTENSIONS = (
    "py|pyi|pyx|ipynb|js|jsx|ts|tsx|mjs|cjs|json|jsonl|yaml|yml|toml|ini|cfg|conf|env|md|mdx|rst|txt|html|css|scss"
    "|less|vue|svelte|go|mod|sum|rs|java|kt|kts|swift|c|h|cc|cpp|hpp|cs|csproj|sln|fs|rb|php|pl|lua|sh|bash|zsh|ps1"
    "|sql|db|sqlite|xml|svg|png|jpg|jpeg|gif|pdf|csv|tsv|parquet|log|lock|gradle|tf|bicep|proto|graphql|ex|exs|erl"
    "|hs|ml|scala|clj|dart|zig|el|vim|diff|patch|zip|gz|tar|exe|dll|so"
)

_CLASSES = re.compile(
    r"(?P<mention>@[\w./:#-]+|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+)"
    r"|(?P<ref>#\d+|GH-\d+|[A-Z]{2,10}-\d+|(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,64})"
    r"|(?P<flag>--?[A-Za-z][\w-]*(?:=\S*)?)"
    r"|(?P<version>[vV]?\d+(?:\.\d+){2,}[\w.+-]*|[vV]\d+(?:\.\d+)*[\w.+-]*|[\^~]\d+(?:\.\d+)*)"
    r"|(?P<number>[-+~≈<>=]*[$€£¥]?\d[\d.,:_/\u2013-]*(?:%|‰|[A-Za-z]{1,4}|°\w?)?)"
    r"|(?P<path>(?:\.{1,2}|~|[A-Za-z]:)?[/\\][^\s]*|[\w.@+-]+(?:[/\\][\w.@+*{}$()\[\]-]*){2,}"
    r"|[\w.@+-]*[/\\][\w.@+*-]*\.\w{1,8}(?::\d+(?:-\d+)?)?|[\w+-]+[/\\]"
    r"|\*?[\w+-]*(?:\.[\w+-]+)*\.(?:" + EXTENSIONS + r")(?::\d+(?:-\d+)?)?)"
    r"|(?P<identifier>\w*_\w[\w.]*(?:\(.*\))?|\w+(?:\.\w+)*\(.*\)|\w+(?:(?:\.|::|->)\w+)+"
    r"|[^\W\d_]*[a-z][A-Z]\w*|[^\W_]*\d\w*)"
)


def entities(text: str) -> tuple[Entity, ...]:
    """Returns the entities of `text` in order, without overlap. Linear in its length."""
    spans: list[Span] = [(kind, start, end) for kind, start, end in blocks(text)]
    spans = _merge(spans, _code_spans(text, spans))
    spans = _merge(spans, _delimiters(text, spans))
    spans = _merge(spans, _words(text, spans))
    return tuple([Entity(kind, start, end, text[start:end]) for kind, start, end in spans])


def view(text: str, masked: Iterable[Entity]) -> str:
    """Returns `text` with every entity replaced by as many `BLANK` characters."""
    parts: list[str] = []
    position = 0
    for _, start, end, _ in masked:
        parts.append(text[position:start])
        parts.append(BLANK * (end - start))
        position = end
    parts.append(text[position:])
    return "".join(parts)


def _merge(spans: list[Span], more: list[Span]) -> list[Span]:
    return sorted([*spans, *more], key=lambda span: span[1]) if more else spans


def _gaps(text: str, spans: list[Span]) -> Iterator[tuple[int, int]]:
    position = 0
    for _, start, end in spans:
        if start > position:
            yield position, start
        position = end
    if position < len(text):
        yield position, len(text)


def _code_spans(text: str, spans: list[Span]) -> list[Span]:
    """Returns inline code: runs of equally many backticks within one paragraph."""
    if "`" not in text:
        return []
    codes: list[Span] = []
    for low, high in _gaps(text, spans):
        runs = [(match.start(), match.end()) for match in _BACKTICKS.finditer(text, low, high)]
        following: dict[int, int] = {}
        partner = [-1] * len(runs)
        for index in range(len(runs) - 1, -1, -1):
            length = runs[index][1] - runs[index][0]
            partner[index] = following.get(length, -1)
            following[length] = index
        index = 0
        while index < len(runs):
            other = partner[index]
            start = runs[index][0]
            end = runs[other][1]
            if other >= 0 and end - start <= LONGEST_CODE and text.find("\n\n", start, end) < 0:
                codes.append(("code", start, end))
                index = other + 1
            else:
                index += 1
    return codes


def _delimiters(text: str, spans: list[Span]) -> list[Span]:
    finder = _DELIMITED
    return [
        (DELIMITED.get(match[0][0], "quote"), *match.span())
        for low, high in _gaps(text, spans)
        for match in finder.finditer(text, low, high)
    ]


def _words(text: str, spans: list[Span]) -> list[Span]:
    tokens: list[Span] = []
    finder = _TOKENS
    for low, high in _gaps(text, spans):
        for match in finder.finditer(text, low, high):
            token = match[1]
            if token is None or (token.isalpha() and (token[1:].islower() or not token.isascii())):
                continue
            start = match.start(1)
            if "://" in token:
                start = _urls(token, start, tokens)
                token = text[start : match.end(1)]
            if token.isascii() or not any(letter >= CJK for letter in token):
                _token(text, token, start, tokens)
            else:
                for part in re.finditer(r"[!-~]++", token):
                    _token(text, part[0], start + part.start(), tokens)
    return tokens


def _urls(token: str, start: int, spans: list[Span]) -> int:
    """Adds the URLs in a token and return where the rest after the last one starts."""
    rest = start
    for match in _URL.finditer(token):
        length = len(match[0].rstrip(".,;:!?)]}*_"))
        spans.append(("url", start + match.start(), start + match.start() + length))
        rest = start + match.start() + length
    return rest


def _token(text: str, token: str, start: int, spans: list[Span]) -> None:
    core = token.lstrip(LEADING)
    start += len(token) - len(core)
    bare = core.rstrip(TRAILING)
    if "(" in bare or core.startswith("()", len(bare)):
        bare = core[: core.rfind(")") + 1] or bare
    if not bare or (bare.isdecimal() and _is_list_marker(text, bare, start)):
        return
    if bare.isalpha():
        if len(bare) > 1 and not bare[1:].islower() and bare.isascii():
            spans.append((_name(bare) or "term", start, start + len(bare)))
        return
    kind = _kind(bare)
    if kind is not None:
        spans.append((kind, start, start + len(bare)))


def _name(word: str) -> str | None:
    """Tells camelCase and PascalCase words (identifier) and acronyms (term) from plain words of letters."""
    if word[1:].islower() or len(word) == 1 or not word.isascii():
        return None
    return "term" if word.isupper() else "identifier"


def _is_list_marker(text: str, bare: str, start: int) -> bool:
    if len(bare) > 3 or text[start + len(bare) : start + len(bare) + 1] not in (".", ")"):
        return False
    after = text[start + len(bare) + 1 : start + len(bare) + 2]
    line = text.rfind("\n", 0, start) + 1
    return after in (" ", "\t") and start - line <= 12 and not text[line:start].strip()


@lru_cache(maxsize=4096)
def _kind(bare: str) -> str | None:
    """Returns the kind of a token, or None for a plain word (hyphens and apostrophes make no entity)."""
    if bare in ("e.g", "i.e", "a.m", "p.m"):
        return None
    if len(bare) > LONGEST_TOKEN:
        return "path" if "/" in bare else "term"
    match = _CLASSES.fullmatch(bare)
    if match is not None:
        return match.lastgroup
    parts = re.split(r"['\u2019\u2018-]", bare, maxsplit=4)
    if all(part.isalpha() and _name(part) is None for part in parts if part):
        return None
    return "term" if any(map(str.isalnum, bare)) else None
