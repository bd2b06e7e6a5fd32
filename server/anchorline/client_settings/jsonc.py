"""Reads JSON with comments and trailing commas, as editors and agents keep settings, and changes it in place.

Only what is set or taken out changes; every other byte stays. A path is the keys of nested objects.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

_BLANK = re.compile(r"(?:[ \t\r\n\ufeff]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_COMMENT = re.compile(r'("(?:[^"\\\x00-\x1f]|\\.)*+")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMA = re.compile(r'("(?:[^"\\\x00-\x1f]|\\.)*+")|,(?=\s*[}\]])')
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\.)*+"')
_SCALAR = re.compile(r"-?\d[0-9.eE+-]*|true|false|null")
_REST_OF_LINE = re.compile(r"(?:[ \t]|/\*(?:(?!\*/)[^\n])*\*/)*(?://[^\r\n]*)?(?=\r?\n|$)")
_LINE_END = re.compile(r"[ \t]*\r?\n")
_INDENT = re.compile(r"\n([ \t]*)$")
MAX_DEPTH = 100


class JsoncError(ValueError):
    """A text that is no JSON with comments, or no object. The message says where."""


class Value(NamedTuple):
    """Where a value stands. `members` are an object's, by key; None for anything else."""

    start: int
    end: int
    members: "dict[str, Member] | None"


class Member(NamedTuple):
    """Where an object's key begins, and its value."""

    start: int
    value: Value


def empty(text: str) -> bool:
    """Returns whether there is nothing in a text yet, not even an object."""
    return not text.strip("\ufeff \t\r\n")


def values(text: str) -> dict[str, Any]:
    """Returns the object that a text holds; an empty one where there is nothing yet. Raises JsoncError."""
    if empty(text):
        return {}
    _read(text)
    uncommented = _COMMENT.sub(lambda match: match[1] or " ", text.lstrip("\ufeff"))
    try:
        content: dict[str, Any] = json.loads(_LAST_COMMA.sub(r"\1", uncommented))
    except ValueError as error:  # a number such as 1.2.3
        raise JsoncError(str(error)) from None
    return content


def get(text: str, path: Sequence[str]) -> str | None:
    """Returns the text of the value at `path`; None where there is none. Raises JsoncError."""
    value = _find(_read(text), path)
    return None if value is None else text[value.start : value.end]


def put(text: str, path: Sequence[str], value: object) -> str:
    """Sets the value at `path`, with the objects around it; what is no object there gives way. Raises JsoncError."""
    if empty(text):
        text += "{}\n"
    holder = _read(text)
    keys = list(path)
    while len(keys) > 1 and holder.members and keys[0] in holder.members:
        inner = holder.members[keys[0]].value
        if inner.members is None:
            break
        holder = inner
        del keys[0]
    for key in reversed(keys[1:]):
        value = {key: value}
    member = (holder.members or {}).get(keys[0])
    if member is not None:
        return _replaced(text, member.value, _dumped(text, value, member.start))
    return _added(text, holder, keys[0], value)


def replace(text: str, path: Sequence[str], raw: str) -> str:
    """Writes `raw`, a value's text, for the value at `path`, which is there. Raises JsoncError."""
    value = _find(_read(text), path)
    return text if value is None else _replaced(text, value, raw)


def drop(text: str, path: Sequence[str]) -> str:
    """Takes out the member at `path`, with its comma, and its line if nothing else is on it. Raises JsoncError."""
    holder = _find(_read(text), path[:-1])
    if holder is None or holder.members is None or path[-1] not in holder.members:
        return text
    member = holder.members[path[-1]]
    start, end = member.start, member.value.end
    earlier = [sibling.value.end for sibling in holder.members.values() if sibling.value.end < start]
    comma = _blank(text, end)
    follows = text[comma] == ","
    finish = comma + 1 if follows else end
    line, rest = text.rfind("\n", 0, start) + 1, _LINE_END.match(text, finish)
    if not text[line:start].strip() and rest is not None:
        start, finish = line, rest.end()
    elif follows:
        finish += len(text) - finish - len(text[finish:].lstrip(" \t"))
    if follows:
        return text[:start] + text[end:comma] + text[finish:]
    if earlier:
        comma = _blank(text, max(earlier))
        between = text[comma + 1 : start]
        return text[:comma] + (between if between.strip(" ") else "") + text[finish:]
    return text[:start] + text[finish:]


def _replaced(text: str, value: Value, raw: str) -> str:
    return text[: value.start] + raw + text[value.end :]


def _added(text: str, holder: Value, key: str, value: object) -> str:
    """Returns the text with a member more, after the object's last one."""
    newline = "\r\n" if "\r\n" in text else "\n"
    last = max(holder.members.values(), key=lambda sibling: sibling.value.end) if holder.members else None
    if last is None:
        outer = _indent(text, holder.start)
        indent = outer + _unit(text)
        member = f"{json.dumps(key)}: {_pretty(value, indent, _unit(text), newline)}"
        at = holder.end - 1
        inside = text[holder.start + 1 : at].rstrip()
        return text[: holder.start + 1] + inside + newline + indent + member + newline + outer + text[at:]
    lead = _INDENT.search(text[: last.start])
    if lead is None:  # all on one line
        return text[: last.value.end] + f", {json.dumps(key)}: {_compact(value)}" + text[last.value.end :]
    member = f"{json.dumps(key)}: {_pretty(value, lead.group(1), _unit(text), newline)}"
    at, comma = last.value.end, _blank(text, last.value.end)
    if text[comma] == ",":
        at, separator = comma + 1, ""
    else:
        separator = ","
    rest = _REST_OF_LINE.match(text, at)
    end = rest.end() if rest is not None else at
    return text[:at] + separator + text[at:end] + newline + lead.group(1) + member + text[end:]


def _dumped(text: str, value: object, at: int) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    return _pretty(value, _indent(text, at), _unit(text), newline)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _pretty(value: object, indent: str, unit: str, newline: str) -> str:
    lines = json.dumps(value, ensure_ascii=False, indent=unit).split("\n")
    return (newline + indent).join(lines)


def _indent(text: str, at: int) -> str:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    """Returns what one level is indented by: that of the first indented line."""
    match = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
    return match.group(1) if match is not None else "  "


def _find(value: Value, path: Sequence[str]) -> Value | None:
    for key in path:
        if value.members is None or key not in value.members:
            return None
        value = value.members[key].value
    return value


def _blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return at if match is None else match.end()


def _read(text: str) -> Value:
    return _Reader(text).document()


class _Reader:
    """Reads a text once, for where its objects' members stand."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def document(self) -> Value:
        self._at = _blank(self._text, 0)
        value = self._value(0)
        self._at = _blank(self._text, self._at)
        if self._at != len(self._text):
            raise self._error("something after the end")
        if value.members is None:
            raise JsoncError("it is no object of settings")
        return value

    def _value(self, depth: int) -> Value:
        start = self._at
        first = self._text[start : start + 1]
        if depth > MAX_DEPTH:
            raise self._error("nested too deeply")
        if first == "{":
            members = {}
            for _ in self._elements("}"):
                at = self._at
                key = json.loads(self._take(_STRING, "a key"))
                self._at = _blank(self._text, self._at)
                self._take(re.compile(":"), "a colon")
                self._at = _blank(self._text, self._at)
                members[key] = Member(at, self._value(depth + 1))
            return Value(start, self._at, members)
        if first == "[":
            for _ in self._elements("]"):
                self._value(depth + 1)
        elif first == '"':
            self._take(_STRING, "a string")
        else:
            self._take(_SCALAR, "a value")
        return Value(start, self._at, None)

    def _elements(self, end: str) -> Iterator[None]:
        """Stands at each element of an object or array, one after the other, and then behind `end`."""
        self._at = _blank(self._text, self._at + 1)
        while self._text[self._at : self._at + 1] != end:
            yield
            self._at = _blank(self._text, self._at)
            if self._text[self._at : self._at + 1] == ",":
                self._at = _blank(self._text, self._at + 1)
            elif self._text[self._at : self._at + 1] != end:
                raise self._error("expected a comma")
        self._at += 1

    def _take(self, pattern: re.Pattern[str], what: str) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise self._error(f"expected {what}")
        self._at = match.end()
        return match.group()

    def _error(self, what: str) -> JsoncError:
        line = self._text.count("\n", 0, self._at) + 1
        return JsoncError(f"line {line}: {what}")
