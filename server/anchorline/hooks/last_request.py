"""The newest request of a Claude Code session, from the end of its file: what is cached since, and until when."""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from anchorline.cache import ledger
from anchorline.outcome import Usage
from anchorline.prompt import tokens
from anchorline.prompt.formats.claude_code import Answer, Entry, Session
from anchorline.prompt.source import lines, refused
from anchorline.route.target import Targets

TAILS = (1 << 20, 1 << 23, 1 << 26)
"""Bytes at the end of a file that are looked through: mostly the first will do, and all take half a second."""
_SCHEDULES = re.compile(rb'"type":"tool_use"[^{}]{0,200}"name":"(?:CronCreate|ScheduleWakeup)"')
"""Calls after which a session sends prompts that nobody types (Claude Code 2.1.332)."""


class LastRequest(msgspec.Struct, frozen=True):
    """A request of the conversation that the next one continues, and the `usage` that it was billed.

    `ttl` names the lifetime of what the conversation wrote last. Its cache was used last at `sent_at`, when a message
    or a tool's result was there to be sent; `answered_at` is the first line of the answer (epoch seconds).
    `scheduled`: the session may send prompts by itself.
    """

    model: str
    usage: Usage
    ttl: str
    sent_at: float
    answered_at: float
    scheduled: bool

    @property
    def cached(self) -> int:
        """Tokens of its prompt that the provider held after it."""
        newest = self.usage.messages[-1]
        return newest.read + newest.write

    def expires_at(self, targets: Targets) -> float | None:
        """Returns when they expire, by the provider's clock (epoch seconds); None where nothing is cached."""
        target = targets.find(self.model)
        held = ledger.entry(
            target.provider,
            account="",
            model=target.id,
            prefix=b"",
            tokens=self.cached,
            ttl=self.ttl,
            started=self.sent_at,
            used=max(self.answered_at, self.sent_at),
        )
        return None if held is None else held.expires_at


def last_request(file: Path, tails: Sequence[int] = TAILS) -> LastRequest | None:
    """Returns the newest request; None where there is none, or where the conversation was compacted since.

    Sub-agents' requests are not the conversation's. What is further from the end than the first of `tails` that has a
    request counts for nothing. Raises OSError and PromptError.
    """
    size = file.stat().st_size
    for tail in tails:
        session = Session(measure=tokens.unmeasured)
        scheduled = False
        for line in lines(file, max(size - tail, 0)):
            refused(line, session.take)  # the first one may be a part of a line, and so may the last
            scheduled = scheduled or _SCHEDULES.search(line.text) is not None
        branch = session.conversation()
        request = _newest(session, branch, scheduled=scheduled)
        if request is not None or tail >= size or any(entry.summary for entry in branch):
            return request
    return None


def _newest(session: Session, branch: Sequence[Entry], *, scheduled: bool) -> LastRequest | None:
    newest: Answer | None = None
    ttl: str | None = None
    sent_at: float | None = None
    for entry in reversed(branch):
        if newest is None and entry.summary:
            return None
        answer = session.answered(entry)
        if answer is not None:
            newest, ttl = newest or answer, ttl or answer.ttl
        elif sent_at is None and _sent(entry):  # of a request that was interrupted there is this line alone
            sent_at = entry.at
        if newest is not None and ttl is not None and sent_at is not None:
            break
    if newest is None or newest.usage is None or newest.at is None:
        return None
    return LastRequest(
        newest.model, newest.usage, ttl or "default", sent_at or newest.at, newest.at, scheduled
    )


def _sent(entry: Entry) -> bool:
    """Says whether a line was sent to the model at once: a person's words or a tool's result."""
    return entry.role == "user" and any(
        block.words_end > block.words or block.kind == "tool_result" for block in entry.blocks
    )
