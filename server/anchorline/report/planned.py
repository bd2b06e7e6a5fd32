"""Plans whose request was billed: by the gateway, or as an editor or a script told."""

import sqlite3
from collections import Counter
from typing import get_args

import msgspec

from anchorline.cache.afterwards import shortfall
from anchorline.report.model import Cause
from anchorline.report.sums import HIT, Return, Sums, Usage

Billed = dict[tuple[int, int, int, int], float]
"""When a request was sent, by its tokens (input, read, written, output): no two large ones have the same."""

_CAUSES = frozenset(get_args(Cause))


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
    """What of a plan's JSON is needed here: decoding the rest would take most of the time."""

    cache: _Cache
    tokens: _Tokens


def add_planned(connection: sqlite3.Connection, sums: Sums, since: float) -> tuple[Counter[str], Billed]:
    """Add what became of plans; return how often each model answered, and what was billed."""
    decode = msgspec.json.Decoder(_Plan).decode
    answered: Counter[str] = Counter()
    billed: Billed = {}
    found = connection.execute(
        "SELECT coalesce(outcomes.sent_at, created_at), coalesce(outcomes.target, plans.target, ''), p_hit, "
        "plans.plan, coalesce(input_tokens, 0), coalesce(read_tokens, 0), coalesce(write_tokens, 0), "
        "coalesce(output_tokens, 0) "
        "FROM outcomes JOIN plans ON plans.id = outcomes.plan "
        "WHERE created_at >= ? AND outcomes.id IN "
        "(SELECT max(id) FROM outcomes WHERE input_tokens IS NOT NULL GROUP BY outcomes.plan)",
        [since],
    )
    for at, target, p_hit, text, input_, read, written, output in found:
        try:
            plan = decode(text)
        except msgspec.DecodeError:  # of another version
            continue
        prompt = input_ + read + written
        if not prompt:
            continue
        known = sums.known(target)
        ttl = plan.cache.anchors[-1].ttl if plan.cache.anchors else "default"
        usage = Usage(prompt, read, written, known.provider.write_price(ttl), output)
        sums.span(at, at)
        sums.bill(at, known, usage)
        answered[known.shown] += 1
        billed[input_, read, written, output] = at
        back = _return(plan, p_hit, usage)
        if back is None:
            sums.first += 1
        else:
            sums.come_back(back, known, usage)
    return answered, billed


def _return(plan: _Plan, p_hit: float, usage: Usage) -> Return | None:
    """Return whether what was believed warm was read; None where there was nothing to read."""
    cache = plan.cache
    if cache.warm_tokens and plan.tokens.estimate:
        believed = round(cache.warm_tokens * usage.prompt / plan.tokens.estimate)
        short = None if usage.read >= HIT * believed else shortfall(usage.read, believed)
        return Return("plans", p_hit, believed, short is None, None if short is None else short.code)
    for miss in cache.miss_reasons:
        if miss.code in _CAUSES:
            return Return("plans", None, miss.tokens, False, miss.code)  # type: ignore[arg-type]
    return None
