"""Requests of imported sessions: what each was billed, and whether it read what the one before it had left.

What was believed warm is told from the request before, as P(hit) would have had it;
docs/research/hit-prediction.md has the figures of that.
"""

import sqlite3
from collections import deque

from anchorline.cache import hits
from anchorline.cache.miss_causes import shortfall
from anchorline.report.duplicates import SeenRequests
from anchorline.report.model import Cause
from anchorline.report.sums import BilledTokens, ModelFacts, ReportedReturn, Sums
from anchorline.store import billing, database

BEFORE_S = 86_400.0
"""So long before the time that is asked for, requests are read for what they left."""
ENDS = 8
"""Earlier requests of a conversation that a read is compared with."""


class _Conversation:
    """A conversation so far."""

    __slots__ = ("at", "ends", "ttl", "users")

    def __init__(self) -> None:
        self.at = 0.0
        self.ttl = "default"
        self.users = 0
        self.ends: deque[int] = deque(maxlen=ENDS)


def add_imported(connection: sqlite3.Connection, sums: Sums, since: float, billed: SeenRequests) -> None:
    """Adds all requests since then that are not in `billed`."""
    columns = "billing, answer, request" if database.knows_answers(connection) else "NULL, NULL, NULL"
    rows = connection.execute(
        "SELECT session, chain, branch, model, sent_at, first_at, trigger, switched, agent, "  # noqa: S608
        "coalesce(input_tokens, 0), coalesce(read_tokens, 0), coalesce(write_5m_tokens, 0), "
        f"coalesce(write_1h_tokens, 0), coalesce(output_tokens, 0), {columns} "
        "FROM imported WHERE sent_at >= ? ORDER BY sent_at",
        [since - BEFORE_S],
    )
    chains: dict[tuple[str, str, int], _Conversation] = {}
    for (
        session,
        name,
        branch,
        model,
        at,
        began,
        trigger,
        switched,
        agent,
        *counts,
        details,
        answer,
        request,
    ) in rows:
        uncached, read, short, long, output = counts
        written = short + long
        if not uncached + read + written:
            continue
        facts = sums.model(model)
        usage = None if details is None else billing.usage(uncached, read, written, long, output, details)
        tokens = BilledTokens(uncached + read + written, read, written, long, output, usage)
        chain = chains.get((session, name, branch))
        if chain is None:
            chain = chains[session, name, branch] = _Conversation()
        bill = (tokens.prompt, read, output)
        if at >= since and not billed.take(at if began is None else began, answer, request, bill):
            sums.bill(at, facts, tokens)
            prefix_return = _return(chain, facts, at, trigger, bool(switched), tokens)
            if prefix_return is None:
                sums.first += 1
            else:
                sums.add_return(prefix_return, facts, tokens, at)
        chain.at = at
        # Codex writes for the one lifetime that its provider has.
        chain.ttl = "1h" if long else "5m" if short and agent == "claude-code" else chain.ttl
        chain.users += trigger == "user"
        chain.ends.append(tokens.first[0] if usage is None else usage.prompt)


def _return(
    chain: _Conversation, facts: ModelFacts, at: float, trigger: str, switched: bool, tokens: BilledTokens
) -> ReportedReturn | None:
    """Returns whether a request read what the one before it left; None where nothing was left."""
    believed = chain.ends[-1] if chain.ends else 0
    lives = facts.lifetimes.get(chain.ttl)
    if not believed or lives is None or believed < facts.provider.minimum_tokens:
        return None
    compacted = trigger == "compact"
    age = max(0.0, at - chain.at)
    message = hits.PersonMessage(chain.users) if trigger == "user" else None
    p = hits.probability(
        hits.returning(lives.name, lives.seconds, age, message, compacted=compacted, model_changed=switched)
    )
    read = tokens.first[1]
    if hits.is_hit(read, believed):
        return ReportedReturn("imported", p, believed, None)
    cause: Cause | None
    if switched:
        cause = "model_changed"
    elif compacted:
        cause = "compacted"
    elif age > lives.seconds:
        cause = "expired"
    else:
        short = shortfall(read, believed, tuple(chain.ends)[:-1])
        cause = None if short is None else short.code
    return ReportedReturn("imported", p, believed, cause)
