"""Requests of imported sessions: what each was billed, and whether it read what the one before it had left.

What was believed warm is told from the request before, as P(hit) would have had it;
docs/research/hit-prediction.md has the figures of that.
"""

import json
import sqlite3
from collections import deque
from collections.abc import Collection, Iterator

import msgspec

from anchorline.billed.duplicates import Bill
from anchorline.billed.request import BilledTokens, ModelFacts, PrefixReturn, PricedModels
from anchorline.cache import hits
from anchorline.cache.miss_causes import Cause, shortfall
from anchorline.store import billing, database

BEFORE_S = 86_400.0
"""So long before the time that is asked for, requests are read for what they left."""
ENDS = 8
"""Earlier requests of a conversation that a read is compared with."""


class ImportedRequest(msgspec.Struct, frozen=True, gc=False):
    """A request as a session file has it. `began` is when its answer did, None where that is not known.

    `prefix_return` is None where nothing was left that it could have read. `place` is the number of the folder and
    branch where it was made; `subagent` the type of the sub-agent that made it, "" where that is not known.
    """

    id: str
    agent: str
    session: str
    chain: str
    branch: int
    at: float
    began: float | None
    trigger: str
    facts: ModelFacts
    tokens: BilledTokens
    answer: str | None
    request: str | None
    prefix_return: PrefixReturn | None
    place: int | None
    subagent: str | None

    @property
    def bill(self) -> Bill:
        """What it is known by where it has no id."""
        return self.tokens.prompt, self.tokens.read, self.tokens.output


class _Conversation:
    """A conversation so far."""

    __slots__ = ("at", "ends", "ttl", "users")

    def __init__(self) -> None:
        self.at = 0.0
        self.ttl = "default"
        self.users = 0
        self.ends: deque[int] = deque(maxlen=ENDS)


def imported_requests(
    connection: sqlite3.Connection,
    models: PricedModels,
    since: float,
    sessions: Collection[str] | None = None,
) -> Iterator[ImportedRequest]:
    """Yields all requests since then that were billed, session by session, those of one by their times.

    Only those of some `sessions`, where they are given.
    """
    columns = "billing, answer, request" if database.knows_answers(connection) else "NULL, NULL, NULL"
    if (database.read_schema(connection) or 0) >= database.FACTS:
        columns += ", place, subagent"
    else:
        columns += ", NULL, NULL"
    chosen = "" if sessions is None else "AND session IN (SELECT value FROM json_each(?))"
    rows = connection.execute(
        "SELECT id, session, chain, branch, model, sent_at, first_at, trigger, switched, agent, "  # noqa: S608
        "coalesce(input_tokens, 0), coalesce(read_tokens, 0), coalesce(write_5m_tokens, 0), "
        f"coalesce(write_1h_tokens, 0), coalesce(output_tokens, 0), {columns} "
        f"FROM imported WHERE sent_at >= ? {chosen} ORDER BY session, sent_at",
        [since - BEFORE_S, *([] if sessions is None else [json.dumps(list(sessions))])],
    )
    current: str | None = None
    chains: dict[tuple[str, int], _Conversation] = {}
    for (
        key,
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
        place,
        subagent,
    ) in rows:
        if session != current:
            current = session
            chains.clear()
        uncached, read, short, long, output = counts
        written = short + long
        if not uncached + read + written:
            continue
        facts = models.find(model)
        usage = None if details is None else billing.usage(uncached, read, written, long, output, details)
        tokens = BilledTokens(uncached + read + written, read, written, long, output, usage)
        chain = chains.get((name, branch))
        if chain is None:
            chain = chains[name, branch] = _Conversation()
        if at >= since:
            prefix_return = _return(chain, facts, at, trigger, bool(switched), tokens, agent)
            yield ImportedRequest(
                key,
                agent,
                session,
                name,
                branch,
                at,
                began,
                trigger,
                facts,
                tokens,
                answer,
                request,
                prefix_return,
                place,
                subagent,
            )
        chain.at = at
        # Where a provider has but one lifetime, that is the default.
        chain.ttl = "1h" if long else "5m" if short and "5m" in facts.lifetimes else chain.ttl
        chain.users += trigger == "user"
        chain.ends.append(tokens.first[0] if usage is None else usage.prompt)


def _return(
    chain: _Conversation,
    facts: ModelFacts,
    at: float,
    trigger: str,
    switched: bool,
    tokens: BilledTokens,
    agent: str,
) -> PrefixReturn | None:
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
    prompt, read = tokens.first
    if hits.is_hit(read, believed):
        return PrefixReturn("imported", p, believed, None)
    expired = age > lives.seconds
    cause: Cause | None
    if switched:
        cause = "model_changed"
    elif compacted:
        cause = "compacted"
    elif expired:
        cause = "expired"
    elif trigger == "user" and prompt < believed and _strips_thinking(facts, agent):
        cause = "thinking_stripped"
    else:
        short = shortfall(read, believed, tuple(chain.ends)[:-1])
        cause = None if short is None else short.code
    return PrefixReturn("imported", p, believed, cause, expired)


def _strips_thinking(facts: ModelFacts, agent: str) -> bool:
    """Says whether a person's message takes earlier turns' thinking out of the prompt.

    Codex leaves reasoning out with each: OpenAI's models use it within a turn only
    (https://cookbook.openai.com/examples/responses_api/reasoning_items).
    """
    return agent == "codex" or facts.provider.drops_thinking(facts.name)
