"""The request and the bill of a simulated cache. Tokens, epoch seconds."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

Section = Literal["tools", "system", "messages"]
BlockKind = Literal["content", "user", "assistant", "thinking"]

CauseCode = Literal[
    "expired",
    "model_changed",
    "compacted",
    "thinking_stripped",
    "edited",
    "setting_changed",
    "not_readable",
    "look_back",
    "no_breakpoint",
    "below_minimum",
    "never_sent",
    "no_cache",
]


class SimulatedBlock(msgspec.Struct, frozen=True, gc=False):
    """A content block. `digest` identifies its content.

    `kind`: ``user`` for a person's own message (it begins a turn, and it is what strips earlier thinking),
    ``assistant`` and ``thinking`` for the model's own, ``content`` for tools, system and tool results.
    """

    digest: bytes
    tokens: int
    section: Section = "messages"
    kind: BlockKind = "content"


class Breakpoint(msgspec.Struct, frozen=True):
    """A cache breakpoint at the end of block number `block`, with the name of a lifetime."""

    block: int
    ttl: str = "default"


class SimulatedRequest(msgspec.Struct, frozen=True):
    """A request as it is sent: `blocks` in the provider's render order.

    `at` is its start, `first_at` when the response began, `last_at` when it was complete (None: at once).
    `session` names the conversation, so that a miss can be explained by what its last request held; `compacted` says
    that the conversation before was replaced by a summary. `settings` are request parameters that are part of the
    prefix, by their key in the provider's `invalidation` (``tool_choice_images``, ``thinking_or_effort``, …).
    `automatic` asks for, or (False) forbids, the provider's own breakpoint at the end; None leaves its default. It is
    held for `automatic_ttl`, the provider's own lifetime for it where that is ``default``.
    """

    at: float
    blocks: Sequence[SimulatedBlock]
    breakpoints: Sequence[Breakpoint] = ()
    first_at: float | None = None
    last_at: float | None = None
    session: str = ""
    compacted: bool = False
    settings: Mapping[str, str] = {}
    automatic: bool | None = None
    automatic_ttl: str = "default"


class MissCause(msgspec.Struct, frozen=True):
    """Why tokens were not read: `tokens` of them at least had been sent before, `block` is the first one not read.

    `seconds`: how long ago the entry expired (``expired``), or how long until it can be read (``not_readable``).
    """

    code: CauseCode
    tokens: int = 0
    block: int = 0
    seconds: float = 0.0


class SimulatedBill(msgspec.Struct, frozen=True):
    """What a request is charged for: tokens `read`, `written` by lifetime, and `uncached` ones.

    `cause` says why less was read than this conversation, or any other one of the account, had sent before.
    """

    read: int
    written: dict[str, int]
    uncached: int
    cause: MissCause | None = None

    @property
    def total(self) -> int:
        """All input tokens, without thinking that the provider removed."""
        return self.read + sum(self.written.values()) + self.uncached


class RejectedError(ValueError):
    """A request that the provider answers with an error: too many breakpoints, wrong order, unmarkable block."""
