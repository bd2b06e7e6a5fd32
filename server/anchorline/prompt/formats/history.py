"""A session as it grows: the content of its next request, kept as offsets and hashes, never as text."""

import json
from collections.abc import Callable
from typing import Literal

import msgspec

from anchorline.prompt import tokens
from anchorline.prompt.fingerprint import EMPTY, Chain
from anchorline.prompt.model import Draft, Kind, PromptError, Role, Segment

Section = Literal["tools", "system", "messages"]


_TAGS: dict[Role, bytes] = {"system": b"s", "user": b"u", "assistant": b"a", "tool": b"t"}


class Block(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One content block of a session file: the offsets of its bytes, and what they hold.

    `tool` is the id of a tool's call or answer, `words:words_end` the bytes of the JSON string with a
    person's own words (`words_end` 0: there are none), `billed_tokens` its tokens where the provider reports them.
    """

    kind: Kind
    start: int
    end: int
    digest: bytes
    features: tokens.SegmentFeatures
    tool: str | None = None
    words: int = 0
    words_end: int = 0
    billed_tokens: int | None = None


class Part(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A block in its place. `turn` counts the person's turns so far, `prefix` is the hash up to its end."""

    block: Block
    role: Role
    section: Section
    turn: int
    message: int
    index: int
    prefix: bytes


class History:
    """The parts of the request that would be sent now, in render order.

    `now` is the time of the newest input (epoch seconds), `compacted` says that a summary stands for what was
    before.
    """

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.turn = 0
        self.now: float | None = None
        self.compacted = False

    @property
    def prefix(self) -> bytes:
        """The hash of everything."""
        return self.parts[-1].prefix if self.parts else EMPTY

    def add(self, block: Block, role: Role, *, fresh: bool, section: Section = "messages") -> None:
        """Appends a block; `fresh` begins a new message."""
        message = 0
        if self.parts and self.parts[-1].section == section:
            message = self.parts[-1].message + fresh
        self._put(block, role, section, self.turn, message)

    def _put(self, block: Block, role: Role, section: Section, turn: int, message: int) -> None:
        index, before = 0, EMPTY
        if self.parts:
            last = self.parts[-1]
            before = last.prefix
            if last.message == message and last.section == section:
                index = last.index + 1
        prefix = Chain(before).extend(block.digest, _TAGS[role])
        self.parts.append(Part(block, role, section, turn, message, index, prefix))

    def begin_turn(self) -> None:
        """Begins a person's turn."""
        self.turn += 1

    def replace(self) -> None:
        """Drops the messages: a summary follows."""
        self.parts = [part for part in self.parts if part.section != "messages"]
        self.compacted = True

    def strip_thinking(self) -> None:
        """Takes out the thinking of former turns, as older models go on without it."""
        parts = self.parts
        old = (i for i, part in enumerate(parts) if part.block.kind == "thinking" and part.turn < self.turn)
        first = next(old, None)
        if first is None:
            return
        rest = parts[first:]
        del parts[first:]
        for part in rest:
            if part.block.kind != "thinking" or part.turn >= self.turn:
                self._put(part.block, part.role, part.section, part.turn, part.message)

    def tell(self, first: int, thinking: int) -> None:
        """Notes what the provider has told: the tokens of all thinking among the parts from `first` on."""
        indices = [i for i in range(first, len(self.parts)) if self.parts[i].block.kind == "thinking"]
        for index in indices:
            part = self.parts[index]
            block = msgspec.structs.replace(part.block, billed_tokens=round(thinking / len(indices)))
            self.parts[index] = msgspec.structs.replace(part, block=block)

    def segments(self, model: str | None) -> tuple[Segment, ...]:
        """Returns the parts as segments, with estimates for this model."""
        family = tokens.family(model)
        return tuple(
            Segment(
                kind=block.kind,
                role=part.role,
                start=block.start,
                end=block.end,
                digest=block.digest,
                prefix=part.prefix,
                tokens=tokens.weigh(block.features, block.kind, family, model)
                if block.billed_tokens is None
                else block.billed_tokens,
                spread=tokens.spread(block.kind, family),
                section=part.section,
                message=part.message,
                block=part.index,
            )
            for part in self.parts
            for block in (part.block,)
        )

    def draft(self, load: Callable[[int, int], bytes]) -> Draft | None:
        """Returns the newest instruction of a person."""
        for index in range(len(self.parts) - 1, -1, -1):
            block = self.parts[index].block
            if block.words_end:
                text = words(load(block.words, block.words_end), block.words)
                return Draft(text, index, block.words, block.words_end, encoded=True)
        return None


def words(literal: bytes, offset: int) -> str:
    """Returns the text of a JSON string. Half a surrogate pair (JavaScript lets it pass) becomes U+FFFD."""
    try:
        return msgspec.json.decode(literal, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    try:
        text = json.loads(literal)
    except ValueError as error:
        raise PromptError(f"the newest instruction is no text: {error}", offset=offset) from error
    if not isinstance(text, str):
        raise PromptError("the newest instruction is no text", offset=offset)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
