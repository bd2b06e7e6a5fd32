"""Why a decoder refuses a request body, in JSON's words, and where in the body that is."""

import re

import msgspec

from anchorline.prompt import layout
from anchorline.prompt.model import PromptError

_TRUNCATED = "Input data was truncated"
_MALFORMED = re.compile(r"(?P<reason>.+) \(byte (?P<offset>\d+)\)")
_MISMATCH = re.compile(r"Expected `(?P<expected>[^`]+)`, got `(?P<actual>[^`]+)`")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`")
_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`")
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]")
"""How msgspec words its errors."""
_TYPES = {
    "str": ("a string", b'"'),
    "int": ("a number", b"-0123456789"),
    "float": ("a number", b"-0123456789"),
    "bool": ("true or false", b"tf"),
    "array": ("an array", b"["),
    "object": ("an object", b"{"),
    "null": ("null", b"n"),
}
"""Of msgspec's names, JSON's and the bytes that such a value begins with."""
LOCATED = 1 << 20
"""Bytes of the longest body that is walked to find a value."""


def explained(error: msgspec.MsgspecError, body: bytes) -> PromptError:
    """Returns what is wrong and where: `no request body: "messages" must be an array, not a number`.

    The offset is that of the value; None where that stands in a part that was decoded by itself.
    """
    message = str(error)
    if message == _TRUNCATED:
        return PromptError("JSON is cut off: it ends before it is complete", offset=len(body.rstrip()))
    if malformed := _MALFORMED.fullmatch(message):
        return PromptError(malformed["reason"], offset=int(malformed["offset"]))
    match = _PATH.search(message)
    path = match["path"] if match else ""
    name = f'"{path.removeprefix(".")}"' if path else "a part of it"
    if mismatch := _MISMATCH.match(message):
        expected, actual = mismatch["expected"].split(" | "), mismatch["actual"]
        words = " or ".join(dict.fromkeys(map(_words, expected)))
        return PromptError(
            f"no request body: {name} must be {words}, not {_words(actual)}",
            offset=_offset(body, path, actual),
        )
    if missing := _MISSING.match(message):
        message = f'{name} has no "{missing["field"]}"'
    return PromptError(f"no request body: {message}", offset=_offset(body, path, "object"))


def _offset(body: bytes, path: str, kind: str) -> int | None:
    """Returns where the value of that kind at `path` (as in `.messages[1].role`) starts; None where there is none."""
    if len(body) > LOCATED:
        return None
    try:
        start = layout.space(body, 0)
        for step in _STEP.finditer(path):
            start = (
                _member(body, start, step["name"])
                if step["name"]
                else _element(body, start, int(step["index"]))
            )
    except (layout.LayoutError, LookupError):
        return None
    return start if body[start] in _TYPES.get(kind, ("", b""))[1] else None


def _member(body: bytes, start: int, name: str) -> int:
    members = layout.members(body, start) if body.startswith(b"{", start) else ()
    key = f'"{name}"'.encode()
    return [member.start for member in members if member.key == key][-1]


def _element(body: bytes, start: int, index: int) -> int:
    elements = layout.elements(body, start) if body.startswith(b"[", start) else ()
    return [first for first, _ in elements][index]


def _words(name: str) -> str:
    return _TYPES[name][0] if name in _TYPES else name
