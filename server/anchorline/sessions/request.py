"""A request as a recorded session shows it: what was sent, when, and what was billed. No text."""

import heapq
import sqlite3
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Literal, Protocol, runtime_checkable

import msgspec

from anchorline.cache import ledger
from anchorline.cache.ledger import Entry
from anchorline.outcome import Usage
from anchorline.prompt.source import Line
from anchorline.rate_limits import LimitSample
from anchorline.route.target import Targets
from anchorline.sessions.facts import Checkout, ToolResult

Trigger = Literal["user", "tool", "compact"]
NEWEST = 10_000
"""Requests of a session file that are looked at for what is warm: they take hours to send."""


class RecordedMessage(msgspec.Struct, frozen=True):
    """A person's message, without its text: where its words stand in the file, and what is learnt from.

    `thoughtless`: the turn before had no thinking. `commands`: the message brings several texts, as slash commands do.
    Both are known of Claude Code's sessions only. `grams` and `draft` are those of `learn.features`.
    """

    start: int
    end: int
    thoughtless: bool = False
    commands: bool = False
    grams: tuple[int, ...] = ()
    draft: tuple[float, ...] | None = None


class RecordedRequest(msgspec.Struct, frozen=True):
    """One request. `id` tells it from all others, and is the same wherever a fork or a copy of a session has it.

    `answer` is the response's own id and `request` that of the request, as the provider gave them, where the file says
    so: whoever else has seen the request knows it by these. `usage` is what was billed where that is more than the
    counts beside it.

    `chain` is ``main`` or names a sub-agent, `branch` is 0 on the way to the newest line and counts the ways
    that were left. `trigger` says what it was sent for: a person's message, a tool's answer, or the first one
    after a compaction. `switched`: another model than the request before in its chain. Times are epoch seconds:
    `sent_at` of the newest input, `first_at` of the response's first line. `prefix` is the hash of the `blocks`
    that were sent. Tokens are the provider's counts, `input` without the cached ones; `write_5m` is what was written
    for another time than an hour. `message` is the one that a person's request answers.

    `checkout` is where it was made; `subagent` the type of the sub-agent that made it, "" where that is not known, and
    None in the main chain; `results` what the tools returned since the request before.
    """

    id: str
    session: str
    chain: str
    branch: int
    model: str
    sent_at: float
    first_at: float | None
    trigger: Trigger
    switched: bool
    blocks: int
    prefix: bytes
    input: int
    read: int
    write_5m: int
    write_1h: int
    output: int
    ttl: str | None
    message: RecordedMessage | None = None
    checkout: Checkout | None = None
    subagent: str | None = None
    results: tuple[ToolResult, ...] = ()
    answer: str | None = None
    request: str | None = None
    usage: Usage | None = None

    @property
    def tokens(self) -> int:
        """Tokens of the whole prompt, as the model last read it."""
        return self.bill.prompt

    @property
    def bill(self) -> Usage:
        """All that was billed."""
        if self.usage is not None:
            return self.usage
        return Usage(self.input, self.read, self.write_5m + self.write_1h, self.output, self.write_1h)


class Transcript(Protocol):
    """A session file while it is read. `problem` says what was left out, once all requests are taken.

    It is made with the file's `Facts` and its path. A JSON document is taken as the one line that it is; what `state`
    returns of that is not asked for.
    """

    problem: str | None

    def take(self, line: Line) -> None:
        """Takes in a line. Raises what decoding raises."""
        ...

    def requests(self) -> Iterator[RecordedRequest]:
        """Yields the requests that the lines show; of earlier ones at least those that changed."""
        ...

    def state(self) -> bytes:
        """Returns what is needed to go on from here, without text."""
        ...

    def resume(self, state: bytes) -> None:
        """Goes on from `state`. Raises msgspec.DecodeError where it is no state of this version."""
        ...


@runtime_checkable
class TellsLimits(Protocol):
    """A transcript whose lines also tell of a plan's limits."""

    def limits(self) -> Iterable[LimitSample]:
        """Returns what the lines since `resume` tell of a plan's limits."""
        ...


class ReadAnew:
    """A transcript that keeps no state: a file that grew is read anew, since what is new may go back to anything."""

    def state(self) -> bytes:
        """Returns nothing."""
        return b""

    def resume(self, state: bytes) -> None:
        """Refuses any state."""
        raise msgspec.DecodeError(f"no state of {len(state)} bytes")


class DatabaseTranscript(Protocol):
    """An agent's SQLite database while it is read, made as a `Transcript` is.

    `resume` comes first, with the `state` of the import before where there was one.
    """

    problem: str | None

    def take(self, connection: sqlite3.Connection) -> None:
        """Notes how far the database goes. Raises PromptError where it is not the agent's, and sqlite3.Error."""
        ...

    def requests(self) -> Iterator[RecordedRequest]:
        """Yields the requests that are new since `resume`, and those again that may have changed.

        The connection is open until the last one is taken. Raises PromptError and sqlite3.Error.
        """
        ...

    def state(self) -> bytes:
        """Returns how far the database went in `take`, without text."""
        ...

    def resume(self, state: bytes) -> None:
        """Goes on from `state`. Raises msgspec.DecodeError where it is no state of this version."""
        ...


def conversation(session: str, chain: str = "main") -> str:
    """Returns what the ledger calls a conversation, whoever has seen it: its session, and which agent of it."""
    return session if chain in ("main", "agent") else f"{session}/{chain}"


class Newest:
    """The newest requests of a file, however many it has, with those earlier ones that tell something of them.

    These are of each chain the last one that wrote, which set the lifetime, and of the conversation the first one and
    the last one after a compaction.
    """

    def __init__(self) -> None:
        self._newest: list[tuple[float, int, RecordedRequest]] = []
        self._earlier: dict[tuple[str, ...], tuple[float, int, RecordedRequest]] = {}
        self._count = 0

    def passing(self, requests: Iterable[RecordedRequest]) -> Iterator[RecordedRequest]:
        """Yields further requests, in any order, and takes them in."""
        for request in requests:
            item = request.sent_at, self._count, request
            self._count += 1
            if len(self._newest) < NEWEST:
                heapq.heappush(self._newest, item)
            else:
                self._leave(heapq.heappushpop(self._newest, item))
            yield request

    def _leave(self, item: tuple[float, int, RecordedRequest]) -> None:
        request, earlier = item[2], self._earlier
        if request.ttl is not None:
            self._keep_later("ttl", request.session, request.chain, item=item)
        if request.chain == "main" and request.branch == 0:
            earlier["first",] = min(earlier.get(("first",), item), item)
            if request.trigger == "compact":
                self._keep_later("compact", item=item)

    def _keep_later(self, *key: str, item: tuple[float, int, RecordedRequest]) -> None:
        self._earlier[key] = max(self._earlier.get(key, item), item)

    def requests(self) -> list[RecordedRequest]:
        """Returns them by time."""
        items = {item[1]: item for item in (*self._earlier.values(), *self._newest)}
        return [request for _, _, request in sorted(items.values())]


def warm(requests: list[RecordedRequest], targets: Targets, account: str, now: float) -> list[Entry]:
    """Returns what the providers hold after these requests and has not expired at `now`.

    A request that wrote nothing refreshed what it read, under the lifetime of the chain's last write.
    """
    entries = []
    ttls: dict[tuple[str, str], str] = {}
    for request in sorted(requests, key=attrgetter("sent_at")):
        chain = (request.session, request.chain)
        ttl = ttls[chain] = request.ttl or ttls.get(chain, "default")
        target = targets.find(request.model)
        entry = ledger.entry(
            target.provider,
            account=account,
            model=target.id,
            prefix=request.prefix,
            tokens=request.tokens,
            ttl=ttl,
            started=request.sent_at,
            used=request.first_at,
            conversation=conversation(request.session, request.chain),
        )
        if entry is not None and entry.is_warm(now):
            entries.append(entry)
    return entries
