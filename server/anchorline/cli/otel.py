"""`anchorline otel`: exports what was billed to an OpenTelemetry collector."""

import os
import time
from pathlib import Path
from time import sleep
from urllib.parse import urlsplit

import click

from anchorline import files
from anchorline.cli import reading
from anchorline.cli.replay import Since
from anchorline.config import Config
from anchorline.otel.collector import SIGNALS, Collector, Signal, shown
from anchorline.otel.exporting import Exported, export
from anchorline.otel.sent import SentKeys, locate
from anchorline.route.target import Targets
from anchorline.route.target import load as load_targets
from anchorline.store import database
from anchorline.store.database import StoreError

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
EVERY_S = 30.0
"""Between two passes of --follow."""
LONGEST_S = 600.0
"""The same where the collector takes nothing: the pause doubles up to this."""
RECENT_S = 2 * 86_400.0
WHOLE_S = 3600.0
"""A pass of --follow looks at the last two days, and once an hour at everything: an import may bring old requests."""


@click.command(name="otel")
@click.option("--endpoint", help=f"Base URL of the collector (default: otel.endpoint, else ${ENDPOINT}).")
@click.option(
    "--signal",
    "signals",
    type=click.Choice(SIGNALS),
    multiple=True,
    help="Send only spans (traces), or only metrics (default: both).",
)
@click.option(
    "--since", type=Since(), help="Only requests since then: an age (12h, 30d, 2w) or a date (2026-11-23)."
)
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C, and send what is new every 30 seconds.")
def command(endpoint: str | None, signals: tuple[Signal, ...], since: float | None, follow: bool) -> None:
    """Send what was billed to an OpenTelemetry collector: each request once, however it was recorded.

    Requests go as spans and metrics of the conventions for generative AI, over OTLP/HTTP. No text of a prompt is sent;
    projects and branches only where `store.names` keeps them. What was sent is noted, so the next call goes on from
    there. Headers are taken from OTEL_EXPORTER_OTLP_HEADERS. Exits with 1 where the collector did not take all.

    \b
    Examples:
      anchorline otel --endpoint http://localhost:4318
      anchorline otel --since 30d --signal traces
      anchorline otel --follow
    """
    settings = reading.settings(project=False).config
    url = endpoint or settings.otel.endpoint or os.environ.get(ENDPOINT, "")
    if not url:
        raise click.UsageError(f"name a collector: --endpoint URL, the setting otel.endpoint or ${ENDPOINT}")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.UsageError(f"{url}: not the URL of an OTLP/HTTP collector, such as http://localhost:4318")
    path = database.locate(settings.store.path)
    chosen = signals or SIGNALS
    try:
        files.make_folder(path.parent)
        with files.lock(locate(path).with_suffix(".lock"), wait_s=1.0):
            problems = (_follow if follow else _once)(url, chosen, path, settings, since or 0.0)
    except TimeoutError as error:
        raise click.ClickException("another `anchorline otel` is running") from error
    except (StoreError, OSError) as error:
        raise reading.Unusable(str(error)) from error
    if problems:
        raise click.ClickException("\n".join(problems))


def _once(url: str, signals: tuple[Signal, ...], path: Path, settings: Config, since: float) -> list[str]:
    """Sends each signal once; returns why not all was sent."""
    problems = []
    for signal in signals:
        collector = Collector(url, signal)
        sent = SentKeys(locate(path), collector.url)
        done = export(path, load_targets(settings.files), collector, sent, since, names=settings.store.names)
        collector.close()
        _say(signal, collector, done)
        if done.problem is not None:
            problems.append(f"{done.problem}. What is left is sent next time.")
    return problems


def _follow(url: str, signals: tuple[Signal, ...], path: Path, settings: Config, since: float) -> list[str]:
    """Sends what is new until it is interrupted. A collector that takes nothing is said once, and tried less often."""
    targets, pause, whole, problem = load_targets(settings.files), EVERY_S, 0.0, None
    collectors = {signal: Collector(url, signal) for signal in signals}
    sent = {signal: SentKeys(locate(path), collector.url) for signal, collector in collectors.items()}
    try:
        while True:
            now = time.time()
            begin = since if now - whole >= WHOLE_S else max(since, now - RECENT_S)
            results = {
                signal: _tried(path, targets, collectors[signal], sent[signal], begin, settings.store.names)
                for signal in signals
            }
            for signal, done in results.items():
                if done.sent:
                    _say(signal, collectors[signal], done)
            failure = next((done.problem for done in results.values() if done.problem), None)
            if failure is not None and failure != problem:
                click.echo(f"anchorline: {failure}. It is tried again.", err=True)
            problem = failure
            whole = now if failure is None and begin == since else whole
            pause = EVERY_S if failure is None else min(2 * pause, LONGEST_S)
            sleep(pause)
    except KeyboardInterrupt:
        return []


def _tried(
    path: Path, targets: Targets, collector: Collector, sent: SentKeys, since: float, names: bool
) -> Exported:
    """Exports, and says of a database that can't be read now what is said of a collector that takes nothing."""
    try:
        return export(path, targets, collector, sent, since, names=names)
    except StoreError as error:
        return Exported(0, problem=str(error))


def _say(signal: Signal, collector: Collector, done: Exported) -> None:
    dropped = f"; the collector dropped {done.rejected:,} of what it took" if done.rejected else ""
    click.echo(f"{signal}: {done.sent:,} requests sent to {shown(collector.url)}{dropped}")
