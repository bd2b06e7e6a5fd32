"""Writes one value into the user's own settings file, and leaves everything else in it as it was."""

import tomllib
from collections.abc import MutableMapping
from pathlib import Path

import tomlkit

from anchorline import files

MARK = "\ufeff"
"""A byte order mark, with which some editors begin a file."""


def write(file: Path, section: str, key: str, value: bool | str) -> bool:
    """Sets `section.key` in a settings file; False, and no change, where `section` is no table.

    Raises OSError, UnicodeDecodeError and TOMLDecodeError for a file that can't be read or written.
    """
    target = file.resolve()  # a link, as in a folder of dotfiles, stays one
    exists = target.exists()
    content = target.read_bytes().decode() if exists else ""
    text = content.removeprefix(MARK)
    changed = edited(text, section, key, value)
    if changed is None:
        return False
    if changed != text:
        files.make_folder(target.parent)
        mode = target.stat().st_mode & 0o777 if exists else 0o600
        files.write(target, content[: len(content) - len(text)] + changed, mode=mode)
    return True


def edited(text: str, section: str, key: str, value: bool | str) -> str | None:
    """Returns TOML in which `section.key` is `value` and everything else as it was; None where that can't be.

    Raises TOMLDecodeError where `text` is no TOML.
    """
    values = tomllib.loads(text)
    table = values.get(section, {})
    if not isinstance(table, dict):
        return None
    if table.get(key) == value:
        return text
    document = tomlkit.parse(text)
    if section not in document:
        if document and not text.endswith("\n"):
            document.add(tomlkit.nl())
        if document:
            document.add(tomlkit.nl())
        document[section] = tomlkit.table()
    there = document[section]
    if not isinstance(there, MutableMapping):
        return None
    there[key] = value
    changed = tomlkit.dumps(document)
    if text.count("\n") == text.count("\r\n") > 0:
        changed = changed.replace("\r\n", "\n").replace("\n", "\r\n")  # tomlkit ends its own lines with \n
    return changed if tomllib.loads(changed) == {**values, section: {**table, key: value}} else None
