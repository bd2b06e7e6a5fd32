"""`anchorline experiment`: try a trained network against what decides now."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from anchorline import files
from anchorline.cli import reading, tables
from anchorline.cli.steps import AS_JSON, Refused, check, refusing, said, standing_now, steps
from anchorline.store.experiments import latest, registry
from anchorline.trial.experiment import SHARE, Contest

if TYPE_CHECKING:
    from anchorline.trial.evidence import Difference
    from anchorline.trial.report import Report, Side


@click.group(name="experiment")
def command() -> None:
    """Try a trained network: first in shadow, then on some of the sessions, with the outcomes compared.

    A running language server and gateway take part at once, without a restart.

    \b
    Example:
      anchorline experiment start r-20261126-101500-3f9a
    """


@command.command()
@click.argument("version")
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
def start(version: str, stage: str, share: float, as_json: bool) -> None:
    """Put VERSION on trial against what decides now.

    It is promoted once it costs less at no worse acceptance, and taken back once it costs more or less is accepted;
    `anchorline experiment report` shows how it stands. Exits with 1 when that can't be begun.

    \b
    Examples:
      anchorline experiment start prior-1
      anchorline experiment start r-20261126-101500-3f9a --stage ab --share 0.2
    """
    if not reading.settings().config.store.enabled:
        raise Refused("recording is off (store.enabled), and without outcomes there is nothing to compare")
    with refusing():
        check(version)
        taken = steps()
        standing = taken.start(version, "shadow" if stage == "shadow" else "ab", share)
    trial = standing.trial
    where = "in shadow: it changes nothing yet" if stage == "shadow" else f"in {share:.0%} of the sessions"
    said(taken, standing, f"{version} is on trial {where}. Experiment {trial.id if trial else ''}.", as_json)


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
    said(taken, standing, f"The experiment has ended; {standing.champion} decides.", as_json)


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
      anchorline experiment report e-20261126-101500-77d0 --json
    """
    found = _report(experiment)
    if html is not None:
        from anchorline.cli import experiment_page  # noqa: PLC0415  (only where a page is written)

        try:
            files.write(html, experiment_page.page(found))
        except OSError as error:
            raise reading.Unreadable(f"{html}: {error.strerror or error}") from error
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    _show(found)
    if html is not None:
        click.echo(f"Charts: {html}")


def _report(experiment: str | None) -> "Report":
    from anchorline.route.target import load as load_targets  # noqa: PLC0415
    from anchorline.store import database, experiments  # noqa: PLC0415
    from anchorline.trial.evidence import collect  # noqa: PLC0415
    from anchorline.trial.report import report as put_together  # noqa: PLC0415  (numpy)
    from anchorline.trial.versions import DamagedError  # noqa: PLC0415

    config = reading.settings().config
    path = database.locate(config.store.path)
    targets = load_targets(config.files)
    with refusing():
        running = standing_now().contest
        contest: Contest | None = running
        if not path.exists():
            raise Refused("nothing is recorded yet")
        with database.reading(path) as connection:
            if running is None or experiment not in (None, running.id):
                contest = latest(experiments.events(connection), experiment)
            if contest is None:
                raise Refused(
                    f"there was no experiment {experiment!r}: `anchorline history` lists them"
                    if experiment
                    else "nothing was tried yet: `anchorline experiment start VERSION` begins"
                )
            over = running is None or running.id != contest.id
            ended = experiments.ended(experiments.events(connection), contest) if over else None
            requests = experiments.requests(connection, contest)
            shadowed = experiments.shadowed(connection, contest)
    try:
        version = registry().about(contest.challenger)
    except DamagedError:
        version = None
    return put_together(
        contest,
        requests,
        collect(contest, requests, shadowed, targets),
        targets,
        ended=ended,
        version=version,
    )


def _show(found: "Report") -> None:

    console = tables.console()
    click.echo(heading(found))
    shadowed = found.evidence.shadowed
    if shadowed.plans:
        click.echo(in_shadow(found))
    if any(side.requests for side in found.sides) and found.contest.stage != "shadow":
        table = tables.table("", *(f"{side.arm}\n{side.policy}" for side in found.sides))
        for name, shown in _MEASURES:
            table.add_row(name, *(shown(side) for side in found.sides))
        console.print(table)
        click.echo(f"Cost:       {told(found.evidence.cost)}")
        click.echo(f"Acceptance: {told(found.evidence.acceptance)}")
    if found.off_policy:
        click.echo("Had one policy decided everywhere:")
        table = tables.table("policy", "", "value", "95 % interval", "effective n")
        for one in found.off_policy:
            doubt = "" if one.believable else " (too few)"
            interval = f"{one.low:.1%} to {one.high:.1%}"
            table.add_row(
                one.policy,
                f"{one.measure}, {one.estimator}",
                f"{one.value:.1%}",
                interval,
                f"{one.effective:.0f}{doubt}",
            )
        console.print(table)
    click.echo(f"Verdict: {found.evidence.verdict.reason}.")


def heading(found: "Report") -> str:
    """Return what is tried against what, in one line."""
    contest = found.contest
    stage = {
        "shadow": "in shadow",
        "ab": f"A/B, {contest.share:.0%}",
        "promoted": f"promoted, {contest.share:.0%}",
    }
    tried = f"{contest.challenger} against {contest.champion}, {stage[contest.stage]}"
    return f"{contest.id}: {tried}; {found.ended or 'running'}"


def in_shadow(found: "Report") -> str:
    """Return what the challenger decided in shadow, in one line."""
    one = found.evidence.shadowed
    return (
        f"In shadow: {one.plans:,} plans in {one.sessions:,} sessions, {one.failures} failed; the same model in "
        f"{one.same_model / one.plans:.0%}, the same anchors in {one.same_anchors / one.plans:.0%}; "
        f"{one.milliseconds:.2f} ms each"
    )


def told(found: "Difference") -> str:
    """Return a difference with its bounds, in words."""
    if not any(found.sessions):
        return "nothing is known"
    bounds = (
        f" ({found.low:+.1%} to {found.high:+.1%})" if found.enough else " (too few sessions for an interval)"
    )
    return f"{found.challenger:.1%} against {found.champion:.1%}: {found.value:+.1%}{bounds}"


def share(value: float | None) -> str:
    """Return a share in percent."""
    return "-" if value is None else f"{value:.1%}"


_MEASURES: "tuple[tuple[str, Callable[[Side], str]], ...]" = (
    ("sessions", lambda side: f"{side.sessions:,}"),
    ("requests", lambda side: f"{side.requests:,}"),
    ("billed", lambda side: "not known" if side.usd is None else f"${side.usd:,.2f}"),
    ("of the uncached cost, by session", lambda side: share(side.cost)),
    ("accepted, by session", lambda side: share(side.accepted)),
    ("expected hits", lambda side: share(side.p_hit)),
    ("latency, median", lambda side: "-" if side.latency_ms is None else f"{side.latency_ms / 1000:.1f} s"),
)
