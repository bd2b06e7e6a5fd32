"""Plans whose request was billed: by the gateway, or as an editor or a script told."""

import sqlite3
from collections import Counter
from typing import Any

import msgspec

from anchorline.cache.afterwards import shortfall
from anchorline.plan import LOST
from anchorline.report.sums import HIT, Return, Sums, Usage
from anchorline.store import database

Billed = dict[tuple[int, int, int, int], float]
"""When a request was sent, by its tokens (input, read, written, output): no two large ones have the same."""

HOUR = "1h"
COLUMNS = 7
"""The schema from which on plans have in columns what is needed of them."""
_BILLED = """
    SELECT coalesce(sent_at, created_at), coalesce(outcomes.target, plans.target, ''), coalesce(input_tokens, 0),
        coalesce(read_tokens, 0), coalesce(write_tokens, 0), coalesce(output_tokens, 0), p_hit, {}
    FROM plans JOIN outcomes ON outcomes.id =
        (SELECT max(id) FROM outcomes WHERE plan = plans.id AND input_tokens IS NOT NULL)
    WHERE created_at >= ?
"""
_NEW = "CASE WHEN tokens IS NULL THEN plans.plan END, warm_tokens, tokens, ttl, miss, miss_tokens"
_OLD = "plans.plan, NULL, NULL, NULL, NULL, NULL"


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


def add_planned(connection: sqlite3.Connection, sums: Sums, since: float) -> tuple[Counter[str], Billed]:
    """Add what became of plans; return how often each model answered, and what was billed."""
    answered: Counter[str] = Counter()
    billed: Billed = {}
    in_columns = (database.read_schema(connection) or 0) >= COLUMNS
    found = connection.execute(_BILLED.format(_NEW if in_columns else _OLD), [since])
    for at, target, input_, read, written, output, p_hit, text, *columns in found:
        prompt = input_ + read + written
        believed = columns if text is None else _believed(text)
        if not prompt or believed is None:
            continue
        warm, tokens, ttl, miss, miss_tokens = believed
        known = sums.known(target)
        usage = Usage(prompt, read, written, written if ttl == HOUR else 0, output)
        sums.bill(at, known, usage)
        answered[known.shown] += 1
        billed[input_, read, written, output] = at
        if warm and tokens:
            left = round(warm * prompt / tokens)
            short = None if read >= HIT * left else shortfall(read, left)
            cause = None if short is None else short.code
            sums.come_back(Return("plans", p_hit, left, cause), known, usage, at)
        elif miss is not None:
            sums.come_back(Return("plans", None, miss_tokens, miss), known, usage, at)
        else:
            sums.first += 1
    return answered, billed


def _believed(text: str) -> tuple[Any, ...] | None:
    """Return what the columns would have of a plan; None where its JSON is of another version."""
    try:
        plan = _DECODE(text)
    except msgspec.DecodeError:
        return None
    cache = plan.cache
    ttl = cache.anchors[-1].ttl if cache.anchors else None
    lost = next((miss for miss in cache.miss_reasons if miss.code in LOST), None)
    return cache.warm_tokens, plan.tokens.estimate, ttl, lost and lost.code, lost and lost.tokens
