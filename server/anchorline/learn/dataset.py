"""The dataset: decisions as Parquet, partitioned by month, for training and for other programs.

    FOLDER/month=2026-11/decisions.parquet   one row a decision; docs/explain/learning.md documents every column
    FOLDER/dataset.json                      version of the schema, and the moments between the parts of time

The moments between the parts of time are fixed when a dataset is first built, and kept. DuckDB, Polars and pandas read
it. Training does not need it, nor this module, which takes PyArrow: the extra `dataset`.
"""

import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from anchorline import files
from anchorline.learn import checkpoint
from anchorline.learn.features import DRAFT, MOMENT, RETURN, VERSION, Decision, Features
from anchorline.learn.splits import Cuts, by_name, by_time, cuts

SCHEMA = 2
"""Version of the columns: 1 also had the boundaries of a plan. Columns may be added without a new number."""
ABOUT, FILE = "dataset.json", "decisions.parquet"


class DatasetError(Exception):
    """A folder that holds no dataset, or can't be read or written; the message names it."""


class About(msgspec.Struct, frozen=True):
    """`dataset.json`. `features` is the version of the features, `moments` divides the time."""

    schema: int
    features: int
    moments: Cuts


def _numbers(names: Sequence[str]) -> pa.StructType:
    return pa.struct([(name, pa.float32()) for name in names])


_FIELDS = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
    pa.field("session", pa.string(), nullable=False),
    pa.field("user", pa.string(), nullable=False),
    pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("split_session", pa.string(), nullable=False),
    pa.field("split_user", pa.string(), nullable=False),
    pa.field("split_time", pa.string(), nullable=False),
    pa.field("features", pa.int32(), nullable=False),
    pa.field("grams", pa.list_(pa.int32()), nullable=False),
    pa.field("draft", _numbers(DRAFT)),
    pa.field("moment", _numbers(MOMENT)),
    pa.field("return", _numbers(RETURN)),
    pa.field("gap", pa.float64()),
    pa.field("gap_censored", pa.bool_(), nullable=False),
    pa.field("hit", pa.float32()),
    pa.field(
        "solve", pa.list_(pa.struct([("model", pa.string()), ("success", pa.float32())])), nullable=False
    ),
    pa.field("text", pa.string()),
]
COLUMNS = pa.schema(_FIELDS, metadata={"anchorline.schema": str(SCHEMA)})


def write(
    decisions: Iterable[Decision],
    folder: Path,
    *,
    moments: Cuts | None = None,
    texts: "dict[str, str] | None" = None,
) -> About:
    """Writes a dataset; the months that it has replace those that were there. Raises DatasetError.

    `moments` divide the time (None: those of the dataset in `folder`, else by `SHARES`). `texts` are drafts by
    decision, where they are to be written.
    """
    rows = sorted(decisions, key=lambda decision: decision.at)
    kept = about(folder)
    if moments is None:
        moments = kept.moments if kept is not None else cuts(decision.at for decision in rows)
    dataset = About(SCHEMA, VERSION, moments)
    months: dict[str, list[Decision]] = defaultdict(list)
    for decision in rows:
        months[datetime.fromtimestamp(decision.at, UTC).strftime("%Y-%m")].append(decision)
    try:
        if kept is None and _holds_others(folder):
            raise DatasetError(f"{folder}: is not empty and holds no dataset; name another folder")
        files.make_folder(folder)
        if kept is None:  # first: where this is ended in between, what is there is known to be a dataset
            files.write(folder / ABOUT, _encoded(dataset))
        for old in folder.glob("month=*"):
            if old.name.removeprefix("month=") not in months:
                shutil.rmtree(old)
        for month, month_rows in months.items():
            partition = folder / f"month={month}"
            files.make_folder(partition)
            _write_table(partition / FILE, _table(month_rows, moments, texts or {}))
        files.write(folder / ABOUT, _encoded(dataset))
    except OSError as error:
        raise DatasetError(f"{folder}: {error.strerror or error}") from error
    return dataset


def _holds_others(folder: Path) -> bool:
    """Returns whether a folder has files that are neither of a dataset nor of an unfinished training."""
    return folder.exists() and any(file.name != checkpoint.FILE for file in folder.iterdir())


def _encoded(about: About) -> bytes:
    return msgspec.json.format(msgspec.json.encode(about), indent=1)


def about(folder: Path) -> About | None:
    """Returns what a dataset says of itself; None where there is none. Raises DatasetError."""
    path = folder / ABOUT
    if not path.is_file():
        return None
    try:
        dataset = msgspec.json.decode(path.read_bytes(), type=About)
    except (OSError, msgspec.DecodeError) as error:
        raise DatasetError(f"{path}: {error}") from error
    if dataset.schema > SCHEMA:
        raise DatasetError(
            f"{path}: a newer Anchorline wrote it (schema {dataset.schema}, this one knows {SCHEMA})"
        )
    return dataset


def read(folder: Path) -> list[Decision]:
    """Returns a dataset's decisions that have the features of this version, in order of time. Raises DatasetError."""
    if about(folder) is None:
        raise DatasetError(f"{folder}: there is no dataset; `anchorline dataset build` makes one")
    decisions: list[Decision] = []
    for path in sorted(folder.glob(f"month=*/{FILE}")):
        try:
            table = pq.read_table(path, partitioning=None)
            if not table.schema.equals(COLUMNS):
                raise DatasetError(f"{path}: has other columns; `anchorline dataset build` makes it anew")
            decisions += (_decision(row) for row in table.to_pylist() if row["features"] == VERSION)
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{path}: {error}") from error
    return decisions


def _table(rows: Sequence[Decision], moments: Cuts, texts: dict[str, str]) -> pa.Table:
    columns: dict[str, list[Any]] = {
        "id": [decision.id for decision in rows],
        "source": [decision.source for decision in rows],
        "session": [decision.session for decision in rows],
        "user": [decision.user for decision in rows],
        "at": [datetime.fromtimestamp(decision.at, UTC) for decision in rows],
        "split_session": [by_name(decision.session) for decision in rows],
        "split_user": [by_name(decision.user) for decision in rows],
        "split_time": [by_time(decision.at, moments) for decision in rows],
        "features": [VERSION] * len(rows),
        "grams": [list(decision.features.grams) for decision in rows],
        "draft": [_named(DRAFT, decision.features.draft) for decision in rows],
        "moment": [_named(MOMENT, decision.features.moment) for decision in rows],
        "return": [_named(RETURN, decision.features.back) for decision in rows],
        "gap": [decision.gap for decision in rows],
        "gap_censored": [decision.censored for decision in rows],
        "hit": [decision.hit for decision in rows],
        "solve": [
            [{"model": name, "success": value} for name, value in decision.solve.items()] for decision in rows
        ],
        "text": [texts.get(decision.id) for decision in rows],
    }
    return pa.table(columns, schema=COLUMNS)


def _decision(row: dict[str, Any]) -> Decision:
    return Decision(
        id=row["id"],
        session=row["session"],
        user=row["user"],
        source=row["source"],
        at=row["at"].timestamp(),
        features=Features(
            tuple(row["grams"]), _values(row["draft"]), _values(row["moment"]), _values(row["return"])
        ),
        gap=row["gap"],
        censored=row["gap_censored"],
        hit=row["hit"],
        solve={outcome["model"]: outcome["success"] for outcome in row["solve"]},
    )


def _named(names: Sequence[str], values: tuple[float, ...] | None) -> dict[str, float] | None:
    return None if values is None else dict(zip(names, values, strict=True))


def _values(numbers: dict[str, float] | None) -> tuple[float, ...] | None:
    return None if numbers is None else tuple(numbers.values())


def _write_table(path: Path, table: pa.Table) -> None:
    with files.replacing(path) as part:
        pq.write_table(table, part, compression="zstd")
