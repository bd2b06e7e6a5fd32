"""Claude Code's session files: every branch of their tree of lines, and the sub-agents in them."""

import re
from collections.abc import Iterator

import msgspec

from anchorline.outcome import Usage
from anchorline.prompt import tokens
from anchorline.prompt.formats.claude_code import Answer, Entry, Session, strips_thinking
from anchorline.prompt.formats.history import History
from anchorline.prompt.source import Line
from anchorline.sessions.messages import newest_message
from anchorline.sessions.request import RecordedRequest, Trigger

_IDS = re.compile(r"(?:[A-Za-z0-9_.:@<>\[\]-]{0,128}\n)*+\Z")
MAX_BRANCHES = 200
"""Each branch costs a walk over the file; no real session has so many."""


class _Chain(msgspec.Struct, frozen=True):
    entries: list[Entry]
    answers: list[Answer]
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
        """Takes in a line."""
        self._main.take(line)

    def requests(self) -> Iterator[RecordedRequest]:
        """Yields all requests of the file."""
        session = self._main.session or self._agents.session or ""
        yield from self._all(self._main, session, main=True)
        yield from self._all(self._agents, session, main=False)

    def _all(self, lines: Session, session: str, *, main: bool) -> Iterator[RecordedRequest]:
        entries = lines.entries
        names = list(lines.places)
        covered: set[int] = set()
        branches: dict[str, int] = {}
        walked = 0
        for tip in range(len(entries) - 1, -1, -1):
            newest = entries[tip].answer
            if newest is None or newest in covered or lines.answered(entries[tip]) is None:
                continue
            if walked == MAX_BRANCHES:
                self.problem = f"more than {MAX_BRANCHES} branches: the requests of older ones are left out"
                return
            walked += 1
            chain = "main" if main else entries[tip].agent or names[lines.root(tip)]
            branch = branches[chain] = branches.get(chain, -1) + 1
            yield from _branch(lines, tip, covered, session, chain, branch)
            covered.add(newest)

    def state(self) -> bytes:
        """Returns what is needed to go on; nothing where an id has not the form of one and could be text."""
        names = [*_names(self._main), *_names(self._agents)]
        joined = "\n".join([*names, ""])  # one match for all takes a fifth of the time
        if not _IDS.match(joined) or joined.count("\n") != len(names):
            return b""
        main, agents = (
            _Chain(lines.entries, lines.answers, lines.places, lines.session)
            for lines in (self._main, self._agents)
        )
        return msgspec.msgpack.encode(_State(main, agents))

    def resume(self, state: bytes) -> None:
        """Goes on from `state`."""
        decoded = msgspec.msgpack.decode(state, type=_State)
        for session, chain in ((self._main, decoded.main), (self._agents, decoded.agents)):
            session.go_on(chain.entries, chain.answers, chain.places, chain.session)


def _names(lines: Session) -> Iterator[str]:
    yield from lines.places
    yield lines.session or ""
    for answer in lines.answers:
        yield from filter(None, (answer.id, answer.request, answer.model))
    for entry in lines.entries:
        yield from filter(None, (entry.parent, entry.agent))
        yield from filter(None, (block.tool for block in entry.blocks))


def _branch(
    lines: Session, tip: int, covered: set[int], session: str, chain: str, branch: int
) -> Iterator[RecordedRequest]:
    entries = lines.conversation(tip)
    if not entries:
        return
    history = History()
    turn = 0
    model: str | None = None
    for request in lines.requests(entries, history):
        answer = request.answer
        trigger: Trigger = "compact" if history.compacted else "user" if history.turn != turn else "tool"
        history.compacted, turn = False, history.turn
        switched = model is not None and model != answer.model
        model = answer.model
        if request.number in covered:
            continue
        covered.add(request.number)
        usage = answer.usage or Usage()
        yield RecordedRequest(
            id=answer.key,
            session=session,
            chain=chain,
            branch=branch,
            model=answer.model,
            sent_at=request.at,
            first_at=answer.at,
            trigger=trigger,
            switched=switched,
            blocks=len(history.parts),
            prefix=history.prefix,
            input=usage.input,
            read=usage.read,
            write_5m=usage.write - usage.write_1h,
            write_1h=usage.write_1h,
            output=usage.output,
            ttl=answer.ttl,
            message=newest_message(history, thinking=not strips_thinking(answer.model))
            if trigger == "user"
            else None,
            answer=answer.id,
            request=answer.request,
            usage=usage
            if usage != Usage(usage.input, usage.read, usage.write, usage.output, usage.write_1h)
            else None,
        )
