"""Codex's session files: requests one after the other. A sub-agent has a file of its own."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from anchorline import rate_limits
from anchorline.prompt import tokens
from anchorline.prompt.formats.codex import Frozen, SentRequest, Session, SessionMeta, TokenUsage
from anchorline.prompt.source import Line
from anchorline.rate_limits import LimitSample
from anchorline.sessions.facts import Facts, FrozenFacts, ToolResult
from anchorline.sessions.messages import newest_message
from anchorline.sessions.request import RecordedRequest, Trigger

_ID = re.compile(r"[A-Za-z0-9_./:@|-]{0,128}\Z")


class _State(msgspec.Struct, frozen=True):
    session: Frozen
    turn: int
    before: str | None
    facts: FrozenFacts
    subagent: str


class _Spawn(msgspec.Struct):
    agent_role: Any = None


class _Subagent(msgspec.Struct):
    thread_spawn: _Spawn | None = None
    other: Any = None


class _Source(msgspec.Struct):
    subagent: str | _Subagent | None = None


class _Reading(Session):
    """Keeps what was billed with what was asked."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(tokens.unmeasured, facts.item)
        self.facts = facts
        self.subagent = ""
        self._results: tuple[ToolResult, ...] = ()
        self.billed_requests: list[RecordedRequest] = []
        self.limit_samples: list[LimitSample] = []
        self.turn_before = 0
        self.model_before: str | None = None

    def described(self, meta: SessionMeta) -> None:
        """Takes in folder and branch, and which sub-agent it is."""
        git = meta.git if isinstance(meta.git, dict) else {}
        self.facts.visit(meta.cwd, git.get("branch"))
        if not self.subagent:
            self.subagent = self.facts.agent(_role(bytes(meta.source)))

    def sending(self) -> None:
        """Takes what has come since the request before, which may have been copied from another session."""
        super().sending()
        self._results = self.facts.take(self.model or "")

    def limited(self, limits: bytes, at: float) -> None:
        """Takes in what was told of a plan's limits."""
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the request still counts
            self.limit_samples.extend(rate_limits.from_codex(msgspec.json.decode(limits), at))

    def billed(self, at: float, asked: SentRequest, usage: TokenUsage, response: str | None) -> None:
        """Takes in a request."""
        history = self.history
        trigger: Trigger = (
            "compact" if history.compacted else "user" if history.turn != self.turn_before else "tool"
        )
        history.compacted, self.turn_before = False, history.turn
        session = self.id or ""
        model = self.model or ""
        self.billed_requests.append(
            RecordedRequest(
                id=f"{response}@{at}" if response else f"{session}:{at}:{asked.prefix.hex()}",
                session=session,
                chain="agent" if self.agent else "main",
                branch=0,
                model=model,
                sent_at=at,
                first_at=asked.first_at,
                trigger=trigger,
                switched=self.model_before not in (None, model),
                blocks=asked.segments,
                prefix=asked.prefix,
                input=usage.input,
                read=usage.read,
                write_5m=usage.write,
                write_1h=0,
                output=usage.output_tokens,
                ttl=None,
                message=newest_message(history) if trigger == "user" else None,
                checkout=self.facts.checkout(self.facts.branch),
                subagent=self.subagent if self.agent else None,
                results=self._results,
                answer=response,
            )
        )
        self.model_before, self._results = model, ()


class Codex:
    """One file."""

    problem: str | None = None

    def __init__(self, facts: Facts, path: Path) -> None:  # noqa: ARG002
        self._facts = facts
        self._reading = _Reading(facts)

    def take(self, line: Line) -> None:
        """Takes in a line."""
        self._reading.take(line)

    def requests(self) -> Iterator[RecordedRequest]:
        """Yields the requests since the state that was resumed."""
        yield from self._reading.billed_requests

    def limits(self) -> Iterator[LimitSample]:
        """Yields what was told of a plan's limits since the state that was resumed."""
        yield from self._reading.limit_samples

    def state(self) -> bytes:
        """Returns what is needed to go on; nothing where an id has not the form of one and could be text."""
        reading = self._reading
        names = (reading.id, reading.model, *(part.block.tool for part in reading.history.parts))
        facts = self._facts.frozen()
        if facts is None or not all(_ID.match(name) for name in names if name is not None):
            return b""
        return msgspec.msgpack.encode(
            _State(reading.frozen(), reading.turn_before, reading.model_before, facts, reading.subagent)
        )

    def resume(self, state: bytes) -> None:
        """Goes on from `state`."""
        decoded = msgspec.msgpack.decode(state, type=_State)
        reading = self._reading
        reading.resume(decoded.session)
        reading.turn_before, reading.model_before = decoded.turn, decoded.before
        reading.subagent = decoded.subagent
        self._facts.resume(decoded.facts)


def _role(source: bytes) -> object:
    """Returns what a sub-agent is for, as the source of its session says."""
    try:
        subagent = msgspec.json.decode(source, type=_Source).subagent
    except msgspec.MsgspecError:  # an ordinary session says it in a word
        return None
    if isinstance(subagent, _Subagent):
        return subagent.thread_spawn.agent_role if subagent.thread_spawn is not None else subagent.other
    return subagent
