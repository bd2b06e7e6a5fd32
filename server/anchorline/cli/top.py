"""`anchorline top`: a live view of what goes through the gateway."""

import re
import time
from datetime import datetime

import click
import msgspec
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from anchorline.cli import reading, tables
from anchorline.cli.running import base, fetch
from anchorline.cli.terminal import visible
from anchorline.figures import count, duration, likely, span, usd
from anchorline.gateway.metrics import FinishedRequest, GatewayState
from anchorline.limits import wording


@click.command(name="top")
@click.option(
    "--every", type=click.FloatRange(min=0.2), default=1.0, show_default=True, help="Seconds between looks."
)
@click.option("--once", is_flag=True, help="Print it once and end.")
@click.option("--json", "as_json", is_flag=True, help="Print it once, as JSON.")
def command(every: float, once: bool, as_json: bool) -> None:
    """Show the gateway's requests, hit rates against what was predicted, dollars, and what is warm for how long.

    A narrow terminal shows fewer columns. End it with Ctrl-C. Exits with 2 where no gateway runs.

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
        output = tables.console()
        output.print(view(state(url), output.width))
        return
    output = tables.console()
    with Live(view(state(url), *output.size), console=output, screen=True, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(every)
                live.update(view(state(url), *output.size), refresh=True)
        except KeyboardInterrupt:
            return


def state(url: str) -> GatewayState:
    """Returns what the running gateway tells of itself at `url`, which holds the token.

    Raises reading.Unusable where none answers.
    """
    try:
        return msgspec.json.decode(fetch(url), type=GatewayState)
    except msgspec.MsgspecError as error:
        raise reading.Unusable(f"the gateway is another version's ({error}); start it anew") from error


COLUMNS = (
    "time", "client", "project", "session", "model", "status", "in", "read", "out", "P(hit)", "hit", "why", "cost",
    "first",
)  # fmt: skip
OPTIONAL = ("read", "time", "project", "in", "status", "client", "P(hit)", "out", "session", "why", "first")
"""Columns that a narrow terminal may do without, the most wanted first."""
NUMBERS = frozenset({"in", "read", "out", "P(hit)", "cost", "first", "tokens", "left"})
_DATED = re.compile(r"-20\d{6}\Z")
"""The date at the end of a model's name."""
WARM = 10
"""Warm prefixes that are shown."""
FEWEST = 3
"""Requests that are shown however low the terminal is."""


def view(state: GatewayState, width: int, height: int | None = None) -> Group:
    """Returns what is shown in `width` columns; of `height` lines no more than there are."""
    held = sorted(state.warm, key=lambda held: -held.tokens)[:WARM]
    warm = tables.fitted(
        ("model", "tokens", "lifetime", "left"),
        [
            (_DATED.sub("", prefix.model), count(prefix.tokens), prefix.ttl, span(int(prefix.left)))
            for prefix in held
        ],
        width=width,
        optional=("tokens", "lifetime"),
        numbers=NUMBERS,
        title="Warm prefixes",
    )
    lines = _summary(state)
    rows = [_row(request) for request in reversed(state.last)]
    if height is not None:
        used = sum(1 + len(line) // width for line in lines) + len(held) + 6
        rows = rows[: max(height - used, FEWEST)]
    requests = tables.fitted(COLUMNS, rows, width=width, optional=OPTIONAL, numbers=NUMBERS)
    parts: list[RenderableType] = [Text(visible("\n".join(lines) + "\n"))]
    parts += [requests, Text()] if rows else []
    parts += [warm] if held else []
    return Group(*parts)


def _summary(state: GatewayState) -> list[str]:
    requests = sum(state.requests.values())
    failed = requests - state.requests.get("200", 0)
    tokens = state.tokens
    sent = tokens.get("input", 0) + tokens.get("read", 0) + tokens.get("write", 0)
    read = tokens.get("read", 0) / sent if sent else 0.0
    asked = f"{count(requests)} request{'s' * (requests != 1)}"
    lines = [f"mode {state.mode} · {asked}, {count(failed)} failed, {count(state.counts.changed)} changed"]
    if not requests:
        lines.append("No request yet. Point a client at it: `anchorline connect claude-code`.")
    lines += [
        f"{count(sent)} tokens in, {read:.1%} read from the cache · {count(tokens.get('output', 0))} out",
        f"{usd(state.usd)} billed · {usd(state.saved_usd)} saved by the cache",
        f"cache hits {count(state.hits)} of {count(state.predicted)} ({state.expected_hits:.1f} expected)",
    ]
    lines += [f"{count(number)} not in it: {what}" for what, number in state.unpriced.items()]
    lines += [f"budget: {use}" for use in (*state.budgets, *state.window_budgets)]
    windows = wording.current(state.windows, state.at)
    names = wording.names(windows)
    lines += [
        f"{name}: {wording.state(window, state.at)}" for window, name in zip(windows, names, strict=True)
    ]
    if state.counts.reused:
        lines.append(
            f"{count(state.counts.reused)} more answered from the response cache, {usd(state.reused_usd)} not billed"
        )
    if state.counts.pings or state.kept_warm:
        lines.append(
            f"{count(state.counts.pings)} keep-alive pings, {usd(state.pings_usd)}; {state.kept_warm} kept warm"
        )
    for what in state.held:
        left = "" if what.until is None else f", for {span(int(max(what.until - state.at, 0)))} more"
        lines.append(f"unchanged{left}: {what.what} ({count(what.requests)}): {what.why}")
    if state.problem:
        lines.append(f"not recording: {state.problem}")
    return lines


def _row(request: FinishedRequest) -> tuple[str, ...]:
    usage = request.usage
    return (
        datetime.fromtimestamp(request.at).astimezone().strftime("%H:%M:%S"),
        request.client,
        request.project,
        request.session,
        _DATED.sub("", request.model),
        str(request.status),
        count(usage.input + usage.read + usage.write) if usage else "",
        count(usage.read) if usage else "",
        count(usage.output) if usage else "",
        likely(request.p_hit),
        {True: "yes", False: "no", None: "-"}[request.hit],
        request.miss.replace("_", " "),
        usd(request.usd) if request.usd is not None else "",
        duration(request.first_byte) if request.first_byte is not None else "",
    )
