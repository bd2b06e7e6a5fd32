"""One request with a prompt, from its coming to the end of its answer: what is sent for it, and what is told of it."""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import aiohttp
import msgspec

from anchorline.gateway.credential import Credential
from anchorline.gateway.refusals import ACCEPTED, REFUSING, REFUSING_MODEL, Change, Refusal
from anchorline.gateway.splice import Changed
from anchorline.gateway.usage import Meter
from anchorline.plan import CachePlan, Plan
from anchorline.prompt.model import Format, Prompt
from anchorline.route.choose import Course
from anchorline.trim.results import Trimmed

ADOPTED = b"the answer names this model, and a client may go on with it, as claude --continue does"
"""Said with a route: what is sent is not the client's choice, but what comes back may become it."""

Send = Callable[[bytes], AbstractAsyncContextManager[aiohttp.ClientResponse]]


def format_of(upstream: str, path: str) -> Format | None:
    """Return the format of the bodies that are sent to a path, or None where they are no prompts."""
    path = path.partition("?")[0].rstrip("/")
    if upstream == "anthropic":
        return "anthropic" if path.endswith("/v1/messages") else None
    if path.endswith("/chat/completions"):
        return "openai-chat"
    return "openai-responses" if path.endswith("/responses") else None


def counted(upstream: str, path: str) -> Format | None:
    """Return the format of the bodies whose tokens are counted at a path, or None where none are."""
    path, _, last = path.partition("?")[0].rstrip("/").rpartition("/")
    asked = {"anthropic": "count_tokens", "openai": "input_tokens"}
    return format_of(upstream, path) if last == asked.get(upstream) else None


class Planned(msgspec.Struct, frozen=True):
    """A request's prompt and plan, and what is sent in its place.

    `route` is the model, where it is another one; `local` says that it is one of the local tier. `cache` is what is to
    be expected of the cache by what is sent, `untouched` by what the client has sent, where that is. `course` is how a
    conversation goes on that may be routed.
    """

    prompt: Prompt
    plan: Plan
    changed: Changed
    trims: tuple[Trimmed, ...] = ()
    warning: str = ""
    route: str = ""
    local: bool = False
    cache: CachePlan | None = None
    untouched: CachePlan | None = None
    course: Course | None = None


class Sender(msgspec.Struct, frozen=True):
    """Who sends a request: its `client` (User-Agent), the `session` that its headers name, its kind of credential."""

    client: str = ""
    session: str | None = None
    credential: Credential = "none"


class Desk(Protocol):
    """Who plans an exchange, and records it."""

    def plan(self, exchange: "Exchange") -> object:
        """Have it planned."""
        ...

    async def prepare(self, exchange: "Exchange") -> tuple[Planned | None, str]:
        """Return the plan that it is sent by, or why there is none."""
        ...

    def refused(self, exchange: "Exchange", planned: Planned, refusal: Refusal) -> str:
        """Note that the provider took the original in the place of what was planned; return that as a reason."""
        ...

    def accepted(self, exchange: "Exchange") -> None:
        """Note that the provider took it as it was changed."""
        ...

    def settle(self, exchange: "Exchange") -> None:
        """Have it recorded."""
        ...


class Exchange:
    """One request with a prompt, on its way. Used on the event loop only; `at` is its start in epoch seconds.

    `may` are the kinds of change that may be made; `held` says why there are none, where nothing else is done with it
    either. `send` sends another body where it went, with its headers.
    """

    def __init__(
        self,
        desk: Desk,
        format_: Format,
        body: bytes,
        at: float,
        sender: Sender,
        may: frozenset[Change] = frozenset(),
        held: str = "",
    ) -> None:
        self.format: Format = format_
        self.body = body
        self.at = at
        self.sender = sender
        self.may = may
        self.held = held
        self.status = 0
        self.first_byte_s: float | None = None
        self.seconds = 0.0
        self.meter: Meter | None = None
        self.planned: Planned | None = None
        self.reason = held
        self.send: Send | None = None
        self._refused: tuple[Planned, Refusal] | None = None
        self._desk = desk
        self._clock = time.perf_counter()

    async def prepare(self) -> bytes:
        """Return the body to send: the client's own, or what the plan makes of it."""
        if not self.may:
            return self.body
        self.planned, self.reason = await self._desk.prepare(self)
        changed = self.planned.changed if self.planned is not None else None
        return changed.body if changed is not None and changed.splices else self.body

    def refusable(self, status: int) -> bool:
        """Tell whether an answer may be a refusal of what was changed."""
        kinds = self.planned.changed.kinds if self.planned is not None else ()
        return bool(kinds) and status in (REFUSING_MODEL if "route" in kinds else REFUSING)

    def refused(self, refusal: Refusal) -> None:
        """Note that the changed request was not taken; the original is sent now."""
        if self.planned is not None:
            self._refused = self.planned, refusal
        self.planned, self.reason = None, "the provider refuses this request, changed or not"

    def unanswered(self) -> None:
        """Note that the local model that it was routed to has no answer; the original is sent now."""
        self.planned, self.reason = None, "the local model did not answer"

    def _judge(self, status: int) -> None:
        """See whose fault a refusal was, by the status of the answer to the original."""
        if self._refused is not None and status < ACCEPTED:
            self.reason = self._desk.refused(self, *self._refused)
        elif self.planned is not None and status < ACCEPTED:
            self._desk.accepted(self)
        self._refused = None

    def answered(self, status: int, meter: Meter, request_id: str = "") -> list[tuple[bytes, bytes]]:
        """Note that the answer begins; return the headers that say what was done with the request."""
        self.status = status
        self.request_id = request_id
        self.meter = meter
        self.first_byte_s = time.perf_counter() - self._clock
        self._judge(status)
        self._desk.plan(self)
        if self.planned is None and not self.reason:
            return []
        headers = []
        if self.planned is not None and self.planned.warning:
            headers.append((b"anchorline-warning", self.planned.warning.encode("ascii", "replace")))
        if self.planned is None or not self.planned.changed.splices:
            return [*headers, (b"anchorline-unchanged", self.reason.encode("ascii", "replace"))]
        if self.route:
            headers.append((b"anchorline-route", self.route.encode("ascii", "replace")))
            headers.append((b"anchorline-route-note", ADOPTED))
        return [*headers, (b"anchorline-plan", self.planned.plan.id.encode())]

    @property
    def route(self) -> str:
        """The model that the request was sent to in the place of its own, empty where it was not."""
        return self.planned.route if self.planned is not None else ""

    @property
    def local(self) -> bool:
        """Whether it is sent to a model of the local tier in the place of its own."""
        return self.planned is not None and self.planned.local

    def release(self) -> None:
        """Let the bodies go."""
        self.body, self.planned, self.send = b"", None, None

    def close(self) -> None:
        """Note that the exchange is over, complete or not."""
        self.seconds = time.perf_counter() - self._clock
        self._desk.settle(self)
