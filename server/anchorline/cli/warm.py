"""`anchorline warm`: what the providers hold now, for how long, and what its loss would cost."""

import time

import click
import msgspec

from anchorline.cache.ledger import Entry, longest
from anchorline.cli import reading, tables
from anchorline.route.pricing import Pricing, Unpriced
from anchorline.route.target import load as load_targets
from anchorline.store.database import StoreError, locate
from anchorline.store.reader import Reader


class Warm(msgspec.Struct, frozen=True):
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
    shown.sort(key=lambda one: one.left_s)
    tokens = sum(one.tokens for one in shown)
    known = [one.usd for one in shown if one.usd is not None]
    usd = round(sum(known), 6) if known or not shown else None
    if as_json:
        whole = {"warm": shown, "tokens": tokens, "usd": usd}
        click.echo(msgspec.json.encode(whole).decode())
        return
    if not shown:
        click.echo("No cached prefixes are still alive. `anchorline import claude-code` reads past sessions.")
        return

    table = tables.table("model", "left", "tokens", "at stake", "lifetime", "from")
    for one in shown:
        left = f"{one.left_s // 60}:{one.left_s % 60:02}"
        stake = "not known" if one.usd is None else f"${one.usd:.4f}"
        table.add_row(one.model, left, f"{one.tokens:,}", stake, one.ttl, one.source)
    tables.console().print(table)
    missing = len(shown) - len(known)
    without = f" without {missing} at a price that is not known" if missing and known else ""
    click.echo(
        f"{tokens:,} tokens, {'not known what is' if usd is None else f'${usd:.2f}'} at stake{without}"
    )


def _warm(entry: Entry, pricing: Pricing, now: float) -> Warm:
    """Returns what an entry is worth: what writing it anew costs more than reading it."""
    prices = pricing.prices(entry.model)
    usd = None
    if not isinstance(prices, Unpriced):
        rates = prices.rates(now, entry.tokens)
        usd = entry.tokens * ((rates.write_1h if entry.ttl == "1h" else rates.write) - rates.read)
    return Warm(
        entry.provider,
        entry.account,
        entry.model,
        entry.prefix.hex(),
        entry.tokens,
        entry.ttl,
        int(entry.expires_at - now),
        None if usd is None else round(usd, 6),
        entry.source,
    )
