"""The interface of a body format: its members, its items, and the segments they become."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from anchorline.prompt.formats.builder import Builder
from anchorline.prompt.model import Draft, Format, Segment


class Frame(msgspec.Struct):
    """The members of a body beside the conversation; a dialect adds its own."""

    model: str | UnsetType | None = UNSET
    tools: list[Raw] | UnsetType | None = UNSET
    tool_choice: Raw | UnsetType = UNSET
    transforms: Raw | UnsetType = UNSET
    plugins: Raw | UnsetType = UNSET

    @property
    def thinned(self) -> bool:
        """Whether OpenRouter may take messages out of the middle (openrouter.ai/docs, message transforms)."""
        transforms, plugins = (
            b"" if member is UNSET else bytes(member) for member in (self.transforms, self.plugins)
        )
        return b'"middle-out"' in transforms or b'"context-compression"' in plugins


class ItemSpan(NamedTuple):
    """The span of a conversation's item: its end, and the starts of its parts (one, if it has none).

    One number for `starts` means that the parts stand from there on with one byte between them, a comma.
    """

    end: int
    starts: int | list[int]

    def moved(self, by: int) -> "ItemSpan":
        """Returns the span in a text that has `by` more bytes before it."""
        starts = self.starts
        return ItemSpan(
            self.end + by, starts + by if isinstance(starts, int) else [start + by for start in starts]
        )


class Dialect(ABC):
    """The interface that each body format implements."""

    format: ClassVar[Format]
    array: ClassVar[bytes]
    markers: ClassVar[tuple[bytes, ...]]
    """The members that mark a block for the cache."""
    before: ClassVar[frozenset[bytes]]
    """Members that are rendered, or that count, before the conversation."""
    output: ClassVar[bytes] = b'"content":'

    @abstractmethod
    def family(self, model: str | None) -> str:
        """Returns the tokenizer of the model that the body names."""

    @abstractmethod
    def decode(self, text: bytes) -> tuple[Frame, list[Any]]:
        """Returns the frame and the conversation's items."""

    @abstractmethod
    def place(self, body: bytes, position: int, items: Sequence[Any]) -> list[ItemSpan]:
        """Finds the items of the conversation, the first of which stands at or after `position`."""

    @abstractmethod
    def preamble(self, builder: Builder, frame: Frame, places: dict[bytes, int]) -> None:
        """Adds what is rendered before the conversation."""

    @abstractmethod
    def extend(self, builder: Builder, items: Sequence[Any], spans: Sequence[ItemSpan], index: int) -> None:
        """Adds the segments of the conversation's items, of which the first is number `index`."""

    @abstractmethod
    def draft(self, body: bytes, segments: Sequence[Segment]) -> Draft | None:
        """Returns the newest instruction, or None where the body does not end with one."""

    @abstractmethod
    def facts(self, frame: Frame) -> dict[str, Any]:
        """Returns the further fields of the Prompt."""
