"""What really happened to a plan: the developer's decision, the provider's own token counts, the signals after.

Names are the protocol's (camelCase on the wire); the store keeps every field.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
PlanId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]


class Usage(msgspec.Struct, frozen=True, rename="camel"):
    """Tokens that the provider billed. `input` excludes what was read from or written to the cache."""

    input: Count = 0
    read: Count = 0
    write: Count = 0
    output: Count = 0


class Outcome(msgspec.Struct, frozen=True, rename="camel"):
    """What became of a plan. `edit_distance` is characters between the proposal and what was kept.

    `target` is the model that really answered, where it is known: what is warm now is warm for that one.
    `signals` are what could be observed afterwards, such as ``{"tests_passed": true, "asked_again": false}``.
    """

    plan_id: PlanId
    target: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    decision: Literal["accepted", "modified", "rejected"] | None = None
    edit_distance: Count | None = None
    usage: Usage | None = None
    latency_ms: Annotated[float, Meta(ge=0, le=86_400_000)] | None = None
    signals: Annotated[dict[str, bool | int | float], Meta(max_length=32)] = {}
    sent_at: float | None = None


class Feedback(msgspec.Struct, frozen=True, rename="camel"):
    """Thumbs up or down on a plan, with a note."""

    plan_id: PlanId
    thumbs: Literal[1, -1]
    note: Annotated[str, Meta(max_length=2000)] = ""
