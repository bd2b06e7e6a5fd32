"""What providers refused of our changes, and when each kind of change is tried again.

A changed request that is answered with an error is sent once more as it was. Only if that is accepted was it the change
that was refused: a prompt that is too long, an empty account or an unknown beta are refused either way. The kind of
change is then left out for that client's conversation with that model, for `FIRST_S`, and after each further refusal
for twice as long, up to `LAST_S`. Where nothing says which of several kinds it was, all of them are left out, and come
back one at a time.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

Change = Literal["anchors", "trims", "route"]
FIRST_S = 600.0
LAST_S = 86_400.0
CAPACITY = 256
"""Conversations that are remembered, those refused last."""
REFUSING = frozenset({400, 413, 422})
"""Statuses that may refuse what was added or left out: 400 and 413 of the providers, 422 of servers that check bodies
by a schema (FastAPI)."""
REFUSING_MODEL = REFUSING | {403, 404}
"""Those that may refuse another model: no access to it, or not known."""
ACCEPTED = 400
"""Lower statuses accept a request."""
_MARKERS = (b"cache_control", b"cachepoint", b"cache breakpoint", b"prompt_cache", b"ephemeral")


class Conversation(NamedTuple):
    """Whose requests are meant: a client (its User-Agent), its conversation, and the model that it asks for."""

    client: str
    conversation: str | None
    model: str | None


class Refusal(msgspec.Struct, frozen=True):
    """An answer that refuses a request: its status and the beginning of its body."""

    status: int
    told: bytes

    def names(self, change: Change, model: str) -> bool:
        """Tell whether it speaks of a kind of change; `model` is the one that the request was routed to."""
        told = self.told.lower()
        if change == "route":
            return self.status not in REFUSING or (bool(model) and model.lower().encode() in told)
        return change == "anchors" and any(word in told for word in _MARKERS)


class Stop(msgspec.Struct):
    """A kind of change that is left out until `until`. `refused` counts how often it was, last at `at`."""

    at: float
    until: float
    refused: int = 1


class Refusals:
    """What was refused. Written on the event loop, read in the planner's thread."""

    def __init__(self) -> None:
        self._stops: OrderedDict[Conversation, dict[Change, Stop]] = OrderedDict()

    def allowed(self, conversation: Conversation, may: frozenset[Change], at: float) -> frozenset[Change]:
        """Return the kinds of change that may be made now: of those left out for long enough, one."""
        stops = self._stops.get(conversation)
        if not stops:
            return may
        stopped = dict(stops)
        due = sorted(change for change, stop in stopped.items() if stop.until <= at and change in may)
        return may - stopped.keys() | set(due[:1])

    def refused(
        self, conversation: Conversation, made: frozenset[Change], refusal: Refusal, model: str, at: float
    ) -> dict[Change, Stop]:
        """Note that changes were refused in a request of `at`, routed to `model`; return what is left out now."""
        stops = dict(self._stops.get(conversation, {}))
        named = frozenset(change for change in made if refusal.names(change, model))
        blamed = made & stops.keys() or named or made  # one that is on trial, one that it names, else all
        for change in blamed:
            known = stops.get(change)
            if known is None:
                stops[change] = Stop(at, at + FIRST_S)
            elif known.until <= at:  # else it was asked before that was known
                after = min(FIRST_S * 2**known.refused, LAST_S)
                stops[change] = Stop(at, at + after, known.refused + 1)
        self._stops[conversation] = stops
        self._stops.move_to_end(conversation)
        if len(self._stops) > CAPACITY:
            self._stops.popitem(last=False)
        return {change: stops[change] for change in sorted(blamed)}

    def accepted(self, conversation: Conversation, made: Iterable[Change]) -> None:
        """Note that changes were accepted: they are made again."""
        stops = self._stops.get(conversation)
        if stops:
            self._stops[conversation] = {kind: stop for kind, stop in stops.items() if kind not in set(made)}

    def stops(self, at: float) -> list[tuple[Conversation, Change, Stop]]:
        """Return all that is left out at a moment."""
        return [
            (conversation, change, stop)
            for conversation, stops in self._stops.items()
            for change, stop in stops.items()
            if stop.until > at
        ]
