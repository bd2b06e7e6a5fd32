"""Plans whose request was billed: by the gateway, or as an editor or a script told."""

import sqlite3
from collections import Counter
from typing import Any

import msgspec

from anchorline.cache import hits
from anchorline.cache.miss_causes import shortfall
from anchorline.plan import LOST
from anchorline.report.duplicates import Requests, Seen
from anchorline.report.sums import BilledTokens, ReportedReturn, Sums
from anchorline.route.pricing import BROKEN_OFF, UNTOLD
from anchorline.store import billing, database, outcomes

HOUR = "1h"
_BILLED = """
    SELECT coalesce({sent_at}, created_at), coalesce({target}, plans.target, ''), coalesce(input_tokens, 0),
        coalesce(read_tokens, 0), coalesce(write_tokens, 0), coalesce(output_tokens, 0), {ids}, latency_ms / 1000,
        {passed} AS passed, p_hit, {beliefs}
    FROM plans JOIN outcomes ON outcomes.id = {billed}
    WHERE created_at >= ? {order}
"""
_TOLD = """
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


def add_planned(
    connection: sqlite3.Connection, sums: Sums, since: float, *, imported: bool = True
) -> tuple[Counter[str], Requests]:
    """Adds what became of plans; returns how often each model answered, and the requests that were billed.

    These are left out where nothing is `imported`, as nothing is compared with them.
    """
    answered: Counter[str] = Counter()
    newest = (database.read_schema(connection) or 0) >= database.ANSWERS
    billed = Requests(_shared(connection) if newest and imported else ())
    on_the_way = Requests()
    pinged = billing.pinged(connection)
    told_of = newest and _exists(connection, _TOLD.format(passed=_PASSED, pinged=pinged))
    found = connection.execute(
        _BILLED.format(
            ids=_IDS if newest else _NO_IDS,
            beliefs=_NEW if (database.read_schema(connection) or 0) >= database.BELIEFS else _OLD,
            billed=outcomes.newest("input_tokens", pinged),
            sent_at=outcomes.said("sent_at", pinged),
            target=outcomes.said("target", pinged),
            passed=_PASSED,
            order="ORDER BY passed DESC" if told_of else "",
        ),
        [since],
    )
    for (
        at,
        target,
        input_,
        read,
        written,
        output,
        long,
        more,
        answer,
        request,
        seconds,
        passed,
        p_hit,
        text,
        *columns,
    ) in found:
        prompt = input_ + read + written
        believed = columns if text is None else _believed(text)
        if not prompt or believed is None:
            continue
        if told_of or imported:
            seen = Seen(at, seconds, answer, request, (prompt, read, output))
            if told_of and passed:
                on_the_way.note(seen)
            elif not passed and answer is not None and on_the_way.take(at, answer, request, seen.bill):
                continue  # an editor or a script has told of it as well
            if imported:
                billed.note(seen)
        warm, tokens, ttl, miss, miss_tokens = believed
        known = sums.known(target)
        by_plan = written if ttl == HOUR else 0  # what an earlier version has recorded does not tell
        hour = by_plan if long is None else long
        told = None if more is None else billing.usage(input_, read, written, hour, output, more)
        usage = BilledTokens(prompt, read, written, hour, output, told)
        sums.bill(at, known, usage)
        answered[known.shown] += 1
        if warm and tokens:
            first, found_warm = usage.first
            left = hits.as_billed(warm, tokens, first)
            short = None if hits.is_hit(found_warm, left) else shortfall(found_warm, left)
            cause = None if short is None else short.code
            sums.come_back(ReportedReturn("plans", p_hit, left, cause), known, usage, at)
        elif miss is not None:
            sums.come_back(ReportedReturn("plans", None, miss_tokens, miss), known, usage, at)
        else:
            sums.first += 1
    return answered, billed


def _exists(connection: sqlite3.Connection, query: str) -> bool:
    return bool(connection.execute(query).fetchone()[0])


def add_untold(connection: sqlite3.Connection, sums: Sums, since: float) -> None:
    """Adds the answered requests whose answer did not tell its usage, or broke off before: they were billed as well."""
    found = connection.execute(
        "SELECT coalesce(sent_at, recorded_at), coalesce(outcomes.target, plans.target, ''), "  # noqa: S608
        "signals LIKE '%\"broken_off\":true%' FROM outcomes JOIN plans ON plans.id = outcomes.plan "
        "WHERE input_tokens IS NULL AND signals LIKE '%\"status\":200%' "
        f"AND NOT {billing.pinged(connection)} AND coalesce(sent_at, recorded_at) >= ? "
        "AND NOT EXISTS (SELECT 1 FROM outcomes AS told WHERE told.plan = plans.id AND told.input_tokens IS NOT NULL)",
        [since],
    )
    for at, target, broken_off in found:
        sums.unpriced_request(at, sums.known(target), BROKEN_OFF if broken_off else UNTOLD)


def _shared(connection: sqlite3.Connection) -> list[tuple[str, str | None]]:
    """Returns the ids of imported answers that have the same one, with those of their requests."""
    found = connection.execute(
        "SELECT answer, request FROM imported WHERE answer IN "
        "(SELECT answer FROM imported WHERE answer IS NOT NULL GROUP BY answer HAVING count(*) > 1)"
    )
    return [(answer, request) for answer, request in found]


def add_pings(connection: sqlite3.Connection, sums: Sums, since: float) -> None:
    """Adds the keep-alive pings: billed as requests are, and apart from these."""
    newest = (database.read_schema(connection) or 0) >= database.ANSWERS
    found = connection.execute(
        "SELECT coalesce(sent_at, recorded_at), coalesce(outcomes.target, plans.target, ''), "  # noqa: S608
        "coalesce(input_tokens, 0), coalesce(read_tokens, 0), coalesce(write_tokens, 0), coalesce(output_tokens, 0), "
        f"{'coalesce(write_1h_tokens, 0), billing' if newest else '0, NULL'} "
        "FROM outcomes LEFT JOIN plans ON plans.id = outcomes.plan "
        f"WHERE input_tokens IS NOT NULL AND {billing.pinged(connection)} AND coalesce(sent_at, recorded_at) >= ?",
        [since],
    )
    for at, target, input_, read, written, output, long, more in found:
        told = None if more is None else billing.usage(input_, read, written, long, output, more)
        prompt = input_ + read + written
        sums.ping(at, sums.known(target), BilledTokens(prompt, read, written, long, output, told))


def _believed(text: str) -> tuple[Any, ...] | None:
    """Returns what the columns would have of a plan; None where its JSON is of another version."""
    try:
        plan = _DECODE(text)
    except msgspec.DecodeError:
        return None
    cache = plan.cache
    ttl = cache.anchors[-1].ttl if cache.anchors else None
    lost = next((miss for miss in cache.miss_reasons if miss.code in LOST), None)
    return cache.warm_tokens, plan.tokens.estimate, ttl, lost and lost.code, lost and lost.tokens
