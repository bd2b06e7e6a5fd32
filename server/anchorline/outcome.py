"""The outcome of a plan: the developer's decision, the provider's token counts, and the signals after.

Names are the protocol's (camelCase on the wire); the store keeps every field.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
PlanId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
AnswerId = Annotated[str, Meta(min_length=1, max_length=256)]
AdditionId = Annotated[str, Meta(max_length=4, pattern=r"^[a-z][0-9]+$")]
Decision = Literal["accepted", "modified", "rejected"]
MESSAGES = ("message", "fallback_message")
"""Kinds of an iteration that reads the conversation itself: Anthropic's `usage.iterations`."""


class Iteration(msgspec.Struct, frozen=True, rename="camel"):
    """One of the inferences that a request was billed for, counted as in `Usage`.

    `kind` is the provider's: a `message`, the `compaction` of a conversation, an advisor's message at the price of its
    own `model`.
    """

    kind: Annotated[str, Meta(max_length=32)] = "message"
    model: Annotated[str, Meta(max_length=128)] | None = None
    input: Count = 0
    read: Count = 0
    write: Count = 0
    output: Count = 0
    write_1h: Count = msgspec.field(default=0, name="write1h")

    @property
    def prompt(self) -> int:
        """The tokens of its prompt."""
        return self.input + self.read + self.write


class Usage(msgspec.Struct, frozen=True, rename="camel"):
    """Tokens that the provider billed. `input` excludes what was read from or written to the cache.

    `write_1h` is the part of `write` that was written for an hour. `speed`, `tier` and `geo` are what else the price
    depends on, as the provider names it (``fast``; ``batch``, ``flex``, ``priority``; ``us``) and empty where it is the
    ordinary one. With several `iterations` the counts are their sums. `partial`: the answer broke off, so more may
    have been billed than was told.
    """

    input: Count = 0
    read: Count = 0
    write: Count = 0
    output: Count = 0
    write_1h: Count = msgspec.field(default=0, name="write1h")
    web_searches: Count = 0
    speed: Annotated[str, Meta(max_length=32)] = ""
    tier: Annotated[str, Meta(max_length=32)] = ""
    geo: Annotated[str, Meta(max_length=32)] = ""
    iterations: Annotated[tuple[Iteration, ...], Meta(max_length=256)] = ()
    partial: bool = False

    @property
    def messages(self) -> tuple[Iteration, ...]:
        """The inferences that read the prompt itself, in order: one, but where the provider's own tools ran."""
        own = tuple(iteration for iteration in self.iterations if iteration.kind in MESSAGES)
        counts = (self.input, self.read, self.write, self.output, self.write_1h)
        return own or (Iteration("message", None, *counts),)

    @property
    def first(self) -> Iteration:
        """The first inference: the one that came to the cache as the request before had left it."""
        return self.messages[0]

    @property
    def prompt(self) -> int:
        """The size of the prompt as the model last read it. Less than what was billed where there were several."""
        return self.messages[-1].prompt


class Outcome(msgspec.Struct, frozen=True, rename="camel"):
    """What became of a plan. `edit_distance` is characters between the proposal and what was kept.

    `additions` are the decisions about single additions of the plan's refinement, by their ids; one that is not named
    was left undecided.
    `target` is the model that really answered, where it is known: what is warm now is warm for that one.
    `signals` are what could be observed afterwards, such as ``{"tests_passed": true, "asked_again": false}``.
    `answer_id` is the answer's own id as the provider gave it (``msg_…``, ``resp_…``, ``chatcmpl-…``) and `request_id`
    the one in its headers: by these a request counts once, whoever else has seen it. `ping`: no request of anybody's
    but the so manieth keep-alive of the plan's prefix, counted from 1.
    """

    plan_id: PlanId
    target: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    decision: Decision | None = None
    edit_distance: Count | None = None
    usage: Usage | None = None
    latency_ms: Annotated[float, Meta(ge=0, le=86_400_000)] | None = None
    signals: Annotated[dict[str, bool | int | float], Meta(max_length=32)] = {}
    sent_at: float | None = None
    answer_id: AnswerId | None = None
    request_id: AnswerId | None = None
    ping: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    additions: Annotated[dict[AdditionId, Decision], Meta(max_length=32)] = {}


class Feedback(msgspec.Struct, frozen=True, rename="camel"):
    """Thumbs up or down on a plan, with a note."""

    plan_id: PlanId
    thumbs: Literal[1, -1]
    note: Annotated[str, Meta(max_length=2000)] = ""
