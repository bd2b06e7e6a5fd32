"""A client's settings file as a document in which values are set and taken out, and all else stays as it is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from anchorline.client_settings import jsonc

Keys = Sequence[str]
MARK = "\ufeff"
"""A byte order mark, with which some editors begin a file; it stays."""


class UnwritableError(Exception):
    """A settings file that can't be changed by a program. The message names it and says what to do."""


class Document(ABC):
    """A settings file's content; a path is the keys of nested objects."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The content as it is now."""

    @abstractmethod
    def values(self) -> dict[str, Any]:
        """Returns all settings as plain values, without comments."""

    def get(self, path: Keys) -> Any:  # noqa: ANN401  (whatever is set)
        """Returns the value at `path`; None where there is none."""
        value: Any = self.values()
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    @abstractmethod
    def item(self, path: Keys) -> object:
        """Returns what stands at `path` as it is written; None where there is nothing."""

    @abstractmethod
    def put(self, path: Keys, value: object) -> None:
        """Sets the value at `path`, and the objects around it; what is no object there gives way."""

    @abstractmethod
    def put_item(self, path: Keys, item: object) -> None:
        """Sets what stands at `path` to an `item` of another document of this kind."""

    @abstractmethod
    def drop(self, path: Keys) -> None:
        """Takes out what is at `path`."""


def read(file: Path, content: bytes) -> Document:
    """Returns the document in a file, told by its name: TOML, or JSON with comments. Raises UnwritableError."""
    try:
        text = content.decode()
        return _Toml(text) if file.suffix == ".toml" else _Json(text)
    except (ValueError, TOMLKitError) as error:
        raise UnwritableError(f"{file}: {error}; so the setting is added by hand") from None


def restore(document: Document, path: Keys, earlier: Document) -> None:
    """Has `path` as it was in an earlier document, and the objects around it that are empty now."""
    for depth in range(len(path), 0, -1):
        part = path[:depth]
        if depth < len(path) and document.get(part) != {}:
            return
        item = earlier.item(part)
        if item is not None:
            document.put_item(part, item)
            return
        document.drop(part)


class _Json(Document):
    def __init__(self, text: str) -> None:
        self._text = text.removeprefix(MARK)
        self._mark = text[: len(text) - len(self._text)]
        self.values()  # what can't be read is told now

    @property
    def text(self) -> str:
        return self._mark + self._text

    def values(self) -> dict[str, Any]:
        return jsonc.values(self._text)

    def item(self, path: Keys) -> str | None:
        return None if jsonc.empty(self._text) else jsonc.get(self._text, path)

    def put(self, path: Keys, value: object) -> None:
        self._text = jsonc.put(self._text, path, value)

    def put_item(self, path: Keys, item: object) -> None:
        self.put(path, None)
        self._text = jsonc.replace(self._text, path, str(item))

    def drop(self, path: Keys) -> None:
        self._text = jsonc.drop(self._text, path)


class _Toml(Document):
    def __init__(self, text: str) -> None:
        bare = text.removeprefix(MARK)
        self._mark = text[: len(text) - len(bare)]
        self._windows = bare.count("\n") == bare.count("\r\n") > 0
        self._document = tomlkit.parse(bare)

    @property
    def text(self) -> str:
        text = tomlkit.dumps(self._document)
        if self._windows:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")  # tomlkit ends its own lines with \n
        return self._mark + text

    def values(self) -> dict[str, Any]:
        return self._document.unwrap()

    def item(self, path: Keys) -> object:
        value: object = self._document
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def put(self, path: Keys, value: object) -> None:
        table: MutableMapping[str, Any] = self._document
        for key in path[:-1]:
            if not isinstance(table.get(key), MutableMapping):
                table[key] = {}
            table = table[key]
        table[path[-1]] = value

    def put_item(self, path: Keys, item: object) -> None:
        self.put(path, item)

    def drop(self, path: Keys) -> None:
        table = self.item(path[:-1])
        if isinstance(table, MutableMapping):
            table.pop(path[-1], None)
