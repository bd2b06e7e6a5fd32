"""The cause of a miss, from the bill of a request that read less than was believed warm.

Before it is sent, only what is known of the conversation can foretell a miss (`predict.py`). The bill says more: where
the read ended. docs/research/simulator.md says how often each of these occurs in recorded sessions.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

Cause = Literal[
    "expired",
    "model_changed",
    "compacted",
    "prefix_edited",
    "thinking_stripped",
    "history_changed",
    "not_readable",
    "dropped",
]
"""Why a prefix was not read: the first five are known beforehand, the last three only from the bill."""

NEAR = 0.02
"""Tokens are estimates, and providers count a few of their own: so much of a difference is none."""

FEW = 64
"""Nor is a difference of so few tokens."""


class Shortfall(msgspec.Struct, frozen=True):
    """`read` of `believed` tokens were read.

    ``dropped``: none. ``not_readable``: as much as an earlier request of the conversation left, so the newest entries
    were not there yet, or no longer. ``history_changed``: less than any of them left, so something after the head
    (tools and system prompt) differs from what was sent before, or a setting was switched that makes messages useless.
    """

    code: Literal["dropped", "not_readable", "history_changed"]
    text: str
    read: int
    believed: int


def shortfall(read: int, believed: int, ends: Iterable[int] = ()) -> Shortfall | None:
    """Returns why only `read` tokens were read, None where that is what was believed, or more.

    `ends` are the tokens at which earlier requests of the conversation ended.
    """
    if read >= believed or _near(read, believed):
        return None
    if read == 0:
        text = (
            f"nothing was read of {believed:,} tokens believed warm: the provider dropped them before their time, "
            "or tools or system prompt are not what they were"
        )
        return Shortfall("dropped", text, read, believed)
    if any(_near(read, end) for end in ends):
        text = (
            f"{read:,} of {believed:,} tokens believed warm were read, as many as an earlier request left: "
            "what was written after it was not readable"
        )
        return Shortfall("not_readable", text, read, believed)
    text = (
        f"only the first {read:,} of {believed:,} tokens believed warm were read: what follows them was changed, "
        "or a setting that the cached messages depend on was switched (thinking, tool choice)"
    )
    return Shortfall("history_changed", text, read, believed)


def _near(count: int, other: int) -> bool:
    return abs(count - other) <= max(FEW, NEAR * other)
