"""A person's turns in a prompt: where one begins, and what the newest message says of a return to a prefix."""

from collections.abc import Sequence
from typing import Protocol

from anchorline.cache.hits import PersonMessage
from anchorline.prompt.model import Kind, Role

SCANNED = 200
"""Segments that are looked at for the turn before: it bounds the time."""


class TurnPart(Protocol):
    """A segment, as far as turns depend on it."""

    @property
    def kind(self) -> Kind:
        """The kind of its content."""
        ...

    @property
    def role(self) -> Role:
        """The speaker it is from."""
        ...


def message(
    segments: Sequence[TurnPart], draft: int, sent: int, *, session: bool, drops: bool
) -> PersonMessage | None:
    """Returns the person's message that a request brings, None where it brings none.

    `draft` is the segment of the newest instruction, `sent` the last segment that a request before had. `session`: the
    prompt is a Claude Code session, which shows thinking and commands. `drops`: the provider removes earlier thinking.
    """
    if draft <= sent:
        return None
    count, thought = _before(segments, draft)
    texts = (
        sum(part.role == "user" and part.kind == "text" for part in segments[sent + 1 :]) if session else 0
    )
    # A body holds what its client keeps of the thinking, which says less than the session does.
    return PersonMessage(count, thoughtless=session and not drops and not thought, commands=texts > 1)


def _before(segments: Sequence[TurnPart], draft: int) -> tuple[int, bool]:
    """Returns how many turns of a person came before (counting to 2), and whether the last of them had thinking.

    Both are unknown (2, true) where the turn before is longer than `SCANNED`.
    """
    count, thought = 0, False
    begin = start(segments, draft)
    stop = max(begin - SCANNED, 0)
    for index in range(begin - 1, stop - 1, -1):
        kind = segments[index].kind
        if kind == "thinking":
            thought = thought or count == 0
        elif kind == "text" and opens(segments, index):
            count += 1
            if count == 2:
                return 2, thought
    return (count, thought) if stop == 0 else (2, thought or count == 0)


def start(segments: Sequence[TurnPart], draft: int) -> int:
    """Returns the first of the texts that a person's turn, the one of segment `draft`, begins with."""
    while draft > 0 and segments[draft - 1].role == "user" and segments[draft - 1].kind == "text":
        draft -= 1
    return draft


def opens(segments: Sequence[TurnPart], index: int) -> bool:
    """Says whether a person's turn begins with this segment; a text right after a tool's result does not."""
    segment = segments[index]
    if segment.kind != "text" or segment.role != "user":
        return False
    before = segments[index - 1] if index else None
    return before is None or (before.role != "user" and before.kind != "tool_result")
