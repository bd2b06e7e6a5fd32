"""A client's settings file as a document in which values are set and taken out, and all else stays as it is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

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
