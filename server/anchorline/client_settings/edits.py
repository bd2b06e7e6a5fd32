"""Edits of settings files: values to set, what a file is after them, and the difference."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from anchorline import files
from anchorline.client_settings.document import MARK, Document, UnwritableError
from anchorline.client_settings.parsing import read


class SettingEdit(msgspec.Struct, frozen=True):
    """Sets `keys`, those of nested objects from the outermost on, to `value` in a settings file.

    `file` is its absolute path: TOML by its name, else JSON with comments. `value` is what JSON can hold; None takes
    the setting out.
    """

    file: str
    keys: tuple[str, ...]
    value: Any


class EditedFile(msgspec.Struct, frozen=True):
    """A settings file before and after some edits. `before` is None where there is no file yet."""

    file: Path
    edits: list[SettingEdit]
    before: bytes | None
    after: bytes

    def diff(self) -> str:
        """Returns the unified diff, with line feeds whatever ends the lines of the file."""
        from difflib import unified_diff  # noqa: PLC0415  (6 ms: only where a difference is shown)

        name = files.with_tilde(self.file)
        old, new = _lines(self.before or b""), _lines(self.after)
        origin = "/dev/null" if self.before is None else name
        return "\n".join(unified_diff(old, new, origin, name, lineterm=""))


def edited_files(edits: Iterable[SettingEdit]) -> list[EditedFile]:
    """Returns what edits change, by file; those that are in force already change nothing.

    Raises UnwritableError for a file that can't be changed safely, and OSError for one that can't be read.
    """
    by_file: dict[Path, list[SettingEdit]] = {}
    for edit in edits:
        by_file.setdefault(Path(edit.file).resolve(), []).append(edit)  # a link, as to a dotfile, stays one
    made = []
    for file, group in by_file.items():
        before = content(file)
        after = edited(file, before, group)
        if after != (before or b""):
            made.append(EditedFile(file, group, before, after))
    return made


def content(file: Path) -> bytes | None:
    """Returns what is in a file; None where there is none. Raises OSError."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def edited(file: Path, before: bytes | None, edits: Sequence[SettingEdit]) -> bytes:
    """Returns the content of a settings file after edits, in which every other setting and byte stays.

    Raises UnwritableError where that can't be: the file is not what its name says, or a setting stands in the way.
    """
    document = read(file, before or b"")
    for edit in edits:
        if document.get(edit.keys) == edit.value:
            continue
        wanted = _with(file, document.values(), edit)
        if edit.value is None:
            document.drop(edit.keys)
        else:
            document.put(edit.keys, edit.value)
        document = _checked(file, document, wanted, edit)
    return document.text.encode()


def _checked(file: Path, document: Document, wanted: dict[str, Any], edit: SettingEdit) -> Document:
    """Returns the document as the client will read it, which has to be what is wanted."""
    try:
        written = read(file, document.text.encode())
        if written.values() == wanted:
            return written
    except UnwritableError:
        pass
    raise UnwritableError(
        f"{file}: {setting(edit)} can't be set here without changing other settings; set it by hand"
    )


def _with(file: Path, values: dict[str, Any], edit: SettingEdit) -> dict[str, Any]:
    """Returns all settings with an edit."""
    table = values
    for depth, key in enumerate(edit.keys[:-1], 1):
        inner = table.get(key)
        if inner is None and edit.value is not None:
            inner = table[key] = {}
        if not isinstance(inner, dict):
            raise UnwritableError(
                f"{file}: {'.'.join(edit.keys[:depth])} is {json.dumps(inner)}, which {setting(edit)} would replace; "
                "set it by hand"
            )
        table = inner
    if edit.value is None:
        table.pop(edit.keys[-1], None)
    else:
        table[edit.keys[-1]] = edit.value
    return values


def setting(edit: SettingEdit) -> str:
    """Returns the name of the setting that an edit is of, as documentation writes it."""
    return ".".join(edit.keys)


def _lines(raw: bytes) -> list[str]:
    return raw.decode().removeprefix(MARK).splitlines()
