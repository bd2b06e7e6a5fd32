"""Usages in columns: counts in columns of their own, and in one of JSON what few requests have besides."""

import sqlite3

import msgspec

from anchorline.outcome import Iteration, Usage
from anchorline.store import database, privacy


class BillingDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a usage tells beside its counts, where that is not the ordinary."""

    web_searches: int = 0
    speed: str = ""
    tier: str = ""
    geo: str = ""
    iterations: tuple[Iteration, ...] = ()
    partial: bool = False


_PING = "(signals LIKE '%\"keepalive\":%')"
"""How an earlier version marks a ping, which may go on to record beside this one."""

_decode = msgspec.json.Decoder(BillingDetails).decode
_NOTHING = BillingDetails()


def details(usage: Usage) -> str | None:
    """Returns what the column `billing` holds of a usage; None for an ordinary request. Names are kept, and no text."""
    iterations = tuple(
        msgspec.structs.replace(
            iteration,
            kind=privacy.name(iteration.kind),
            model=privacy.name(iteration.model) if iteration.model is not None else None,
        )
        for iteration in usage.iterations
    )
    fields = BillingDetails(
        usage.web_searches,
        privacy.name(usage.speed),
        privacy.name(usage.tier),
        privacy.name(usage.geo),
        iterations,
        usage.partial,
    )
    return None if fields == _NOTHING else msgspec.json.encode(fields).decode()


def usage(uncached: int, read: int, write: int, write_1h: int, output: int, billing: str | None) -> Usage:
    """Returns the usage that the columns hold."""
    if billing is None:
        return Usage(uncached, read, write, output, write_1h)
    try:
        fields = _decode(billing)
    except msgspec.DecodeError:  # of another version: what else it was billed for is not known
        fields = BillingDetails(tier="other")
    return Usage(
        uncached,
        read,
        write,
        output,
        write_1h,
        fields.web_searches,
        fields.speed,
        fields.tier,
        fields.geo,
        fields.iterations,
        fields.partial,
    )


def outcome(row: sqlite3.Row, ttl: str | None) -> Usage | None:
    """Returns the usage of a row of `outcomes`, None where it has none.

    What an earlier version has recorded does not tell what was written for an hour: then it is by `ttl`, its plan's.
    """
    if row["input_tokens"] is None:
        return None
    columns = dict(row)
    read, write, output = (columns[f"{name}_tokens"] or 0 for name in ("read", "write", "output"))
    long = columns.get("write_1h_tokens")
    if long is None:
        long = write if ttl == "1h" else 0
    return usage(columns["input_tokens"], read, write, long, output, columns.get("billing"))


def pinged(connection: sqlite3.Connection) -> str:
    """Returns, in SQL, whether a row of `outcomes` is one of a keep-alive ping: that is no request."""
    return f"(ping IS NOT NULL OR {_PING})" if database.knows_answers(connection) else _PING
