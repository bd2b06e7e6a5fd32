"""`anchorline top`: a live view of what goes through the gateway."""

import time
from contextlib import closing
from datetime import datetime
from http.client import HTTPConnection, HTTPException

import click
import msgspec
from rich.console import Group
from rich.live import Live
from rich.text import Text

from anchorline.cli import reading, tables
from anchorline.cli.connect import base
from anchorline.cli.terminal import visible
from anchorline.figures import usd
from anchorline.gateway.metrics import FinishedRequest, GatewayState
from anchorline.live import proof

TIMEOUT_S = 5.0


@click.command(name="top")
@click.option(
    "--every", type=click.FloatRange(min=0.2), default=1.0, show_default=True, help="Seconds between looks."
)
@click.option("--once", is_flag=True, help="Print it once and end.")
@click.option("--json", "as_json", is_flag=True, help="Print it once, as JSON.")
def command(every: float, once: bool, as_json: bool) -> None:
    """Show the gateway's requests, hit rates against what was predicted, dollars, and what is warm for how long.

    End it with Ctrl-C. Exits with 2 where no gateway runs.

    \b
    Examples:
      anchorline top
      anchorline top --json | jq .saved_usd
    """
    url = f"{base()}/status"
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(state(url))).decode())
        return

    if once:
        tables.console().print(_view(state(url)))
        return
    with Live(_view(state(url)), console=tables.console(), screen=True, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(every)
                live.update(_view(state(url)), refresh=True)
        except KeyboardInterrupt:
            return


def state(url: str) -> GatewayState:
    """Returns what the running gateway tells of itself at `url`, which holds the token.

    The token is only said once the gateway has proven to be ours. Raises reading.Unusable where none answers.
    """
    _, _, address, token, name = url.split("/", 4)
    host, _, port = address.partition(":")
    challenge = proof.nonce()
    try:
        with closing(HTTPConnection(host, int(port), timeout=TIMEOUT_S)) as gateway:
            gateway.request("GET", f"/{proof.NAME}/{challenge}")
            answer = gateway.getresponse().read(proof.LENGTH + 1)
            if not proof.proven(token, int(port), challenge, answer.decode("latin-1")):
                raise reading.Unusable(
                    f"another program answers at {address}: set gateway.port to a free one"
                )
            gateway.request("GET", f"/{token}/{name}")
            return msgspec.json.decode(gateway.getresponse().read(), type=GatewayState)
    except (OSError, HTTPException, msgspec.MsgspecError) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise reading.Unusable(
            f"no gateway answers at {address} ({why}); start one with `anchorline gateway`"
        ) from error


def _view(state: GatewayState) -> Group:
    count = sum(state.requests.values())
    bad = count - state.requests.get("200", 0)
    tokens = state.tokens
    sent = tokens.get("input", 0) + tokens.get("read", 0) + tokens.get("write", 0)
    share = tokens.get("read", 0) / sent if sent else 0.0
    lines = [
        f"mode {state.mode}   {count} requests, {bad} not answered with 200, {state.counts.changed} changed",
        f"{sent:,} tokens in, {share:.1%} of them read from the cache; {tokens.get('output', 0):,} out",
        f"{usd(state.usd)} billed, {usd(state.saved_usd)} saved by the cache",
        f"hits {state.hits} of {state.predicted}, {state.expected_hits:.1f} were expected",
    ]
    lines += [f"{count} not in it: {what}" for what, count in state.unpriced.items()]
    if state.counts.reused:
        lines.append(
            f"{state.counts.reused} more answered from the response cache, {usd(state.reused_usd)} not billed"
        )
    if state.counts.pings or state.kept_warm:
        lines.append(
            f"{state.counts.pings} keep-alive pings, {usd(state.pings_usd)}; {state.kept_warm} prefixes are kept warm"
        )
    for what in state.held:
        left = "" if what.until is None else f", for {max(what.until - state.at, 0) / 60:.0f} minutes more"
        lines.append(f"unchanged{left}: {what.what} ({what.requests}): {what.why}")
    if state.problem:
        lines.append(f"not recording: {state.problem}")
    requests = tables.table(
        "time", "model", "status", "in", "read", "out", "P(hit)", "hit", "USD", "first byte", boxed=False
    )
    for request in reversed(state.last):
        requests.add_row(*_row(request))
    warm = tables.table("warm: model", "tokens", "for", "left", boxed=False)
    for held in sorted(state.warm, key=lambda held: -held.tokens)[:10]:
        warm.add_row(held.model, f"{held.tokens:,}", held.ttl, f"{held.left:.0f} s")
    return Group(Text(visible("\n".join(lines) + "\n")), requests, Text(), warm)


def _row(request: FinishedRequest) -> tuple[str, ...]:
    usage = request.usage
    return (
        datetime.fromtimestamp(request.at).astimezone().strftime("%H:%M:%S"),
        request.model,
        str(request.status),
        f"{usage.input + usage.read + usage.write:,}" if usage else "-",
        f"{usage.read:,}" if usage else "-",
        f"{usage.output:,}" if usage else "-",
        f"{request.p_hit:.0%}",
        {True: "yes", False: "no", None: "-"}[request.hit] + (f" ({request.miss})" if request.miss else ""),
        f"{request.usd:.4f}" if request.usd is not None else "-",
        f"{request.first_byte:.2f} s" if request.first_byte is not None else "-",
    )
