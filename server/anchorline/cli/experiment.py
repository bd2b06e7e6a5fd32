"""`anchorline experiment`, `promote`, `rollback` and `history`: try a trained network, and say which policy decides."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from anchorline import files
from anchorline.cli import reading, tables
from anchorline.cli.group import Group
from anchorline.live import policies
from anchorline.report import experiment as written
from anchorline.route.target import load as load_targets
from anchorline.store import database, experiments
from anchorline.store.database import StoreError
from anchorline.store.experiments import Steps, registry
from anchorline.trial.experiment import HEURISTIC, PROMOTED_SHARE, SHARE, Contest, NotPossibleError, Standing
from anchorline.trial.versions import PRIOR, DamagedVersionError

if TYPE_CHECKING:
    from anchorline.trial.summary import Side, TrialReport

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(name="experiment", cls=Group)
def command() -> None:
    """Try a trained network: first in shadow, then on some of the sessions, with the outcomes compared.

    A running language server and gateway take part at once, without a restart.

    \b
    Example:
      anchorline train && anchorline experiment start
    """


@command.command()
@click.argument("version", required=False)
@click.option(
    "--stage",
    type=click.Choice(["shadow", "ab"]),
    default="shadow",
    show_default=True,
    help="shadow: it decides as well and changes nothing, then goes on to A/B by itself. ab: begin there.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=SHARE,
    show_default=True,
    help="Share of the sessions that VERSION decides about in A/B.",
)
@AS_JSON
def start(version: str | None, stage: str, share: float, as_json: bool) -> None:
    """Put VERSION (default: the newest that `anchorline train` made) on trial against what decides now.

    It is promoted once it costs less at no worse acceptance, and taken back once it costs more or less is accepted;
    `anchorline experiment report` shows how it stands. Exits with 1 when that can't be begun.

    \b
    Examples:
      anchorline train && anchorline experiment start
      anchorline experiment start prior-1 --stage ab --share 0.2
    """
    if not reading.settings().config.store.enabled:
        raise ImpossibleStep(
            "recording is off (store.enabled), and without outcomes there is nothing to compare"
        )
    version = version or newest()
    with refusing():
        check(version)
        taken = steps()
        standing = taken.start(version, "shadow" if stage == "shadow" else "ab", share)
    trial = standing.trial
    where = "in shadow: it changes nothing yet" if stage == "shadow" else f"in {share:.0%} of the sessions"
    announce(
        taken, standing, f"{version} is on trial {where}. Experiment {trial.id if trial else ''}.", as_json
    )


@command.command()
@AS_JSON
def stop(as_json: bool) -> None:
    """End the experiment that runs; what decided before goes on. Exits with 1 when none runs.

    \b
    Example:
      anchorline experiment stop
    """
    with refusing():
        taken = steps()
        standing = taken.stop()
    announce(taken, standing, f"The experiment has ended; {standing.champion} decides.", as_json)


@command.command()
@click.argument("experiment", required=False)
@AS_JSON
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with charts.")
def report(experiment: str | None, as_json: bool, html: Path | None) -> None:
    """Show what an experiment has shown: the one that runs, else the last one, or EXPERIMENT by its id.

    \b
    Examples:
      anchorline experiment report
      anchorline experiment report --html experiment.html
      anchorline experiment report --json
    """
    trial = _report(experiment)
    if html is not None:
        try:
            files.write(html, written.page(trial))
        except OSError as error:
            raise reading.Unusable(f"{html}: {error.strerror or error}") from error
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(trial)).decode())
        return
    _show(trial)
    if html is not None:
        click.echo(f"Charts: {html}")


@click.command(name="promote")
@click.argument("version", required=False)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=PROMOTED_SHARE,
    show_default=True,
    help="Share of the sessions that it decides about; in the others what decided before goes on, for comparison.",
)
@AS_JSON
def promote(version: str | None, share: float, as_json: bool) -> None:
    """Let VERSION (default: the one on trial) decide, whatever its experiment has shown.

    `anchorline plan`, language servers and gateways follow at once. While it decides, a running server goes on
    comparing it with what it replaced, and takes it back when it does worse. Exits with 1 if there is no such version.

    \b
    Examples:
      anchorline promote
      anchorline promote --share 1
    """
    with refusing():
        trial = standing_now().trial
        if version is None:
            if trial is None:
                raise ImpossibleStep(
                    "No experiment is running, so name a VERSION (`anchorline train` makes one)."
                )
            version = trial.challenger
        check(version)
        taken = steps()
        standing = taken.promote(version, share, "promoted by hand")
    announce(taken, standing, f"{version} decides in {share:.0%} of the sessions.", as_json)


@click.command(name="rollback")
@click.option(
    "--to", metavar="POLICY", help="Go back as far as this: a version that decided before, or heuristic."
)
@AS_JSON
def rollback(to: str | None, as_json: bool) -> None:
    """Undo the last promotion, or end the experiment that runs.

    `anchorline plan`, language servers and gateways follow at once. What can't be read gives way to the heuristic.
    Exits with 1 when there is nothing to go back from.

    \b
    Examples:
      anchorline rollback
      anchorline rollback --to heuristic
    """
    with refusing():
        taken = steps()
        standing = taken.roll_back("rolled back by hand", to=to)
    announce(taken, standing, f"{standing.champion} decides.", as_json)


@click.command(name="history")
@AS_JSON
def history(as_json: bool) -> None:
    """List every step from one policy to another: when, what, by whom and why. The newest is last.

    \b
    Example:
      anchorline history --json
    """
    path = database.locate(reading.settings().config.store.path)
    with refusing():
        events = []
        if path.exists():
            with database.reading(path) as connection:
                events = experiments.events(connection)
        standing = standing_now()
    if as_json:
        shown = {"decides": standing.champion, "events": msgspec.to_builtins(events)}
        click.echo(msgspec.json.format(msgspec.json.encode(shown)).decode())
        return
    if events:
        table = tables.table("time", "step", "version", "instead of", "by", "why")
        for event in events:
            when = datetime.fromtimestamp(event.at, UTC).strftime("%Y-%m-%d %H:%M UTC")
            table.add_row(when, event.event, event.version, event.instead_of, event.by, event.reason)
        tables.console().print(table)
    trial = standing.trial
    on_trial = f"; {trial.challenger} is on trial ({trial.stage})" if trial is not None else ""
    if not events and not on_trial and standing.champion == HEURISTIC:
        click.echo(
            f"The {standing.champion} decides, as ever. `anchorline train` learns a network from your history, "
            "`anchorline experiment start` tries it."
        )
        return
    click.echo(f"{standing.champion} decides{on_trial}.")


class ImpossibleStep(click.ClickException):
    """A step that can't be taken. The message says why, and what can."""


@contextmanager
def refusing() -> Iterator[None]:
    """Turns what may go wrong with a step into a message."""
    try:
        yield
    except (NotPossibleError, DamagedVersionError) as error:
        raise ImpossibleStep(str(error)) from error
    except StoreError as error:
        raise reading.Unusable(str(error)) from error
    except OSError as error:
        raise reading.Unusable(f"{error.filename or registry().folder}: {error.strerror or error}") from error


def newest() -> str:
    """Returns the version that was trained last."""
    trained = [name for name in registry().names() if not name.startswith(PRIOR)]
    if not trained:
        raise ImpossibleStep(
            "No trained network yet. `anchorline train` makes one; prior-1 is the one that ships."
        )
    return trained[-1]


def steps() -> Steps:
    """Returns what takes steps, under the settings in force."""
    store = reading.settings().config.store
    return Steps(registry(), database.locate(store.path) if store.enabled else None)


def check(version: str) -> None:
    """Refuses a version that could not decide. Raises DamagedVersionError."""
    policies.network(registry(), version)


def standing_now() -> Standing:
    """Returns what is in force. Raises DamagedVersionError."""
    return registry().standing()


def announce(taken: Steps, standing: Standing, words: str, as_json: bool) -> None:
    """Says what was done, or what is in force now."""
    if taken.problem is not None:
        click.echo(f"anchorline: not in the history: {taken.problem}", err=True)
    if as_json:
        trial = standing.trial
        shown = {
            "decides": standing.champion,
            "trial": msgspec.to_builtins(trial) if trial is not None else None,
            "promoted": [promotion.challenger for promotion in standing.promoted],
        }
        click.echo(msgspec.json.encode(shown).decode())
    else:
        click.echo(words)


def _report(experiment: str | None) -> "TrialReport":
    from anchorline.trial.evidence import collect  # noqa: PLC0415  (numpy: 0.1 s, which the other commands save)
    from anchorline.trial.summary import report as put_together  # noqa: PLC0415  (the same)

    config = reading.settings().config
    path = database.locate(config.store.path)
    targets = load_targets(config.files)
    with refusing():
        running = standing_now().contest
        contest: Contest | None = running
        if not path.exists():
            raise ImpossibleStep(f"No experiment yet. {reading.NOTHING_RECORDED}")
        with database.reading(path) as connection:
            if running is None or experiment not in (None, running.id):
                contest = experiments.latest(experiments.events(connection), experiment)
            if contest is None:
                raise ImpossibleStep(
                    f"there was no experiment {experiment!r}: `anchorline history` lists them"
                    if experiment
                    else "No experiment yet. `anchorline train` learns a network, "
                    "`anchorline experiment start` tries it."
                )
            over = running is None or running.id != contest.id
            ended = experiments.ended(experiments.events(connection), contest) if over else None
            requests = experiments.requests(connection, contest)
            shadowed = experiments.shadowed(connection, contest)
    try:
        version = registry().about(contest.challenger)
    except DamagedVersionError:
        version = None
    return put_together(
        contest,
        requests,
        collect(contest, requests, shadowed, targets),
        targets,
        ended=ended,
        version=version,
    )


def _show(report: "TrialReport") -> None:
    console = tables.console()
    click.echo(written.heading(report))
    shadowed = report.evidence.shadowed
    if shadowed.plans:
        click.echo(written.in_shadow(report))
    if any(side.requests for side in report.sides) and report.contest.stage != "shadow":
        table = tables.table("", *(f"{side.arm}\n{side.policy}" for side in report.sides))
        for name, shown in _MEASURES:
            table.add_row(name, *(shown(side) for side in report.sides))
        console.print(table)
        click.echo(f"Cost:       {written.difference(report.evidence.cost)}")
        click.echo(f"Acceptance: {written.difference(report.evidence.acceptance)}")
    if report.off_policy:
        click.echo("Had one policy decided everywhere:")
        table = tables.table("policy", "", "value", "95 % interval", "effective n")
        for estimate in report.off_policy:
            doubt = "" if estimate.believable else " (too few)"
            interval = f"{estimate.low:.1%} to {estimate.high:.1%}"
            table.add_row(
                estimate.policy,
                f"{estimate.measure}, {estimate.estimator}",
                f"{estimate.value:.1%}",
                interval,
                f"{estimate.effective:.0f}{doubt}",
            )
        console.print(table)
    click.echo(f"Verdict: {report.evidence.verdict.reason}.")


_MEASURES: "tuple[tuple[str, Callable[[Side], str]], ...]" = (
    ("sessions", lambda side: f"{side.sessions:,}"),
    ("requests", lambda side: f"{side.requests:,}"),
    ("billed", lambda side: written.dollars(side.usd)),
    ("of the uncached cost, by session", lambda side: written.share(side.cost)),
    ("accepted, by session", lambda side: written.share(side.accepted)),
    ("expected hits", lambda side: written.share(side.p_hit)),
    ("latency, median", lambda side: "-" if side.latency_ms is None else f"{side.latency_ms / 1000:.1f} s"),
)
