"""How a usage is laid into columns: counts in columns of their own, what few requests have besides in one of JSON."""

import sqlite3

import msgspec

from anchorline.outcome import Iteration, Usage
from anchorline.store import database, privacy


class More(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a usage tells beside its counts, where that is not the ordinary."""

    web_searches: int = 0
    speed: str = ""
    tier: str = ""
    geo: str = ""
    iterations: tuple[Iteration, ...] = ()
    partial: bool = False


_PING = "(signals LIKE '%\"keepalive\":%')"
"""How an earlier version marks a ping, which may go on to record beside this one."""

_decode = msgspec.json.Decoder(More).decode
_NOTHING = More()


def more(usage: Usage) -> str | None:
    """Returns what the column `billing` holds of a usage; None for an ordinary request. Names are kept, and no text."""
    iterations = tuple(
        msgspec.structs.replace(
            one, kind=privacy.name(one.kind), model=privacy.name(one.model) if one.model is not None else None
        )
        for one in usage.iterations
    )
    found = More(
        usage.web_searches,
        privacy.name(usage.speed),
        privacy.name(usage.tier),
        privacy.name(usage.geo),
        iterations,
        usage.partial,
    )
    return None if found == _NOTHING else msgspec.json.encode(found).decode()


def usage(input_: int, read: int, write: int, write_1h: int, output: int, billing: str | None) -> Usage:
    """Returns the usage that the columns hold."""
    if billing is None:
        return Usage(input_, read, write, output, write_1h)
    try:
        found = _decode(billing)
    except msgspec.DecodeError:  # of another version: what else it was billed for is not known
        found = More(tier="other")
    return Usage(
        input_,
        read,
        write,
        output,
        write_1h,
        found.web_searches,
        found.speed,
        found.tier,
        found.geo,
        found.iterations,
        found.partial,
    )


def outcome(row: sqlite3.Row, ttl: str | None) -> Usage | None:
    """Returns the usage of a row of `outcomes`, None where it has none.

    What an earlier version has recorded does not tell what was written for an hour: then it is by `ttl`, its plan's.
    """
    if row["input_tokens"] is None:
        return None
    told = dict(row)
    read, write, output = (told[f"{name}_tokens"] or 0 for name in ("read", "write", "output"))
    long = told.get("write_1h_tokens")
    if long is None:
        long = write if ttl == "1h" else 0
    return usage(told["input_tokens"], read, write, long, output, told.get("billing"))


def pinged(connection: sqlite3.Connection) -> str:
    """Returns, in SQL, whether a row of `outcomes` is one of a keep-alive ping: that is no request."""
    return f"(ping IS NOT NULL OR {_PING})" if database.knows_answers(connection) else _PING
