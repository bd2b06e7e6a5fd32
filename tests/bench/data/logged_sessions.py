"""Rebuild the requests of Claude Code from a log that holds their structure and usage, but no text.

What a log lacks is inferred from what it shows, and only from what came before: a request's own recorded `read` is
never looked at before it was simulated. Of its usage only the sizes are taken: `input` (tokens behind the last
breakpoint) and `read + write` (tokens up to it). docs/research/simulator.md says what is inferred, and how well it works.
"""

import gzip
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from anchorline.cache.rules import Provider, canonical
from anchorline.replay.request import Breakpoint, SimulatedBlock, SimulatedRequest

SIDE_S = 10.0
"""How long after a turn the client's side request starts, in seconds (chosen on train)."""

SHOWS_THINKING = ("claude-opus-4-5",)
"""Models on which thinking adds about 7 tokens behind the last breakpoint: `input` tells whether it is on."""


class Row(msgspec.Struct):
    """A line of the log."""

    split: str
    agent: str
    session: str
    user: str
    chain: str
    named: str | None = msgspec.field(name="model")
    sent_at: float | None
    first_at: float
    last_at: float
    trigger: str | None
    new_blocks: list[tuple[str, str, int, str | None]]
    input: int
    read: int
    write: int | None = None
    write_5m: int | None = None
    write_1h: int | None = None

    @property
    def model(self) -> str:
        """The model's name, empty where the log lacks it."""
        return self.named or ""

    @property
    def cached(self) -> int:
        """Tokens up to the last breakpoint."""
        return self.read + (self.write or 0)

    @property
    def start(self) -> float:
        """When it was sent: a log tells the last input before it."""
        return self.first_at if self.sent_at is None else min(self.sent_at, self.first_at)

    @property
    def ttl(self) -> str:
        """The lifetime that was really written."""
        return "1h" if self.write_1h else "5m"


def rows(paths: Iterable[Path]) -> list[Row]:
    """Return Claude Code's requests to Claude, in the order of their starts."""
    decode = msgspec.json.Decoder(Row).decode
    found = []
    for path in paths:
        with gzip.open(path) as lines:
            for line in lines:
                row = decode(line)
                if row.agent == "claude-code" and row.model.startswith("claude"):
                    found.append(row)
    return sorted(found, key=lambda row: row.first_at)


def parameters(mode: str) -> dict[str, str]:
    """Return the request's settings in a mode: a skill or command may have switched thinking."""
    return {"thinking_or_effort": mode}


class Known:
    """What earlier requests of one user and model have shown."""

    def __init__(self) -> None:
        self.shared = 0  # tokens of tools and system that sessions share
        self.own = 0  # tokens that stayed readable within a session when its messages changed
        self.outside = False  # traffic outside the log keeps the shared part warm
        self.chance = 0.0
        self.firsts: list[int] = []  # sizes of first requests
        self.warm_until = 0.0  # by the traffic of the log


class Session:
    """One conversation as it stands."""

    def __init__(self, static: list[SimulatedBlock]) -> None:
        self.static = static
        self.messages: list[SimulatedBlock] = []
        self.row: Row | None = None
        self.suggests: bool | None = None
        self.mode = ""
        self.edits = 0
        self.eligible = 0  # tokens of the answer that a side request may have cached
        self.first = 0  # size of the first request
        self.resend = False  # the last request was sent in another mode than was thought
        self.said = 0  # tokens of the person's message after it
        self.bodies: list[str] = []


class Rebuilder:
    """Turns rows into requests, in order, and learns from each row after it was simulated."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.known: dict[tuple[str, str], Known] = {}
        self.sessions: dict[tuple[str, str], Session] = {}
        self.suggests: dict[str, bool] = {}
        self.changes: dict[tuple[str, str], bool] = {}
        self.ends: dict[tuple[str, str], deque[tuple[int, list[SimulatedBlock], list[SimulatedBlock]]]] = {}

    def requests(self, row: Row) -> Iterator[tuple[SimulatedRequest, bool]]:
        """Yield (request, is it the row's own) for a row: traffic that no log shows first."""
        key = (row.user, canonical(row.model))
        known = self.known.setdefault(key, Known())
        session = self.sessions.get((row.session, row.chain))
        strips = self.provider.drops_thinking(row.model)
        before = session.row if session is not None else None
        if session is None:
            session = self.sessions[row.session, row.chain] = Session(self.static(row, known))
            self.fork(session, row, key)
        if session.resend and before is not None:
            yield self.resent(session, before), False
        side, mode = self.grow(session, row, strips)
        blocks = [*session.static, *session.messages]
        if known.outside:
            static = session.static[:1]
            yield (
                SimulatedRequest(row.start - 1, static, [Breakpoint(0, row.ttl)], settings=parameters("")),
                False,
            )
        if before is not None and side is not None:
            at = before.last_at + SIDE_S
            yield (
                SimulatedRequest(
                    at,
                    [*session.static, *side, SimulatedBlock(b"suggest", 50, kind="user")],
                    [Breakpoint(len(session.static) + len(side) - 1, before.ttl)],
                    at + 1,
                    at + 3,
                    settings=parameters(session.mode),
                ),
                False,
            )
        session.mode = mode
        marks = [Breakpoint(i, row.ttl) for i in range(len(session.static))]
        heard = next((i for i in range(len(blocks) - 1, -1, -1) if blocks[i].kind == "assistant"), -1)
        if heard > len(session.static) and len(marks) < 3:
            marks.append(Breakpoint(heard, row.ttl))
        if heard != len(blocks) - 1:
            marks.append(Breakpoint(len(blocks) - 1, row.ttl))
        yield (
            SimulatedRequest(
                row.start,
                [*blocks, SimulatedBlock(b"end" + str(row.first_at).encode(), row.input)],
                marks,
                row.first_at,
                row.last_at,
                session=f"{row.session}/{row.chain}",
                compacted=row.trigger == "compact",
                settings=parameters(mode),
            ),
            True,
        )

    def resent(self, session: Session, before: Row) -> SimulatedRequest:
        """Return the last request once more, in the mode that its recorded read has shown."""
        session.resend = False
        blocks = [*session.static, *session.messages]
        return SimulatedRequest(
            before.start,
            blocks,
            [Breakpoint(i, before.ttl) for i in (*range(len(session.static)), len(blocks) - 1)][-4:],
            before.first_at,
            before.last_at,
            settings=parameters(session.mode),
        )

    @staticmethod
    def recut(session: Session, read: int) -> None:
        """Let a session's tools and system end where a read has shown that they do."""
        if not session.messages:
            return
        size = kept = 0
        for block in session.static:
            if abs(size + block.tokens - read) <= 0.01 * read or size + block.tokens < read:
                kept += 1
                size += block.tokens
        static = session.static[:kept]
        if size < 0.99 * read:
            name = f"{'own' if static else 'static'} {kept} {session.messages[0].digest!r}"
            static = [*static, SimulatedBlock(name.encode(), read - size, "system")]
        moved = sum(block.tokens for block in session.static) - sum(block.tokens for block in static)
        head = session.messages[0]
        if moved == 0 or head.tokens + moved < 0:
            return
        session.static = static
        session.messages = [msgspec.structs.replace(head, tokens=head.tokens + moved), *session.messages[1:]]
        session.resend = True

    def static(self, row: Row, known: Known) -> list[SimulatedBlock]:
        """Return tools and system: what sessions share, what the session adds to it."""
        static = []
        shared = min(known.shared, row.cached)
        if shared:
            static.append(SimulatedBlock(f"static {row.user}".encode(), shared, "system"))
        if known.own > shared * 1.01 and known.own < row.cached:
            static.append(SimulatedBlock(f"own {row.session}".encode(), known.own - shared, "system"))
        return static

    def fork(self, session: Session, row: Row, key: tuple[str, str]) -> None:
        """Take over another conversation where a first request is as large as that one was."""
        new = sum(block[2] for block in row.new_blocks) // 3 + 400
        firsts = sorted(self.known[key].firsts)
        if row.cached < 1.4 * (firsts[len(firsts) // 2] if firsts else 45_000):
            return
        best = None
        for total, static, messages in self.ends.get(key, ()):
            if 0 <= row.cached - total <= new:
                best = (static, messages)
        if best is not None:
            session.static, session.messages = best[0], list(best[1])

    def grow(self, session: Session, row: Row, strips: bool) -> tuple[list[SimulatedBlock] | None, str]:
        """Append a row's blocks; return the side request's messages, and the mode it is sent in."""
        turn = row.trigger == "user" and not any(kind == "tool_use:Skill" for _, kind, _, _ in row.new_blocks)
        static = sum(block.tokens for block in session.static)
        parts = [
            (role, kind, chars, (digest or f"{row.session} {row.first_at} {i}").encode())
            for i, (role, kind, chars, digest) in enumerate(row.new_blocks)
        ]
        parts.sort(key=lambda part: part[0] != "assistant")
        if row.trigger == "compact":
            session.messages = []
            parts = [part for part in parts if part[0] == "user"] or parts
        kept = session.messages
        if strips and turn:
            kept = [block for block in kept if block.kind != "thinking"]
            parts = [part for part in parts if part[1] != "thinking"]
        room = row.cached - static - sum(block.tokens for block in kept)
        slack = 0
        edited = False
        if strips and turn and kept:
            thought = sum(block.tokens for block in session.messages if block.kind == "thinking")
            expected = sum(part[2] for part in parts) // 4
            if abs(room - expected) < 1000 + 0.6 * thought:
                kept = self.corrected(kept, room - expected)
                room = row.cached - static - sum(block.tokens for block in kept)
        if room < -slack and session.row is not None:
            edited = True
            session.edits += 1
            digest = f"edit {row.session} {session.edits}".encode()
            new = min(sum(part[2] for part in parts) // 3, max(row.cached - static, 0))
            opaque = max(row.cached - static - new, 0)
            kept = [SimulatedBlock(digest, opaque)]
            session.messages = kept
            room = new
        user = sum(
            chars // 4 + 8 for role, kind, chars, _ in parts if role == "user" and kind != "tool_result"
        )
        answer = [part for part in parts if part[0] == "assistant"]
        given = self.spread(parts, max(room, 0), user if turn else 0)
        ended = [part for part in row.new_blocks if part[0] == "assistant"]
        texts = bool(ended) and ended[-1][1] == "text"
        side = None
        session.eligible = 0
        if turn and texts and session.row is not None and not edited:
            count = len(answer)
            session.eligible = sum(block.tokens for block in given[:count])
            session.said = sum(block.tokens for block in given[count:])
            believed = session.suggests if session.suggests is not None else self.suggests.get(row.user, True)
            if believed:
                side = [
                    *session.messages[: len(session.messages) if not strips else 0],
                    *(kept if strips else []),
                    *given[:count],
                ]
        if strips and turn:
            session.messages = kept
        session.messages = [*session.messages, *given]
        if not session.messages:
            session.messages = [SimulatedBlock(b"start" + row.session.encode(), max(room, 0))]
        return side, self.mode(session, row, turn)

    @staticmethod
    def corrected(blocks: list[SimulatedBlock], tokens: int) -> list[SimulatedBlock]:
        """Return the blocks with `tokens` more: what was taken for thinking that is stripped was not, or was less."""
        turn = next((i for i in range(len(blocks) - 1, -1, -1) if blocks[i].kind == "user"), -1)
        size = sum(block.tokens for block in blocks[turn + 1 :])
        if size + tokens <= 0:
            return blocks
        factor = (size + tokens) / size if size else 1.0
        return [
            msgspec.structs.replace(block, tokens=int(block.tokens * factor)) if i > turn else block
            for i, block in enumerate(blocks)
        ]

    def mode(self, session: Session, row: Row, turn: bool) -> str:
        """Return the mode of a request: a skill or command that changed a parameter holds until the next message."""
        texts = [block for block in row.new_blocks if block[0] == "user" and block[1] == "text"]
        skill = any(block[1] == "tool_use:Skill" for block in row.new_blocks)
        bodies = []
        for i, (_, _, chars, digest) in enumerate(texts):
            wrapped = i > 0 and 90 <= texts[i - 1][2] <= 120
            if (chars >= 1000 and (skill or wrapped)) or (wrapped and len(texts) == 2):
                bodies.append(str(digest))
        session.bodies = bodies if turn or not session.mode else []
        mode = "" if turn else session.mode
        if canonical(row.model) in SHOWS_THINKING:
            session.bodies = []
            return session.mode if row.input >= 15 else "changed" if row.input <= 3 else ""
        for body in bodies:
            if self.changes.get((row.user, body), self.habit(row.user)):
                mode = "changed"
        return mode

    def habit(self, user: str) -> bool:
        """Tell whether most of a user's skills and commands changed a parameter: that is assumed of new ones."""
        seen = [changed for (name, _), changed in self.changes.items() if name == user]
        return sum(seen) * 2 > len(seen)

    @staticmethod
    def spread(parts: list[Any], room: int, user: int) -> list[SimulatedBlock]:
        """Share `room` tokens out among the parts: `user` for the person's message, the rest by characters."""
        user = min(user, room)
        written = [part for part in parts if part[0] == "user" and part[1] != "tool_result"] if user else []
        others = [part for part in parts if part not in written]
        hidden = any(part[1] == "thinking" and part[2] < 100 for part in others)
        if written and not hidden:
            user = max(user, room - sum(part[2] for part in others) // 2 - 100)
        if not others:
            user = room
        blocks = []
        for group, tokens in ((others, room - user), (written, user)):
            total = sum(part[2] for part in group) or 1
            left = tokens
            for i, (role, kind, chars, digest) in enumerate(group):
                own = left if i == len(group) - 1 else min(tokens * chars // total, left)
                left -= own
                name = (
                    "thinking"
                    if kind == "thinking"
                    else "assistant"
                    if role == "assistant"
                    else "user"
                    if group is written
                    else "content"
                )
                blocks.append(SimulatedBlock(digest, own, kind=name))
        return blocks

    def learn(self, row: Row, simulated: int) -> None:
        """Take in what a row's recorded read shows, for the requests after it."""
        key = (row.user, canonical(row.model))
        known = self.known[key]
        session = self.sessions[row.session, row.chain]
        before = session.row
        first = before is None
        self.ends.setdefault(key, deque(maxlen=400)).append((row.cached, session.static, session.messages))
        if first:
            known.firsts.append(row.cached)
        if first and row.read and row.read < 0.9 * row.cached:
            known.shared = row.read
        if row.start > known.warm_until and known.shared:
            known.chance = 0.8 * known.chance + 0.2 * (row.read > 0)
            known.outside = known.chance > 0.5
        known.warm_until = row.start + (3600 if row.write_1h else 300)
        fell = before is not None and row.read < 0.9 * min(before.cached, row.cached)
        within = before is not None and row.start - before.start < (3300 if before.ttl == "1h" else 290)
        if before is None:
            session.first = row.cached
        elif fell and within and 0 < row.read < 0.95 * session.first:
            known.own = row.read
            known.shared = known.shared or row.read
            self.recut(session, row.read)
        if session.eligible > 60 and before is not None and within:
            unread = row.cached - row.read
            if unread < session.said + session.eligible / 2:
                session.suggests = self.suggests[row.user] = True
            elif abs(row.read - before.cached) <= 15:
                session.suggests = self.suggests[row.user] = False
        if within and session.bodies:
            for body in session.bodies:
                self.changes[row.user, body] = bool(fell)
            if fell and not session.mode:
                session.mode = "changed"
                session.resend = True
        session.row = row
