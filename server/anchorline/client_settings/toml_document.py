"""A settings file in TOML."""

from collections.abc import Mapping, MutableMapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from anchorline.client_settings.document import MARK, Document, Keys


def toml(text: str) -> Document:
    """Returns the document of a text in TOML. Raises ValueError for another text."""
    try:
        return _Toml(text)
    except TOMLKitError as error:
        raise ValueError(str(error)) from error


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
