"""What the index keeps of one file: the terms of its text, what it defines on which line, what it imports."""

import re
from pathlib import PurePosixPath
from typing import NamedTuple

from anchorline import redact
from anchorline.index import words
from anchorline.index.words import Terms
from anchorline.workspace import symbols
from anchorline.workspace.symbols import Symbol

MOST_SYMBOLS = 4000
LONGEST_NAME = 120
PARSED = 65_536
"""Bytes of a file that a grammar reads: it reads six million a second, the pattern for definitions forty."""
GRAMMARS = frozenset(
    {".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".java", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs"}
)
"""Languages in which a method is defined without a word that says so. In others the pattern misses next to nothing."""
IMPORTED = 20_000
"""Characters of a file in which its imports are looked for."""
_MINIFIED = 20_000
_LONG_LINES = 500
"""A text of more characters than the first, with more than the second a line, was made by a program for a program."""
_MODIFIERS = (
    r"(?:(?:export|default|pub(?:\([^)\n]*\))?|async|static|public|private|protected|internal|abstract|final|unsafe|override"
    r"|declare)[ \t]+)"
)
_NAME = r"([^\W\d][\w$]*)"
# The patterns of lines begin with the end of the line before, which is found nine times as fast as with "^".
_DEFINITION = re.compile(
    rf"\n[ \t]*+(?=[a-z]){_MODIFIERS}*+(?:def|class|func|fn|fun|function\*?|struct|enum|trait|interface|type|impl|mod"
    rf"|module|package|object|protocol|extension|defmodule|defp?|sub|proc)[ \t]+(?:\([^)\n]*\)[ \t]*)?{_NAME}"
)
_VALUE = re.compile(
    rf"\n(?:{_MODIFIERS}*(?:const|let|var|val|static)[ \t]+{_NAME}|([A-Z][A-Z0-9_]{{2,}})[ \t]*(?::[^=\n]+)?=)"
)
_HEADING = re.compile(r"\n#{1,6}[ \t]+(\S[^\n]*)")
_UNDERLINED = re.compile(r"\n(\S[^\n]*)(?=\n([=\-~^\"'`#*+.])\2{2,}[ \t\r]*(?:\n|\Z))")
_HEADED = {".md": _HEADING, ".mdx": _HEADING, ".markdown": _HEADING, ".rst": _UNDERLINED}
_JS_IMPORT = re.compile(r"(?:from|require\(|import\(?)\s*['\"]([^'\"\n]+)['\"]")
_PYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]+\(?([\w, \t]*)|import[ \t]+([.\w]+))", re.MULTILINE
)
_JVM_IMPORT = re.compile(r"^[ \t]*(?:import|using)[ \t]+(?:static[ \t]+)?([.\w]+)", re.MULTILINE)
_C_IMPORT = re.compile(r"^[ \t]*#[ \t]*include[ \t]+[<\"]([^>\"\n]+?)(?:\.\w+)?[>\"]", re.MULTILINE)
_RUBY_IMPORT = re.compile(
    r"^[ \t]*(?:require|require_relative|use|include)\b[ (]*['\"]?([\w./\\:]+)", re.MULTILINE
)
_GO_IMPORT = re.compile(r"^(?:import)?[ \t]+(?:[\w.]+[ \t]+)?\"([\w./-]+)\"$", re.MULTILINE)
_RUST_IMPORT = re.compile(
    r"^[ \t]*(?:pub[ \t]+)?(?:use|mod)[ \t]+([\w:]+?)(?:::\{([\w, \t]*)|[;\s])", re.MULTILINE
)
_IMPORTS = {
    suffix: pattern
    for suffixes, pattern in (
        (".py .pyi", _PYTHON_IMPORT),
        (".js .jsx .mjs .cjs .ts .tsx .mts .cts .vue .svelte", _JS_IMPORT),
        (".java .kt .kts .scala .swift .cs .hs .dart", _JVM_IMPORT),
        (".c .h .cc .cpp .cxx .hpp .hh .m .mm", _C_IMPORT),
        (".rb .php .lua .ex .exs .pl .pm", _RUBY_IMPORT),
        (".go", _GO_IMPORT),
        (".rs", _RUST_IMPORT),
    )
    for suffix in suffixes.split()
}
_SEPARATORS = re.compile(r"[./:\\]+")
_COMMAS = re.compile(r"[,\s]+")
_JS_ENDING = re.compile(r"\.(?:[cm]?[jt]sx?|vue|svelte)$")
_UNSURE = frozenset({"jwt", "authorization-header", "bearer-token", "assigned-secret", "connection-password"})
"""Kinds of secrets that code has, too, where nothing is secret: tests, examples, defaults."""


class Contents(NamedTuple):
    """What is kept of a file. `size` is bytes, `names` are its symbols' names as they are written.

    `imports` are the last parts of what it imports, in lower case.
    """

    size: int
    text: Terms
    definitions: Terms
    names: Terms
    imports: tuple[str, ...]


def contents(path: str, raw: bytes) -> tuple[Contents, tuple[Symbol, ...]] | None:
    """Returns what is kept of a file and its symbols, or None for one that is binary, minified or holds a key."""
    if b"\0" in raw:
        return None
    text = raw.decode("utf-8", "replace")
    if _minified(text) or holds_key(text):
        return None
    defined = outline(path, raw, text)
    kept = Contents(
        len(raw),
        words.count(raw),
        words.count("\n".join(symbol.name for symbol in defined).encode()),
        words.distinct(symbol.name for symbol in defined),
        _imports(path, text),
    )
    return kept, defined


def outline(path: str, raw: bytes, text: str) -> tuple[Symbol, ...]:
    """Returns what a file defines in the order of its lines; of a document its headings."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in _HEADED:
        return _matches(text, _HEADED[suffix])
    parsed = symbols.outline(raw, path) if suffix in GRAMMARS and len(raw) <= PARSED else None
    if parsed is None:
        return _matches(text, _DEFINITION, _VALUE)
    told = {(symbol.name, symbol.line) for symbol in parsed}
    values = (symbol for symbol in _matches(text, _VALUE) if (symbol.name, symbol.line) not in told)
    both = sorted((*parsed, *values), key=lambda symbol: symbol.line)
    return tuple(symbol for symbol in both if len(symbol.name) <= LONGEST_NAME)[:MOST_SYMBOLS]


def _matches(text: str, *patterns: re.Pattern[str]) -> tuple[Symbol, ...]:
    """Returns what the first group that matched names, with its line."""
    text = "\n" + text
    named = []
    for pattern in patterns:
        for match in pattern.finditer(text):
            group = 1 if match[1] is not None else 2
            named.append((match.start(group), match[group].strip()[:LONGEST_NAME]))
    line = start = 0
    result = []
    for at, name in sorted(named)[:MOST_SYMBOLS]:
        line += text.count("\n", start, at)
        start = at
        result.append(Symbol(name, line, line))
    return tuple(result)


def _imports(path: str, text: str) -> tuple[str, ...]:
    pattern = _IMPORTS.get(PurePosixPath(path).suffix.lower())
    if pattern is None:
        return ()
    names: list[str] = []
    for match in pattern.finditer(text, 0, IMPORTED):
        for group in filter(None, match.groups()):
            names += (_JS_ENDING.sub("", part) for part in _COMMAS.split(group))
    last = (_SEPARATORS.split(name.strip("./:"))[-1].lower() for name in names)
    return tuple(dict.fromkeys(name for name in last if name))


def _minified(text: str) -> bool:
    """Says whether a text has hardly any lines."""
    return len(text) > _MINIFIED and len(text) > _LONG_LINES * (text.count("\n") + 1)


def holds_key(text: str) -> bool:
    """Says whether a text holds a private key or a provider's token that is nobody's example."""
    return any(
        secret.name not in _UNSURE and not redact.example(secret, text) for secret in redact.find(text)
    )
