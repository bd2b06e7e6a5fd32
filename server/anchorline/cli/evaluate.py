"""`anchorline evaluate`: measures the network's heads and their baselines."""

import click
import msgspec

from anchorline.cli import progress, tables
from anchorline.cli.decisions import recorded
from anchorline.cli.train import skills
from anchorline.figures import count
from anchorline.learn.evaluation import Evaluation, Figure, evaluate
from anchorline.learn.heads import HEADS
from anchorline.learn.network import NetworkError, load
from anchorline.learn.splits import part
from anchorline.store.experiments import registry
from anchorline.trial.versions import DamagedVersionError

MEASURES = {
    "brier": "Brier score",
    "accuracy": "accuracy",
    "ece": "calibration error",
    "log_loss": "log loss",
    "auc": "AUC",
}
"""What is measured, by its name for programs; the first is what counts."""
CASES = {
    "network": "network",
    "rule": "today's rule",
    "marginal": "plain share",
    "logistic": "logistic regression",
    "knn": "nearest neighbours",
    "boosting": "boosted trees",
}


@click.command(name="evaluate")
@click.argument("version", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(version: str | None, as_json: bool) -> None:
    """Measure a trained network, VERSION (default: the newest), on sessions that it has not seen.

    Each of its predictions stands beside today's rule, the plain share of yes, and, where scikit-learn is installed,
    simple models of the same numbers. Lower is better for Brier score, log loss and calibration error, higher for
    accuracy and AUC. In brackets: 95 % intervals by bootstrap over sessions. A narrow terminal shows fewer measures.
    Exits with 1 when there is no version, or nothing to measure on.

    \b
    Example:
      anchorline evaluate --json
    """
    kept = registry()
    names = kept.names()
    if version is None and not names:
        raise click.ClickException("No trained network yet. `anchorline train` makes one.")
    name = version or names[-1]
    try:
        network = load(kept.verified(name))
    except (DamagedVersionError, NetworkError) as error:
        raise click.ClickException(str(error)) from error
    decisions = recorded()
    test = part(decisions, "test")
    if not test:
        raise click.ClickException("No session is left to measure on. Import more (`anchorline import`).")
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
        answers, sessions = count(rows[0].n), count(rows[0].sessions)
        title = (
            f"{HEADS[head].title.capitalize()}: {answers} answers in {sessions} sessions that it has not seen"
        )
        shown = []
        for case in dict.fromkeys(row.case for row in rows):
            by_metric = {row.metric: row for row in rows if row.case == case}
            shown.append((CASES[case], *(_figure(by_metric.get(metric)) for metric in MEASURES)))
        columns = ("", *MEASURES.values())
        console.print(tables.fitted(columns, shown, width=console.width, optional=columns[2:], title=title))
        console.print()
    for head, reason in evaluation.reasons.items():
        used = "would decide" if evaluation.heads[head] == "network" else "not used"
        click.echo(f"{name}, {HEADS[head].title}: {used}. {reason}")
    for note in evaluation.notes:
        click.echo(note, err=True)


def _figure(row: Figure | None) -> str:
    return "-" if row is None else f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"
