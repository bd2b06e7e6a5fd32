"""Remembers which changes providers refused, and when each kind of change is tried again.

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
NAMES: dict[Change, str] = {
    "anchors": "the breakpoints",
    "trims": "shorter tool results",
    "route": "another model",
}
"""What each kind of change is called where a developer reads it."""
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
        """Returns whether it speaks of a kind of change; `model` is the one that the request was routed to."""
        message = self.told.lower()
        if change == "route":
            return self.status not in REFUSING or (bool(model) and model.lower().encode() in message)
        return change == "anchors" and any(word in message for word in _MARKERS)


class Pause(msgspec.Struct):
    """A kind of change that is left out until `until`. `refused` counts how often it was, last at `at`."""

    at: float
    until: float
    refused: int = 1


class Refusals:
    """What was refused. Written on the event loop, read in the planner's thread."""

    def __init__(self) -> None:
        self._pauses: OrderedDict[Conversation, dict[Change, Pause]] = OrderedDict()

    def allowed(self, conversation: Conversation, may: frozenset[Change], at: float) -> frozenset[Change]:
        """Returns the kinds of change that may be made now: of those left out for long enough, one."""
        pauses = self._pauses.get(conversation)
        if not pauses:
            return may
        paused = dict(pauses)
        due = sorted(change for change, pause in paused.items() if pause.until <= at and change in may)
        return may - paused.keys() | set(due[:1])

    def refused(
        self, conversation: Conversation, made: frozenset[Change], refusal: Refusal, model: str, at: float
    ) -> dict[Change, Pause]:
        """Notes that changes were refused in a request of `at`, routed to `model`; returns what is left out now."""
        pauses = dict(self._pauses.get(conversation, {}))
        named = frozenset(change for change in made if refusal.names(change, model))
        blamed = made & pauses.keys() or named or made  # one that is on trial, one that it names, else all
        for change in blamed:
            pause = pauses.get(change)
            if pause is None:
                pauses[change] = Pause(at, at + FIRST_S)
            elif pause.until <= at:  # else it was asked before that was known
                after = min(FIRST_S * 2**pause.refused, LAST_S)
                pauses[change] = Pause(at, at + after, pause.refused + 1)
        self._pauses[conversation] = pauses
        self._pauses.move_to_end(conversation)
        if len(self._pauses) > CAPACITY:
            self._pauses.popitem(last=False)
        return {change: pauses[change] for change in sorted(blamed)}

    def accepted(self, conversation: Conversation, made: Iterable[Change]) -> None:
        """Notes that changes were accepted: they are made again."""
        pauses = self._pauses.get(conversation)
        if pauses:
            self._pauses[conversation] = {
                kind: pause for kind, pause in pauses.items() if kind not in set(made)
            }

    def pauses(self, at: float) -> list[tuple[Conversation, Change, Pause]]:
        """Returns all that is left out at a moment."""
        return [
            (conversation, change, pause)
            for conversation, pauses in self._pauses.items()
            for change, pause in pauses.items()
            if pause.until > at
        ]
