"""Makes requests of what an agent records of a conversation: input and answers with their usage, in order."""

import re
from typing import NamedTuple

import msgspec
from xxhash import xxh3_128_digest

from anchorline.outcome import Usage
from anchorline.prompt import tokens
from anchorline.prompt.formats.history import Block, History, Part
from anchorline.prompt.model import Kind, Role
from anchorline.sessions.facts import Facts, FrozenFacts
from anchorline.sessions.messages import newest_message
from anchorline.sessions.request import RecordedRequest, Trigger

_MAKERS = frozenset(
    {
        *("anthropic", "openai", "openai-codex", "openai-native", "openai-compatible", "openai-responses"),
        *("google", "gemini", "deepseek", "xai", "moonshot", "moonshotai", "qwen", "alibaba", "zai"),
        *("minimax", "mistral"),
    }
)
"""Providers that agents name whose models go by their own names, as they do on the wire."""
_ID = re.compile(r"[A-Za-z0-9_./:@|+-]{0,128}\Z")
_MOST_TOKENS = 1_000_000_000
_YEAR_10_000_MS = 253_402_300_800_000
_ROLES: dict[Kind, Role] = {"tool_result": "tool", "tool_use": "assistant", "thinking": "assistant"}


class RecordedAnswer(msgspec.Struct, frozen=True):
    """An answer as an agent recorded it. `id` is that of the `RecordedRequest`, the same in a copy or a fork.

    `sent_at` and `first_at` are epoch seconds; `answer` and `request` the provider's ids, where they are recorded.
    `input` of the usage is without cached tokens, `output` with reasoning.
    """

    id: str
    model: str
    sent_at: float
    usage: Usage
    first_at: float | None = None
    answer: str | None = None
    request: str | None = None


class ConversationMark(NamedTuple):
    """A moment of a conversation, to go back to."""

    parts: list[Part]
    length: int
    turn: int
    now: float | None
    compacted: bool
    asked: int
    model: str | None


class FrozenConversation(msgspec.Struct, frozen=True, array_like=True):
    """A conversation at the end of a line, to go on from: hashes, places and counts, no text."""

    session: str
    chain: str
    subagent: str | None
    parts: tuple[Part, ...]
    turn: int
    now: float | None
    compacted: bool
    asked: int
    model: str | None
    facts: FrozenFacts


class Conversation:
    """A conversation so far, of a session's `main` chain or of one of its sub-agents.

    Input is put in as it comes; `answered` then returns the request that it was sent with, and what the model answered
    is put in behind it. Tools' calls and results become facts.

    >>> talk.message(b'"fix it"', at=0.0)
    >>> yield talk.answered(answer)
    >>> talk.called("call_1", "read", b'{"path": "a.py"}')
    >>> talk.returned("call_1", b'"text"', at=3.0)
    >>> yield talk.answered(next_answer)
    """

    def __init__(
        self, facts: Facts, session: str, chain: str = "main", *, subagent: str | None = None
    ) -> None:
        self.session = session
        self.chain = chain
        self.subagent = subagent if chain == "main" or subagent is not None else ""
        self._facts = facts
        self._history = History()
        self._turn = 0
        self._model: str | None = None

    @property
    def now(self) -> float | None:
        """The time of the newest input, epoch seconds."""
        return self._history.now

    @property
    def is_compacted(self) -> bool:
        """Whether a summary has taken the place of what was before, and no request was sent since."""
        return self._history.compacted

    def message(
        self, content: bytes, at: float | None, *, start: int = 0, words: tuple[int, int] = (0, 0)
    ) -> None:
        """Takes in a person's message. `words` are the bytes of the file that hold it as a JSON string."""
        self._history.begin_turn()
        self._put("text", "user", content, start, words=words)
        self._come(at)

    def add(self, kind: Kind, content: bytes, role: Role | None = None) -> None:
        """Takes in any other part: of an answer, or what the client put in."""
        self._put(kind, role or _ROLES.get(kind, "assistant"), content, 0)

    def called(self, call: str, tool: object, arguments: bytes) -> None:
        """Takes in a tool's call: its id, the tool's name and its arguments, which are a JSON object."""
        self._facts.call(call, tool, arguments)
        self._put("tool_use", "assistant", arguments, 0, call)

    def returned(self, call: str, content: bytes, at: float | None, *, failed: bool = False) -> None:
        """Takes in what a tool returned."""
        self._facts.result(call, content, failed=failed)
        self._put("tool_result", "tool", content, 0, call)
        self._come(at)

    def compacted(self) -> None:
        """Takes out what was before: a summary follows."""
        self._history.replace()

    def answered(self, answer: RecordedAnswer) -> RecordedRequest:
        """Returns the request that was answered by `answer`, with all that was put in before."""
        history, usage = self._history, answer.usage
        trigger: Trigger = (
            "compact" if history.compacted else "user" if history.turn != self._turn else "tool"
        )
        history.compacted, self._turn = False, history.turn
        switched = self._model not in (None, answer.model)
        self._model = answer.model
        plain = Usage(usage.input, usage.read, usage.write, usage.output, usage.write_1h)
        return RecordedRequest(
            id=answer.id,
            session=self.session,
            chain=self.chain,
            branch=0,
            model=answer.model,
            sent_at=answer.sent_at,
            first_at=answer.first_at,
            trigger=trigger,
            switched=switched,
            blocks=len(history.parts),
            prefix=history.prefix,
            input=usage.input,
            read=usage.read,
            write_5m=usage.write - usage.write_1h,
            write_1h=usage.write_1h,
            output=usage.output,
            ttl="1h" if usage.write_1h else None,
            message=newest_message(history) if trigger == "user" else None,
            checkout=self._facts.checkout(self._facts.branch),
            subagent=self.subagent,
            results=self._facts.take(answer.model),
            answer=answer.answer,
            request=answer.request,
            usage=usage if usage != plain else None,
        )

    def mark(self) -> ConversationMark:
        """Returns this moment. It takes no copy."""
        history = self._history
        return ConversationMark(
            history.parts,
            len(history.parts),
            history.turn,
            history.now,
            history.compacted,
            self._turn,
            self._model,
        )

    def go_back(self, mark: ConversationMark) -> None:
        """Goes on from an earlier moment, as another branch does."""
        history = self._history
        history.parts = mark.parts[: mark.length]
        history.turn, history.now, history.compacted = mark.turn, mark.now, mark.compacted
        self._turn, self._model = mark.asked, mark.model

    def frozen(self) -> FrozenConversation | None:
        """Returns what is needed to go on; None where an id has not the form of one and could be text."""
        history, facts = self._history, self._facts.frozen()
        names = (self.session, self.chain, self._model, *(part.block.tool for part in history.parts))
        if facts is None or not all(_ID.match(name) for name in names if name is not None):
            return None
        return FrozenConversation(
            self.session,
            self.chain,
            self.subagent,
            tuple(history.parts),
            history.turn,
            history.now,
            history.compacted,
            self._turn,
            self._model,
            facts,
        )

    def resume(self, frozen: FrozenConversation) -> None:
        """Goes on from what `frozen` returned."""
        history = self._history
        self.session, self.chain, self.subagent = frozen.session, frozen.chain, frozen.subagent
        history.parts = list(frozen.parts)
        history.turn, history.now, history.compacted = frozen.turn, frozen.now, frozen.compacted
        self._turn, self._model = frozen.asked, frozen.model
        self._facts.resume(frozen.facts)

    def _come(self, at: float | None) -> None:
        if at is not None:
            self._history.now = at

    def _put(
        self,
        kind: Kind,
        role: Role,
        content: bytes,
        start: int,
        tool: str | None = None,
        words: tuple[int, int] = (0, 0),
    ) -> None:
        digest = xxh3_128_digest(content)
        block = Block(
            kind, start, start + len(content), digest, tokens.unmeasured(content, kind), tool, *words
        )
        self._history.add(block, role, fresh=True)


def qualified(provider: str, model: str) -> str:
    """Returns a model's name as `route.target` finds it: with the provider's where that is not the maker's own."""
    return model if not provider or provider.lower() in _MAKERS else f"{provider}/{model}"


def usage(input_tokens: int, read: int, write: int, output: int, *, partial: bool = False) -> Usage | None:
    """Returns what an agent recorded as billed, `input_tokens` without cached ones.

    What is below 0 counts as 0. None where nothing was billed, or a count is more than any request can have.
    """
    counts = Usage(max(input_tokens, 0), max(read, 0), max(write, 0), max(output, 0))
    if counts == Usage() or max(counts.prompt, counts.output) > _MOST_TOKENS:
        return None
    return msgspec.structs.replace(counts, partial=True) if partial else counts


def seconds(milliseconds: float | None) -> float | None:
    """Returns epoch seconds; None where it is no time between 1970 and 9999."""
    if milliseconds is None or not 0 < milliseconds < _YEAR_10_000_MS:
        return None
    return milliseconds / 1000
