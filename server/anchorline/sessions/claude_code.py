"""Claude Code's session files: every way through their tree of lines, and the sub-agents in them."""

import re
from collections.abc import Iterator

import msgspec

from anchorline.prompt import tokens
from anchorline.prompt.formats.claude_code import Entry, Session, Usage, requests, strips_thinking
from anchorline.prompt.formats.history import History
from anchorline.prompt.source import Line
from anchorline.sessions.request import Billed, Trigger
from anchorline.sessions.said import said

_IDS = re.compile(r"(?:[A-Za-z0-9_.:@<>\[\]-]{0,128}\n)*+\Z")
MAX_WAYS = 200
"""Each way costs a walk over the file; no real session has so many."""


class _Chain(msgspec.Struct, frozen=True):
    entries: list[Entry]
    places: dict[str, int]
    session: str | None


class _State(msgspec.Struct, frozen=True):
    main: _Chain
    agents: _Chain


class ClaudeCode:
    """One file."""

    def __init__(self) -> None:
        self._agents = Session(measure=tokens.unmeasured)
        self._main = Session(self._agents, tokens.unmeasured)
        self.problem: str | None = None

    def take(self, line: Line) -> None:
        """Take in a line."""
        self._main.take(line)

    def requests(self) -> list[Billed]:
        """Return all requests of the file."""
        session = self._main.session or self._agents.session or ""
        return [*self._all(self._main, session, main=True), *self._all(self._agents, session, main=False)]

    def _all(self, lines: Session, session: str, *, main: bool) -> Iterator[Billed]:
        entries = lines.entries
        output: dict[str, int] = {}
        for entry in entries:
            if entry.message is not None and entry.usage is not None:
                output[entry.message] = max(output.get(entry.message, 0), entry.usage.output_tokens)
        names = list(lines.places)
        covered: set[str | int] = set()
        branches: dict[str, int] = {}
        walked = 0
        for tip in range(len(entries) - 1, -1, -1):
            if not entries[tip].answered or _key(entries[tip]) in covered:
                continue
            if walked == MAX_WAYS:
                self.problem = f"more than {MAX_WAYS} branches: the requests of older ones are left out"
                return
            walked += 1
            chain = "main" if main else names[lines.root(tip)]
            branch = branches[chain] = branches.get(chain, -1) + 1
            way = lines.conversation(tip)
            yield from _along(way, covered, output, session, chain, branch)
            covered.add(_key(entries[tip]))

    def state(self) -> bytes:
        """Return what is needed to go on; nothing where an id has not the form of one and could be text."""
        names = [*_names(self._main), *_names(self._agents)]
        together = "\n".join([*names, ""])  # one match for all takes a fifth of the time
        if not _IDS.match(together) or together.count("\n") != len(names):
            return b""
        main, agents = (_Chain(one.entries, one.places, one.session) for one in (self._main, self._agents))
        return msgspec.msgpack.encode(_State(main, agents))

    def resume(self, state: bytes) -> None:
        """Go on from `state`."""
        found = msgspec.msgpack.decode(state, type=_State)
        for session, chain in ((self._main, found.main), (self._agents, found.agents)):
            session.entries, session.places, session.session = chain.entries, chain.places, chain.session


def _names(lines: Session) -> Iterator[str]:
    yield from lines.places
    yield lines.session or ""
    for entry in lines.entries:
        yield from filter(None, (entry.parent, entry.message, entry.model))
        yield from filter(None, (block.tool for block in entry.blocks))


def _key(entry: Entry) -> str | int:
    """Return what names a response: its id, or where it stands in the file."""
    return entry.message if entry.message is not None else entry.blocks[0].start if entry.blocks else -1


def _along(
    way: list[Entry], covered: set[str | int], output: dict[str, int], session: str, chain: str, branch: int
) -> Iterator[Billed]:
    if not way:
        return
    history = History()
    turn = 0
    model: str | None = None
    for request in requests(way, history):
        answer = request.answer
        trigger: Trigger = "compact" if history.compacted else "user" if history.turn != turn else "tool"
        history.compacted, turn = False, history.turn
        switched = model is not None and model != answer.model
        model = answer.model
        key = _key(answer)
        if key in covered:
            continue
        covered.add(key)
        usage = answer.usage or Usage()
        written = usage.cache_creation
        long = written.ephemeral_1h_input_tokens if written is not None else 0
        yield Billed(
            id=answer.message or f"{session}:{key}",
            session=session,
            chain=chain,
            branch=branch,
            model=answer.model or "",
            sent_at=request.at,
            first_at=answer.at,
            trigger=trigger,
            switched=switched,
            blocks=len(history.parts),
            prefix=history.prefix,
            input=usage.input_tokens,
            read=usage.cache_read_input_tokens or 0,
            write_5m=max(0, (usage.cache_creation_input_tokens or 0) - long),
            write_1h=long,
            output=output.get(answer.message, usage.output_tokens) if answer.message else usage.output_tokens,
            ttl=usage.ttl,
            said=said(history, thinking=not strips_thinking(answer.model)) if trigger == "user" else None,
        )
