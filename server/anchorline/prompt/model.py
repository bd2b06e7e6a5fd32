"""The prompt: an ordered run of segments, read from any format, without copying the text.

A `Segment` is a slice of the source in the order in which the provider renders it (tools, system, messages).
It carries its content digest, the hash of the whole prefix up to its end, and a token estimate, so that the
planner never has to look at the text again. `Prompt.text` reads a segment's bytes when somebody does need
them (the draft, a reason that quotes), from memory or from the file.
"""

from collections.abc import Callable
from typing import Literal

import msgspec

Kind = Literal[
    "tool",  # one tool definition
    "system",  # system or developer instructions
    "document",  # attached file, instruction file
    "text",  # prose of a turn
    "tool_use",
    "tool_result",
    "thinking",
    "image",
    "front_matter",
    "fence",
    "other",
]
Role = Literal["system", "user", "assistant", "tool"]
Standing = Literal["block", "nested", "deferred", "compacted", "unrendered", "null"]
Format = Literal["markdown", "anthropic", "openai-chat", "openai-responses", "gemini", "claude-code", "codex"]


class Segment(msgspec.Struct, frozen=True, gc=False):
    """One part of a prompt.

    `start:end` are bytes of the source. `digest` (16 bytes) identifies the content without cache markers;
    `prefix` (16 bytes) identifies everything sent up to and including this segment. `tokens` is the estimate,
    `spread` its standard error as a share of `tokens`. `section`, `message` and `block` say where it stands
    in a request body (``block`` is -1 when the message's content is a plain string).
    """

    kind: Kind
    role: Role
    start: int
    end: int
    digest: bytes
    prefix: bytes
    tokens: int
    spread: float
    section: Literal["tools", "system", "messages"]
    message: int
    block: int

    @property
    def size(self) -> int:
        """Bytes in the source."""
        return self.end - self.start


class Marker(msgspec.Struct, frozen=True):
    """A cache marker that the client itself has set; the bytes `start:end` are it, with one of the commas around it.

    `standing`: ``block`` marks the end of `segment`, ``nested`` a block within it (in a tool's result, in a document).
    The others mark nothing: a tool that is not loaded (``deferred``), what stands before a compaction block
    (``compacted``) or is not rendered (``unrendered``), an empty member (``null``). `segment` is the one before these,
    -1 where there is none.
    """

    segment: int
    ttl: str
    start: int
    end: int
    standing: Standing = "block"

    @property
    def acts(self) -> bool:
        """Whether it marks a prefix that is sent to the model."""
        return self.standing in ("block", "nested")


class Draft(msgspec.Struct, frozen=True):
    """The newest instruction: the only text that refinement may touch.

    `start:end` are bytes of the source. Where `encoded` is true they hold a JSON string literal (quotes
    included), else the text itself in UTF-8.
    """

    text: str
    segment: int
    start: int
    end: int
    encoded: bool


class Sent(msgspec.Struct, frozen=True):
    """A request that the source itself shows was sent: what a transcript tells about the cache.

    `prefix` is the hash of the prompt as sent, `at` epoch seconds of its start; tokens are the provider's own
    counts (`None`: not told).
    """

    at: float
    model: str
    prefix: bytes
    segments: int
    input: int
    read: int | None = None
    write: int | None = None
    ttl: str | None = None


class Prompt(msgspec.Struct, frozen=True):
    """All that will be sent.

    `now` is when the prompt is (or, for a transcript, was) about to be sent, in epoch seconds; None means
    the present. `compacted`: the history before was replaced by a summary. `models` are those that a document names, by
    whatever name, the one to be preferred first. `load` returns source bytes. `left_out` are
    the lines of a damaged session file that could not be read. `self_contained`: the model gets all these segments and
    nothing before them. It may not where the request lets the provider take out earlier tool results, or goes on from
    a conversation that the provider keeps.
    """

    format: Format
    segments: tuple[Segment, ...]
    load: Callable[[int, int], bytes]
    draft: Draft | None = None
    markers: tuple[Marker, ...] = ()
    model: str | None = None
    provider: str | None = None
    session: str | None = None
    max_tokens: int | None = None
    sent: tuple[Sent, ...] = ()
    now: float | None = None
    compacted: bool = False
    automatic_ttl: str | None = None
    models: tuple[str, ...] = ()
    left_out: "tuple[PromptError, ...]" = ()
    self_contained: bool = True

    @property
    def is_instructions(self) -> bool:
        """Whether it is a file of standing instructions: a client sends it with each request, it is none itself."""
        return self.format == "markdown" and any(segment.role == "system" for segment in self.segments)

    @property
    def tokens(self) -> int:
        """Estimated input tokens of the whole prompt."""
        return sum(segment.tokens for segment in self.segments)

    @property
    def hash(self) -> str:
        """Hash of everything that is sent, in hex."""
        return self.segments[-1].prefix.hex() if self.segments else "0" * 32

    @property
    def conversation(self) -> str | None:
        """What stands for the conversation: its session, else a hash of its beginning up to the first user message.

        None where nothing does: a document of its own is another one after each change of it.
        """
        if self.session is not None or self.format == "markdown":
            return self.session
        last: Segment | None = None
        for segment in self.segments:
            if last is not None and segment.message != last.message:
                break
            if segment.role == "user":
                last = segment
        return None if last is None else f"b2:{last.prefix.hex()}"

    def text(self, segment: Segment) -> str:
        """Returns a segment's source text. Invalid UTF-8 is shown as U+FFFD."""
        return self.load(segment.start, segment.end).decode("utf-8", "replace")

    def pointer(self, index: int) -> str:
        """Returns the JSON pointer (RFC 6901) of a segment in its request body, or ``#N`` elsewhere."""
        segment = self.segments[index]
        names = _MEMBERS.get(self.format)
        if names is None:
            return f"#{index}"
        path = f"/{names.get(segment.section, segment.section)}"
        if segment.message >= 0:
            path += f"/{segment.message}"
        if self.format == "gemini":
            return path if segment.section == "tools" else f"{path}/parts/{segment.block}"
        if segment.section != "messages" or segment.message < 0:
            return path
        if segment.block >= 0:
            return f"{path}/content/{segment.block}"
        return f"{path}/content" if self.format == "anthropic" else path


_MEMBERS: dict[Format, dict[str, str]] = {
    "anthropic": {},
    "openai-chat": {},
    "openai-responses": {"messages": "input", "system": "instructions"},
    "gemini": {"messages": "contents", "system": "systemInstruction"},
}
"""What the body formats call the sections, where they call them otherwise."""


class PromptError(ValueError):
    """A source that is no prompt. The message names what is wrong; `offset` is the byte, `line` counts from 1."""

    def __init__(self, message: str, *, offset: int | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset
        self.line = line


class EmptyPromptError(PromptError):
    """A source with nothing in it."""

    def __init__(self) -> None:
        super().__init__("the file is empty", offset=0)
