"""Claude Code's session files: every branch of their tree of lines, and the sub-agents in them."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from anchorline.outcome import Usage
from anchorline.prompt import tokens
from anchorline.prompt.formats.claude_code import Answer, Entry, LineHead, Session, strips_thinking
from anchorline.prompt.formats.history import History
from anchorline.prompt.source import Line
from anchorline.sessions.facts import Facts, FrozenFacts, ToolResult
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
    facts: FrozenFacts
    types: dict[str, str]


class _Reading(Session):
    """Keeps with the lines where they were written, and what they tell of a request beside its usage."""

    def __init__(self, facts: Facts, agents: Session | None = None) -> None:
        super().__init__(agents, tokens.unmeasured, facts.block)
        self.facts = facts
        self.branches: list[str | None] = []
        self.types: dict[str, str] = {}

    def put(self, line: Line, head: LineHead) -> None:
        """Takes in a line."""
        facts = self.facts
        if head.folder != facts.folder or head.git_branch != facts.git_branch:
            facts.visit(head.folder, head.git_branch)
        super().put(line, head)
        self.branches.append(facts.branch)
        if self.agents is None and (head.agent_type is not None or head.parent is None):
            self._name(head, self.entries[-1])

    def _name(self, head: LineHead, entry: Entry) -> None:
        """Notes the type of the sub-agent that a line is of: told by the line, or by the call that began it."""
        chain = head.agent or head.uuid or ""
        if head.agent_type is not None:
            self.types[chain] = self.facts.agent(head.agent_type)
        elif entry.role == "user" and entry.blocks:
            self.types.setdefault(chain, self.facts.agents.get(entry.blocks[0].digest, ""))

    def linked(self, head: LineHead) -> None:
        """Takes in a line that names the session's pull request."""
        branch = (
            self.branches[-1] if self.branches else None
        )  # not a sub-agent's, which may be in another worktree
        self.facts.link(head.pr, head.pr_repository, self.facts.branch if branch is None else branch)


class ClaudeCode:
    """One file."""

    def __init__(self, facts: Facts, path: Path) -> None:
        if path.name.startswith("agent-"):
            facts.own_agent(path)
        self._facts = facts
        self._agents = _Reading(facts)
        self._main = _Reading(facts, self._agents)
        self.problem: str | None = None

    def take(self, line: Line) -> None:
        """Takes in a line."""
        self._main.take(line)

    def requests(self) -> Iterator[RecordedRequest]:
        """Yields all requests of the file."""
        session = self._main.session or self._agents.session or ""
        yield from self._all(self._main, session, main=True)
        yield from self._all(self._agents, session, main=False)

    def _all(self, lines: _Reading, session: str, *, main: bool) -> Iterator[RecordedRequest]:
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
        facts = self._facts.frozen()
        names = [*_names(self._main), *_names(self._agents)]
        joined = "\n".join([*names, ""])  # one match for all takes a fifth of the time
        if facts is None or not _IDS.match(joined) or joined.count("\n") != len(names):
            return b""
        main, agents = (
            _Chain(lines.entries, lines.answers, lines.places, lines.session)
            for lines in (self._main, self._agents)
        )
        return msgspec.msgpack.encode(_State(main, agents, facts, self._agents.types))

    def resume(self, state: bytes) -> None:
        """Goes on from `state`."""
        decoded = msgspec.msgpack.decode(state, type=_State)
        for session, chain in ((self._main, decoded.main), (self._agents, decoded.agents)):
            session.go_on(chain.entries, chain.answers, chain.places, chain.session)
            session.branches = [None] * len(chain.entries)
        self._facts.resume(decoded.facts)
        self._agents.types = decoded.types


def _names(lines: Session) -> Iterator[str]:
    yield from lines.places
    yield lines.session or ""
    for answer in lines.answers:
        yield from filter(None, (answer.id, answer.request, answer.model))
    for entry in lines.entries:
        yield from filter(None, (entry.parent, entry.agent))
        yield from filter(None, (block.tool for block in entry.blocks))


def _branch(
    lines: _Reading, tip: int, covered: set[int], session: str, chain: str, branch: int
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
        git_branch = lines.branches[lines.places[answer.line]]
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
            checkout=None if git_branch is None else lines.facts.checkout(git_branch),
            subagent=None if lines.agents is not None else lines.types.get(chain) or lines.facts.only_agent,
            results=_results(lines.facts, history, answer.model),
            answer=answer.id,
            request=answer.request,
            usage=usage
            if usage != Usage(usage.input, usage.read, usage.write, usage.output, usage.write_1h)
            else None,
        )


def _results(facts: Facts, history: History, model: str) -> tuple[ToolResult, ...]:
    """Returns the results in what a request adds to what was answered before."""
    starts = []
    for part in reversed(history.parts):
        if part.role == "assistant":
            break
        if part.block.kind != "text":
            starts.append(part.block.start)
    starts.reverse()
    return facts.results(starts, model) if starts else ()
