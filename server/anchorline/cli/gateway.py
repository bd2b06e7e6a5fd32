"""`anchorline gateway`: the loopback gateway."""

import errno
import queue
import sys
import threading
from contextlib import suppress
from datetime import datetime

import click
import msgspec

from anchorline import files
from anchorline.cli import reading
from anchorline.config import Config, Mode
from anchorline.figures import count, duration, usd
from anchorline.gateway import server
from anchorline.gateway.exchange import OK
from anchorline.gateway.metrics import FinishedRequest
from anchorline.live import logs, token

MODES: dict[Mode, str] = {
    "observe": "requests are recorded and not changed",
    "anchors": "cache breakpoints are set",
    "trim": "cache breakpoints are set and tool results are shortened",
    "route": "cache breakpoints are set, tool results are shortened and another model may be chosen",
}
"""What the gateway does in each mode, as it says when it starts."""


NEXT = "Point a client at it: `anchorline connect claude-code`. A line for each request follows; Ctrl-C stops it."
OBSERVED = 'Nothing is saved in this mode: gateway.mode = "anchors" in your settings sets cache breakpoints.'
WAITING = 1000
"""Lines that wait for a terminal that takes none; more are left out."""


class _RequestLines:
    """Prints a line for each request, in a thread: a terminal that stands still holds up no request."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[FinishedRequest] = queue.Queue(WAITING)
        self._started = False

    def start(self) -> None:
        """Prints from now on."""
        self._started = True
        threading.Thread(target=self._run, name="request-lines", daemon=True).start()

    def put(self, request: FinishedRequest) -> None:
        """Has a request printed."""
        if self._started:
            with suppress(queue.Full):
                self._waiting.put_nowait(request)

    def _run(self) -> None:
        with suppress(OSError, ValueError):  # nobody reads it any more
            while True:
                click.echo(line(self._waiting.get()))


def line(request: FinishedRequest) -> str:
    """Returns a request on one line: when, by whom, which model, what it read and cost."""
    usage = request.usage
    parts = [
        datetime.fromtimestamp(request.at).astimezone().strftime("%H:%M:%S"),
        request.client,
        request.project,
        request.model,
        "" if request.status == OK else str(request.status),
    ]
    tokens = "no usage"
    if usage is not None:
        sent = usage.input + usage.read + usage.write
        tokens = f"{count(sent)} tokens in ({count(usage.read)} cached), {count(usage.output)} out"
    price = "" if request.usd is None else usd(request.usd)
    return "  ".join(part for part in (*parts, tokens, price, duration(request.seconds)) if part)


def report(message: str) -> None:
    """Tells the developer of a problem."""
    click.echo(f"anchorline: {message}", err=True)


@click.command(name="gateway")
@click.option("--port", type=click.IntRange(1, 65535), help="Port on 127.0.0.1 (default: gateway.port).")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="Default: log.level."
)
@click.option("--show", is_flag=True, help="Print the base URLs and end.")
@click.option("--json", "as_json", is_flag=True, help="Print the base URLs as JSON.")
@click.option(
    "--new-token", is_flag=True, help="Make a new token first: connected clients have to be connected again."
)
@click.option(
    "--attended", is_flag=True, hidden=True
)  # by the language server: settings come in, and it ends with it
def command(
    port: int | None, log_level: str | None, show: bool, as_json: bool, new_token: bool, attended: bool
) -> None:
    """Pass an editor's or agent's requests on to its provider, and record what they cost.

    Use the printed address as the client's base URL. It listens on this machine only; whoever has the
    address can use it, so keep it to yourself. Requests are changed only as gateway.mode says, by default
    not at all. End it with Ctrl-C.

    \b
    Examples:
      anchorline gateway
      ANTHROPIC_BASE_URL=$(anchorline gateway --show --json | jq -r .anthropic) claude
    """
    config = _given() if attended else reading.settings(project=False).config
    if port is not None:
        config = msgspec.structs.replace(config, gateway=msgspec.structs.replace(config.gateway, port=port))
    logs.configure(log_level or config.log.level)
    try:
        secret = (token.renewed if new_token else token.token)(files.data_folder())
    except OSError as error:
        reason = f"{error.filename or files.data_folder()}: {error.strerror or error}"
        if error.errno not in token.UNWRITTEN:
            raise reading.Unusable(reason) from error
        secret = token.passing()
        report(f"{reason}; the token can't be kept, so the address is another one after the next start")

    def print_urls() -> None:
        base = f"http://{server.HOST}:{config.gateway.port}/{secret}"
        urls = {
            "anthropic": f"{base}/anthropic",
            "openai": f"{base}/openai/v1",
            "gemini": f"{base}/gemini",
        }
        if as_json:
            click.echo(msgspec.json.encode(urls).decode())
            return
        for name, url in urls.items():
            click.echo(f"{name:10} {url}")

    def ready() -> None:
        if not as_json:
            mode = config.gateway.mode
            click.echo(f"Gateway running on port {config.gateway.port} (mode: {mode}, {MODES[mode]}).")
        print_urls()
        if not as_json:
            click.echo(NEXT)
            if mode == "observe":
                click.echo(OBSERVED)
            lines.start()

    if show:
        print_urls()
        return
    lines = _RequestLines()
    try:
        server.run(config, secret, report, ready, lines.put, attended=attended)
    except (ValueError, server.KeyMissingError) as error:
        raise reading.Unusable(str(error)) from error
    except OSError as error:
        raise reading.Unusable(_port_problem(config.gateway.port, error)) from error


def _port_problem(port: int, error: OSError) -> str:
    if error.errno != errno.EADDRINUSE:
        return f"port {port} can't be used ({error.strerror or error}); choose another with --port or gateway.port"
    return (
        f"port {port} is in use, perhaps by a gateway that runs already. Stop it, or choose another port with --port "
        "or gateway.port. If another program has the port, clients may have sent it the token: --new-token renews it"
    )


def _given() -> Config:
    try:
        return msgspec.json.decode(sys.stdin.buffer.read(), type=Config)
    except msgspec.MsgspecError as error:
        raise reading.Unusable(f"standard input: no settings ({error})") from error
