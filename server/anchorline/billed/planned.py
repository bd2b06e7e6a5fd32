"""Planned requests: what each was billed, as the gateway saw it or an editor or a script reported it."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from anchorline.billed.duplicates import SeenRequest, SeenRequests
from anchorline.billed.request import BilledTokens, ModelFacts, PrefixReturn, PricedModels
from anchorline.cache import hits
from anchorline.cache.miss_causes import shortfall
from anchorline.plan import LOST
from anchorline.route.pricing import BROKEN_OFF, UNTOLD, Unpriced
from anchorline.store import billing, database, outcomes

HOUR = "1h"
_BILLED = """
    SELECT plans.id, coalesce({sent_at}, created_at), coalesce({target}, plans.target, ''), coalesce(input_tokens, 0),
        coalesce(read_tokens, 0), coalesce(write_tokens, 0), coalesce(output_tokens, 0), {ids}, latency_ms / 1000,
        {passed} AS passed, p_hit, {beliefs}
    FROM plans JOIN outcomes ON outcomes.id = {billed}
    WHERE created_at >= ? {order}
"""
_REPORTED = """
    SELECT EXISTS (SELECT 1 FROM outcomes WHERE answer IS NOT NULL AND input_tokens IS NOT NULL AND NOT {passed}
        AND NOT {pinged})
"""
"""Whether others than the gateway have told of requests by their ids: these may be ones that it has seen."""
_NEW = "CASE WHEN tokens IS NULL THEN plans.plan END, warm_tokens, tokens, ttl, miss, miss_tokens"
_OLD = "plans.plan, NULL, NULL, NULL, NULL, NULL"
_IDS = "write_1h_tokens, billing, answer, request"
_NO_IDS = "NULL, NULL, NULL, NULL"
_PASSED = "(signals LIKE '%\"status\":%')"
"""Whether the gateway has seen a request itself: what others have told may be of the same ones."""


class _Anchor(msgspec.Struct):
    ttl: str


class _Miss(msgspec.Struct):
    code: str
    tokens: int = 0


class _Cache(msgspec.Struct):
    warm_tokens: int
    anchors: tuple[_Anchor, ...] = ()
    miss_reasons: tuple[_Miss, ...] = ()


class _Tokens(msgspec.Struct):
    estimate: int


class _Plan(msgspec.Struct):
    """What of a plan's JSON is needed where it has no columns: an earlier version recorded it."""

    cache: _Cache
    tokens: _Tokens


_DECODE = msgspec.json.Decoder(_Plan).decode


class PlannedRequest(SeenRequest, gc=False, kw_only=True):
    """A request by the id of its `plan`. `prefix_return` is None where nothing was left that it could have read."""

    plan: str
    facts: ModelFacts
    tokens: BilledTokens
    prefix_return: PrefixReturn | None


class AnsweredPing(NamedTuple):
    """A keep-alive ping, which is no request."""

    at: float
    facts: ModelFacts
    tokens: BilledTokens


class UntoldRequest(NamedTuple):
    """An answered request whose usage is not known."""

    at: float
    facts: ModelFacts
    why: Unpriced


def planned_requests(
    connection: sqlite3.Connection, models: PricedModels, since: float
) -> Iterator[PlannedRequest]:
    """Yields the requests of plans since then that were billed, each once."""
    newest = (database.read_schema(connection) or 0) >= database.ANSWERS
    through_gateway = SeenRequests[SeenRequest]()
    pinged = billing.pinged(connection)
    reported = newest and _exists(connection, _REPORTED.format(passed=_PASSED, pinged=pinged))
    rows = connection.execute(
        _BILLED.format(
            ids=_IDS if newest else _NO_IDS,
            beliefs=_NEW if (database.read_schema(connection) or 0) >= database.BELIEFS else _OLD,
            billed=outcomes.newest("input_tokens", pinged),
            sent_at=outcomes.billed_or_newest("sent_at", pinged),
            target=outcomes.billed_or_newest("target", pinged),
            passed=_PASSED,
            order="ORDER BY passed DESC" if reported else "",
        ),
        [since],
    )
    for (
        plan,
        at,
        target,
        uncached,
        read,
        written,
        output,
        long,
        details,
        answer,
        request,
        seconds,
        passed,
        p_hit,
        text,
        *columns,
    ) in rows:
        prompt = uncached + read + written
        beliefs = columns if text is None else _beliefs(text)
        if not prompt or beliefs is None:
            continue
        bill = (prompt, read, output)
        if reported and passed:
            through_gateway.note(SeenRequest(at, seconds, answer, request, bill))
        elif reported and answer is not None and through_gateway.take(at, answer, request, bill):
            continue  # an editor or a script has told of it as well
        ttl = beliefs[2]
        by_plan = written if ttl == HOUR else 0  # what an earlier version has recorded does not tell
        hour = by_plan if long is None else long
        usage = None if details is None else billing.usage(uncached, read, written, hour, output, details)
        tokens = BilledTokens(prompt, read, written, hour, output, usage)
        yield PlannedRequest(
            at,
            seconds,
            answer,
            request,
            bill,
            plan=plan,
            facts=models.find(target),
            tokens=tokens,
            prefix_return=_return(beliefs, p_hit, tokens),
        )


def _return(beliefs: Sequence[Any], p_hit: float | None, tokens: BilledTokens) -> PrefixReturn | None:
    warm, estimate, _, miss, miss_tokens = beliefs
    if warm and estimate:
        first, read = tokens.first
        left = hits.as_billed(warm, estimate, first)
        short = None if hits.is_hit(read, left) else shortfall(read, left)
        return PrefixReturn("plans", p_hit, left, None if short is None else short.code)
    if miss is not None:
        return PrefixReturn("plans", None, miss_tokens, miss, miss == "expired")
    return None


def seen_requests(connection: sqlite3.Connection) -> SeenRequests[PlannedRequest]:
    """Returns where planned requests are noted, to tell which of the imported ones they are."""
    return SeenRequests(_shared(connection) if database.knows_answers(connection) else ())


def _exists(connection: sqlite3.Connection, query: str) -> bool:
    return bool(connection.execute(query).fetchone()[0])


def untold_requests(
    connection: sqlite3.Connection, models: PricedModels, since: float
) -> Iterator[UntoldRequest]:
    """Yields the answered requests whose answer did not tell its usage, or broke off before: they were billed too."""
    rows = connection.execute(
        "SELECT coalesce(sent_at, recorded_at), coalesce(outcomes.target, plans.target, ''), "  # noqa: S608
        "signals LIKE '%\"broken_off\":true%' FROM outcomes JOIN plans ON plans.id = outcomes.plan "
        "WHERE input_tokens IS NULL AND signals LIKE '%\"status\":200%' "
        f"AND NOT {billing.pinged(connection)} AND coalesce(sent_at, recorded_at) >= ? "
        "AND NOT EXISTS (SELECT 1 FROM outcomes AS told WHERE told.plan = plans.id AND told.input_tokens IS NOT NULL)",
        [since],
    )
    for at, target, broken_off in rows:
        yield UntoldRequest(at, models.find(target), BROKEN_OFF if broken_off else UNTOLD)


def _shared(connection: sqlite3.Connection) -> list[tuple[str, str | None]]:
    """Returns the ids of imported answers that have the same one, with those of their requests."""
    rows = connection.execute(
        "SELECT answer, request FROM imported WHERE answer IN "
        "(SELECT answer FROM imported WHERE answer IS NOT NULL GROUP BY answer HAVING count(*) > 1)"
    )
    return [(answer, request) for answer, request in rows]


def answered_pings(
    connection: sqlite3.Connection, models: PricedModels, since: float
) -> Iterator[AnsweredPing]:
    """Yields the keep-alive pings: billed as requests are, and apart from these."""
    newest = (database.read_schema(connection) or 0) >= database.ANSWERS
    rows = connection.execute(
        "SELECT coalesce(sent_at, recorded_at), coalesce(outcomes.target, plans.target, ''), "  # noqa: S608
        "coalesce(input_tokens, 0), coalesce(read_tokens, 0), coalesce(write_tokens, 0), coalesce(output_tokens, 0), "
        f"{'coalesce(write_1h_tokens, 0), billing' if newest else '0, NULL'} "
        "FROM outcomes LEFT JOIN plans ON plans.id = outcomes.plan "
        f"WHERE input_tokens IS NOT NULL AND {billing.pinged(connection)} AND coalesce(sent_at, recorded_at) >= ?",
        [since],
    )
    for at, target, uncached, read, written, output, long, details in rows:
        usage = None if details is None else billing.usage(uncached, read, written, long, output, details)
        prompt = uncached + read + written
        tokens = BilledTokens(prompt, read, written, long, output, usage)
        yield AnsweredPing(at, models.find(target), tokens)


def _beliefs(text: str) -> tuple[Any, ...] | None:
    """Returns what the columns would have of a plan; None where its JSON is of another version."""
    try:
        plan = _DECODE(text)
    except msgspec.DecodeError:
        return None
    cache = plan.cache
    ttl = cache.anchors[-1].ttl if cache.anchors else None
    lost = next((miss for miss in cache.miss_reasons if miss.code in LOST), None)
    return cache.warm_tokens, plan.tokens.estimate, ttl, lost and lost.code, lost and lost.tokens
