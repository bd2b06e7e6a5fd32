"""`anchorline warm`: what the providers hold now, for how long, and what its loss would cost."""

import time

import click
import msgspec

from anchorline.cache.ledger import Entry, longest
from anchorline.cli import reading, tables
from anchorline.figures import count, span, usd
from anchorline.route.pricing import Pricing, Unpriced
from anchorline.route.target import load as load_targets
from anchorline.store.database import StoreError, locate
from anchorline.store.reader import Reader


class WarmPrefix(msgspec.Struct, frozen=True):
    """A warm prefix. `left_s` seconds, `usd` what writing it again costs more than reading it (None: no price)."""

    provider: str
    account: str
    model: str
    prefix: str
    tokens: int
    ttl: str
    left_s: int
    usd: float | None
    source: str


@click.command(name="warm")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """List the prefixes that providers should still hold: time left, tokens and dollars at stake.

    Of a conversation only the longest prefix is listed that each model holds: the shorter ones are part of it. Exits
    with 2 when the database can't be read.

    \b
    Example:
      anchorline warm --json
    """
    settings = reading.settings().config
    now = time.time()
    reader = Reader(locate(settings.store.path))
    try:
        entries = [entry for entry in reader.ledger(now) if entry.is_warm(now)]
    except StoreError as error:
        raise reading.Unusable(str(error)) from error
    pricing = Pricing(load_targets(settings.files))
    shown = [_warm(entry, pricing, now) for entry in longest(entries)]
    shown.sort(key=lambda prefix: prefix.left_s)
    tokens = sum(prefix.tokens for prefix in shown)
    prices = [prefix.usd for prefix in shown if prefix.usd is not None]
    total = round(sum(prices), 6) if prices or not shown else None
    if as_json:
        whole = {"warm": shown, "tokens": tokens, "usd": total}
        click.echo(msgspec.json.encode(whole).decode())
        return
    if not shown:
        tables.say(
            f"No cached prefixes are still alive. ({expired:,} imported requests have all expired.)"
            if (expired := reader.status().counts.get("imported", 0))
            else f"No cached prefixes. {reading.NOTHING_RECORDED}"
        )
        return

    rows = [
        (prefix.model, span(prefix.left_s), count(prefix.tokens), usd(prefix.usd), prefix.ttl, prefix.source)
        for prefix in shown
    ]
    output = tables.console()
    columns = ("model", "left", "tokens", "at stake", "lifetime", "from")
    optional, numbers = ("tokens", "at stake", "lifetime", "from"), ("left", "tokens", "at stake")
    output.print(tables.fitted(columns, rows, width=output.width, optional=optional, numbers=numbers))
    missing = len(shown) - len(prices)
    without = f" not counting {missing} without a known price" if missing and prices else ""
    click.echo(
        f"{count(tokens)} tokens, {'not known what is' if total is None else usd(total)} at stake{without}"
    )


def _warm(entry: Entry, pricing: Pricing, now: float) -> WarmPrefix:
    """Returns what an entry is worth: what writing it anew costs more than reading it."""
    prices = pricing.prices(entry.model)
    loss = None
    if not isinstance(prices, Unpriced):
        rates = prices.rates(now, entry.tokens)
        loss = entry.tokens * ((rates.write_1h if entry.ttl == "1h" else rates.write) - rates.read)
    return WarmPrefix(
        entry.provider,
        entry.account,
        entry.model,
        entry.prefix.hex(),
        entry.tokens,
        entry.ttl,
        int(entry.expires_at - now),
        None if loss is None else round(loss, 6),
        entry.source,
    )
