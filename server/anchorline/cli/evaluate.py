"""`anchorline evaluate`: measures the network's heads and their baselines."""

import click
import msgspec

from anchorline.cli import progress, tables
from anchorline.cli.decisions import recorded
from anchorline.cli.train import skills
from anchorline.learn.evaluation import Evaluation, Figure, evaluate
from anchorline.learn.network import NetworkError, load
from anchorline.learn.splits import part
from anchorline.store.experiments import registry
from anchorline.trial.versions import DamagedVersionError

SHOWN = ("brier", "log_loss", "auc", "ece", "accuracy")


@click.command(name="evaluate")
@click.argument("version", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(version: str | None, as_json: bool) -> None:
    """Measure VERSION (default: the newest) on your held-out sessions, each head beside its baselines.

    rule: what decides without a network. marginal: the plain share. logistic, knn, boosting: simple models of the same
    numbers, where scikit-learn is installed. Intervals of 95 % by bootstrap over sessions. Exits with 1 when there is
    no version, or nothing to measure on.

    \b
    Example:
      anchorline evaluate --json
    """
    kept = registry()
    names = kept.names()
    if version is None and not names:
        raise click.ClickException(f"{kept.folder}: there is no network yet; `anchorline train` makes one")
    name = version or names[-1]
    try:
        network = load(kept.verified(name))
    except (DamagedVersionError, NetworkError) as error:
        raise click.ClickException(str(error)) from error
    decisions = recorded()
    test = part(decisions, "test")
    if not test:
        raise click.ClickException("no session is in the test part yet; import more sessions")
    with progress.share("Measuring", quiet=as_json) as show:
        evaluation = evaluate(
            network, part(decisions, "train"), test, skills=skills(), simple=True, progress=show
        )
    if as_json:
        shown = {"version": name, "used": network.description.heads, **msgspec.to_builtins(evaluation)}
        click.echo(msgspec.json.encode(shown).decode())
    else:
        _print(name, evaluation)


def _print(name: str, evaluation: Evaluation) -> None:
    console = tables.console()
    for head in dict.fromkeys(row.head for row in evaluation.rows):
        rows = [row for row in evaluation.rows if row.head == head]
        title = f"{head}: {rows[0].n} answers in {rows[0].sessions} held-out sessions"
        table = tables.table("", *SHOWN, title=title)
        for case in dict.fromkeys(row.case for row in rows):
            by_metric = {row.metric: row for row in rows if row.case == case}
            table.add_row(case, *(_figure(by_metric.get(metric)) for metric in SHOWN))
        console.print(table)
    for head, reason in evaluation.reasons.items():
        click.echo(f"{name} {head}: {evaluation.heads[head]}, {reason}")
    for note in evaluation.notes:
        click.echo(note, err=True)


def _figure(row: Figure | None) -> str:
    return "-" if row is None else f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"
