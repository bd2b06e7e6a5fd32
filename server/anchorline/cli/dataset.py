"""`anchorline dataset`: builds, exports and describes the training data."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from anchorline import files
from anchorline.cli import reading, tables
from anchorline.cli.decisions import database, folder, recorded
from anchorline.cli.group import Group
from anchorline.figures import count
from anchorline.learn import dataset, splits
from anchorline.learn.features import VERSION, Decision
from anchorline.learn.heads import HEADS, RARER, Supply, missing, supply
from anchorline.store import decisions as stored

SOURCES = {
    "imported": "imported requests",
    "planned": "plans with an outcome",
    "answered": "as seen after the answer",
    "body": "as seen in a body alone",
}
"""What a row was made from."""
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


class DatasetSummary(msgspec.Struct, frozen=True):
    """What a dataset holds. `heads` are labels by head, `parts` decisions by part of the sessions."""

    folder: str
    schema: int
    features: int
    decisions: int
    sessions: int
    months: dict[str, int]
    sources: dict[str, int]
    parts: dict[str, int]
    held_from: str
    test_from: str
    heads: dict[str, Supply]
    missing: dict[str, str | None]
    seconds: float = 0.0


@click.group(name="dataset", cls=Group)
def command() -> None:
    """Look at what `anchorline train` learns from, and export it as Parquet (with the extra `dataset`).

    `train` builds what it needs by itself: this is for looking at your own history with other tools.

    One row for each imported request and each plan whose outcome is known. Without text: drafts are hashed.

    \b
    Example:
      anchorline import claude-code
      anchorline dataset build
    """


@command.command()
@_JSON
def build(as_json: bool) -> None:
    """Build the dataset from what is recorded, beside the database.

    Sessions stay in the part (train, held, test) that they are in. Exits with 1 when nothing is recorded.

    \b
    Example:
      anchorline dataset build
    """
    started = time.perf_counter()
    decisions = _built()
    _show(decisions, folder(), as_json=as_json, seconds=time.perf_counter() - started)


@command.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--text", is_flag=True, help="Also the drafts whose text is kept (store.text).")
@_JSON
def export(out: Path, text: bool, as_json: bool) -> None:
    """Write the dataset into the folder OUT, one Parquet file a month, for DuckDB, Polars or pandas.

    Without --text there is no text in it. Exits with 1 when nothing is recorded.

    \b
    Example:
      anchorline dataset export decisions.parquet
      duckdb -c "SELECT source, count(*) FROM 'decisions.parquet/*/*.parquet' GROUP BY ALL"
    """
    decisions = _built()
    if out.resolve() == folder().resolve():
        raise click.UsageError(f"{out} is the dataset itself; name another folder.")
    kept = dataset.about(folder())
    try:
        drafts = stored.texts(database()) if text else None
        dataset.write(decisions, out, moments=kept.moments if kept else None, texts=drafts)
    except dataset.DatasetError as error:
        raise reading.Unusable(str(error)) from error
    _show(decisions, out, as_json=as_json)


@command.command()
@_JSON
def describe(as_json: bool) -> None:
    """Say what the dataset holds by month, and whether it is enough to learn from.

    Exits with 1 when no dataset was built.

    \b
    Example:
      anchorline dataset describe --json
    """
    if not (folder() / dataset.ABOUT).is_file():
        raise click.ClickException("No dataset yet. `anchorline dataset build` makes one.")
    try:
        decisions = dataset.read(folder())
    except dataset.DatasetError as error:
        raise reading.Unusable(str(error)) from error
    _show(decisions, folder(), as_json=as_json)


def _built() -> list[Decision]:
    """Returns what is recorded, after building the dataset from it. Raises click's exceptions."""
    decisions = recorded()
    try:
        with files.lock(folder().with_name(f"{folder().name}-lock")):  # another program may build it as well
            dataset.write(decisions, folder())
    except dataset.DatasetError as error:
        raise reading.Unusable(str(error)) from error
    except OSError as error:
        raise reading.Unusable(f"{error.filename}: {error.strerror}") from error
    return decisions


def _show(decisions: Sequence[Decision], path: Path, *, as_json: bool, seconds: float = 0.0) -> None:
    summary = _summary(decisions, path, seconds)
    if as_json:
        click.echo(msgspec.json.encode(summary).decode())
        return

    console = tables.console()
    sources = ", ".join(
        f"{count(rows)} {SOURCES.get(source, source)}" for source, rows in summary.sources.items()
    )
    parts = summary.parts
    lines = [
        f"{count(summary.decisions)} rows of {count(summary.sessions)} sessions in {path} (schema {summary.schema}):",
        f"{sources}.",
        f"To learn from: {count(parts['train'])}. Held out: {count(parts['held'])}. To test: {count(parts['test'])}.",
        "By month: " + ", ".join(f"{month} {count(rows)}" for month, rows in summary.months.items()),
    ]
    for line in lines:
        console.print(line, soft_wrap=not console.is_terminal)
    rows = [
        (head.title, count(summary.heads[name].labels), f"{count(summary.heads[name].rare)} {RARER[name]}")
        for name, head in HEADS.items()
    ]
    console.print()
    columns = ("to be learnt", "examples", "of these")
    console.print(tables.fitted(columns, rows, width=console.width, numbers=("examples",)))
    for name, lacks in summary.missing.items():
        if lacks:
            console.print(f"{HEADS[name].title}: needs {lacks}.", soft_wrap=not console.is_terminal)


def _summary(decisions: Sequence[Decision], path: Path, seconds: float) -> DatasetSummary:
    about = dataset.about(path)
    cuts = about.moments if about is not None else splits.cuts(decision.at for decision in decisions)
    heads = supply(splits.part(decisions, "train"))
    parts = Counter(splits.by_name(decision.session) for decision in decisions)
    months = Counter(datetime.fromtimestamp(decision.at, UTC).strftime("%Y-%m") for decision in decisions)
    return DatasetSummary(
        folder=str(path),
        schema=dataset.SCHEMA,
        features=VERSION,
        decisions=len(decisions),
        sessions=len({decision.session for decision in decisions}),
        months=dict(sorted(months.items())),
        sources=dict(sorted(Counter(decision.source for decision in decisions).items())),
        parts={part: parts[part] for part in splits.SPLITS},
        held_from=_day(cuts.held),
        test_from=_day(cuts.test),
        heads=heads,
        missing={name: missing(head, heads[name]) for name, head in HEADS.items()},
        seconds=round(seconds, 3),
    )


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
