"""Writing one value into the user's own settings, with everything else in the file as it was."""

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

MARK = "\ufeff"
"""A byte order mark, with which some editors begin a file."""


def write(file: Path, section: str, key: str, value: bool | str) -> bool:
    """Set `section.key` in a settings file; False, and no change, where no edit of a single line does that.

    Raises OSError, UnicodeDecodeError and TOMLDecodeError for a file that can't be read or written.
    """
    target = file.resolve()
    content = target.read_bytes().decode() if target.exists() else ""
    before = content.removeprefix(MARK)
    after = edited(before, section, key, value)
    if after is None:
        return False
    if after != before:
        _replace(target, MARK + after if content != before else after)
    return True


def edited(text: str, section: str, key: str, value: bool | str) -> str | None:
    """Return TOML settings in which `section.key` is `value` and everything else as it was; None if none is found.

    Raises TOMLDecodeError when `text` is no TOML.
    """
    values = tomllib.loads(text)
    table = values.get(section, {})
    if not isinstance(table, dict):
        return None
    if table.get(key) == value:
        return text
    wanted = {**values, section: {**table, key: value}}
    for changed in _edits(text, section, key, json.dumps(value, ensure_ascii=False)):
        try:
            if tomllib.loads(changed) == wanted:
                return changed
        except tomllib.TOMLDecodeError:
            continue
    return None


def _edits(text: str, section: str, key: str, literal: str) -> Iterator[str]:
    own = re.compile(
        rf"([ \t]*(?:{section}[ \t]*\.[ \t]*)?{key}[ \t]*=[ \t]*)" r"""("[^"\n]*"|'[^'\n]*'|[^\s#"']+)"""
    )
    header = re.compile(rf"[ \t]*\[[ \t]*{section}[ \t]*\][ \t]*(?:#.*)?$")
    lines = text.splitlines(keepends=True)
    for index, line in enumerate(lines):
        before, after = "".join(lines[:index]), "".join(lines[index + 1 :])
        if match := own.match(line):
            yield f"{before}{match[1]}{literal}{line[match.end() :]}{after}"
        elif header.match(line.rstrip()):
            end = "\r\n" if line.endswith("\r\n") else "\n"
            yield f"{before}{line.rstrip()}{end}{key} = {literal}{end}{after}"
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    yield f"{text}{gap}[{section}]\n{key} = {literal}\n"


def _replace(target: Path, text: str) -> None:
    """Write `target` in one step, with the mode it had."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        if target.exists():
            Path(part).chmod(target.stat().st_mode & 0o777)
        Path(part).replace(target)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
