"""The newest request of a Claude Code session, from the end of its file: what is cached since, and until when."""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from anchorline.cache import ledger
from anchorline.outcome import Usage
from anchorline.prompt import tokens
from anchorline.prompt.formats.claude_code import Entry, Session
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
    `scheduled`: the session may send prompts by itself; `working`: a tool's result is still awaited, and sent in any
    case.
    """

    model: str
    usage: Usage
    ttl: str
    sent_at: float
    answered_at: float
    scheduled: bool = False
    working: bool = False

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
    answers = [session.answered(entry) for entry in branch]
    last = next((index for index in reversed(range(len(branch))) if answers[index] is not None), None)
    newest = answers[last] if last is not None else None
    if last is None or newest is None or newest.usage is None or newest.at is None:
        return None
    if any(entry.summary for entry in branch[last:]):
        return None
    begun = answers.index(newest)
    blocks = [block for entry in branch[begun:] for block in entry.blocks]
    results = {block.tool for block in blocks if block.kind == "tool_result"}
    sent_at = next((entry.at for entry in reversed(branch) if _sent(entry)), None)
    return LastRequest(
        newest.model,
        newest.usage,
        next((answer.ttl for answer in reversed(answers) if answer is not None and answer.ttl), "default"),
        newest.at
        if sent_at is None
        else sent_at,  # of a request that was interrupted there is the input alone
        newest.at,
        scheduled,
        any(block.kind == "tool_use" and block.tool not in results for block in blocks),
    )


def _sent(entry: Entry) -> bool:
    """Says whether a line was sent to the model at once: a person's words or a tool's result."""
    return entry.role == "user" and any(
        block.words_end > block.words or block.kind == "tool_result" for block in entry.blocks
    )
