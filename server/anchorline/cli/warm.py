"""`anchorline warm`: what the providers hold now, for how long, and what its loss would cost."""

import time

import click
import msgspec

from anchorline.cli import reading, tables
from anchorline.figures import count, span, usd
from anchorline.report.warm import warm
from anchorline.route.target import load as load_targets
from anchorline.store.database import StoreError, locate
from anchorline.store.reader import Reader


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
    path = locate(settings.store.path)
    try:
        held = warm(path, load_targets(settings.files), time.time())
    except StoreError as error:
        raise reading.Unusable(str(error)) from error
    if as_json:
        click.echo(msgspec.json.encode(held).decode())
        return
    if not held.warm:
        expired = Reader(path).status().counts.get("imported", 0)
        tables.say(
            f"No cached prefixes are still alive. ({expired:,} imported requests have all expired.)"
            if expired
            else f"No cached prefixes. {reading.NOTHING_RECORDED}"
        )
        return

    rows = [
        (prefix.model, span(prefix.left_s), count(prefix.tokens), usd(prefix.usd), prefix.ttl, prefix.source)
        for prefix in held.warm
    ]
    output = tables.console()
    columns = ("model", "left", "tokens", "at stake", "lifetime", "from")
    optional, numbers = ("tokens", "at stake", "lifetime", "from"), ("left", "tokens", "at stake")
    output.print(tables.fitted(columns, rows, width=output.width, optional=optional, numbers=numbers))
    unpriced = sum(prefix.usd is None for prefix in held.warm)
    without = f" not counting {unpriced} without a known price" if 0 < unpriced < len(held.warm) else ""
    total = "not known what is" if held.usd is None else usd(held.usd)
    click.echo(f"{count(held.tokens)} tokens, {total} at stake{without}")
