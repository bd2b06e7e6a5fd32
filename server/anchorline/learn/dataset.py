"""The dataset: decisions as Parquet, partitioned by month, for training and for other programs.

    FOLDER/month=2026-11/decisions.parquet   one row a decision; docs/explain/learning.md documents every column
    FOLDER/dataset.json                      version of the schema, and the moments between the parts of time

Decisions are trained on, choose and calibrate, or judge (`PARTS`): by session, by user, and by time. A session or user
falls where the hash of its name does, so that it stays there in every later dataset; the moments between the parts of
time are fixed when a dataset is first built, and kept.

DuckDB, Polars and pandas read it. Import this module only where a dataset is read or written: pyarrow is heavy.
"""

import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from anchorline import files
from anchorline.learn.features import DRAFT, MOMENT, RETURN, VERSION, Decision, Features

Part = Literal["train", "held", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
SHARES = (0.7, 0.15)
"""Of train and held; the rest is test."""


class Cuts(msgspec.Struct, frozen=True):
    """Epoch seconds from which decisions are held out, and from which they test."""

    held: float
    test: float


def by_name(name: str) -> Part:
    """Returns the part of a session or user."""
    place = int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()) / 2**64
    return "train" if place < SHARES[0] else "held" if place < sum(SHARES) else "test"


def by_time(at: float, cuts: Cuts) -> Part:
    """Returns the part of a moment."""
    return "train" if at < cuts.held else "held" if at < cuts.test else "test"


def cuts(times: Iterable[float]) -> Cuts:
    """Returns the times that divide `times` by `SHARES`."""
    ordered = sorted(times)
    if not ordered:
        return Cuts(0.0, 0.0)
    places = (int(SHARES[0] * len(ordered)), int(sum(SHARES) * len(ordered)))
    held, test = (ordered[min(place, len(ordered) - 1)] for place in places)
    return Cuts(held, test)


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
    rows = sorted(decisions, key=lambda one: one.at)
    kept = about(folder)
    if moments is None:
        moments = kept.moments if kept is not None else cuts(one.at for one in rows)
    found = About(SCHEMA, VERSION, moments)
    months: dict[str, list[Decision]] = defaultdict(list)
    for one in rows:
        months[datetime.fromtimestamp(one.at, UTC).strftime("%Y-%m")].append(one)
    try:
        if folder.exists() and kept is None and any(folder.iterdir()):
            raise DatasetError(f"{folder}: is not empty and holds no dataset; name another folder")
        files.make_folder(folder)
        if kept is None:  # first: where this is ended in between, what is there is known to be a dataset
            files.write(folder / ABOUT, _told(found))
        for old in folder.glob("month=*"):
            if old.name.removeprefix("month=") not in months:
                shutil.rmtree(old)
        for month, some in months.items():
            place = folder / f"month={month}"
            files.make_folder(place)
            _write_table(place / FILE, _table(some, moments, texts or {}))
        files.write(folder / ABOUT, _told(found))
    except OSError as error:
        raise DatasetError(f"{folder}: {error.strerror or error}") from error
    return found


def _told(about: About) -> bytes:
    return msgspec.json.format(msgspec.json.encode(about), indent=1)


def about(folder: Path) -> About | None:
    """Returns what a dataset says of itself; None where there is none. Raises DatasetError."""
    path = folder / ABOUT
    if not path.is_file():
        return None
    try:
        found = msgspec.json.decode(path.read_bytes(), type=About)
    except (OSError, msgspec.DecodeError) as error:
        raise DatasetError(f"{path}: {error}") from error
    if found.schema > SCHEMA:
        raise DatasetError(
            f"{path}: a newer Anchorline wrote it (schema {found.schema}, this one knows {SCHEMA})"
        )
    return found


def read(folder: Path) -> list[Decision]:
    """Returns a dataset's decisions that have the features of this version, in order of time. Raises DatasetError."""
    if about(folder) is None:
        raise DatasetError(f"{folder}: there is no dataset; `anchorline dataset build` makes one")
    found: list[Decision] = []
    for path in sorted(folder.glob(f"month=*/{FILE}")):
        try:
            table = pq.read_table(path, partitioning=None)
            if not table.schema.equals(COLUMNS):
                raise DatasetError(f"{path}: has other columns; `anchorline dataset build` makes it anew")
            found += (_decision(row) for row in table.to_pylist() if row["features"] == VERSION)
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{path}: {error}") from error
    return found


def part(decisions: Iterable[Decision], wanted: Part) -> list[Decision]:
    """Returns the decisions whose sessions fall into a part."""
    return [one for one in decisions if by_name(one.session) == wanted]


def _table(rows: Sequence[Decision], moments: Cuts, texts: dict[str, str]) -> pa.Table:
    columns: dict[str, list[Any]] = {
        "id": [one.id for one in rows],
        "source": [one.source for one in rows],
        "session": [one.session for one in rows],
        "user": [one.user for one in rows],
        "at": [datetime.fromtimestamp(one.at, UTC) for one in rows],
        "split_session": [by_name(one.session) for one in rows],
        "split_user": [by_name(one.user) for one in rows],
        "split_time": [by_time(one.at, moments) for one in rows],
        "features": [VERSION] * len(rows),
        "grams": [list(one.features.grams) for one in rows],
        "draft": [_named(DRAFT, one.features.draft) for one in rows],
        "moment": [_named(MOMENT, one.features.moment) for one in rows],
        "return": [_named(RETURN, one.features.back) for one in rows],
        "gap": [one.gap for one in rows],
        "gap_censored": [one.censored for one in rows],
        "hit": [one.hit for one in rows],
        "solve": [[{"model": name, "success": value} for name, value in one.solve.items()] for one in rows],
        "text": [texts.get(one.id) for one in rows],
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
        solve={one["model"]: one["success"] for one in row["solve"]},
    )


def _named(names: Sequence[str], values: tuple[float, ...] | None) -> dict[str, float] | None:
    return None if values is None else dict(zip(names, values, strict=True))


def _values(numbers: dict[str, float] | None) -> tuple[float, ...] | None:
    return None if numbers is None else tuple(numbers.values())


def _write_table(path: Path, table: pa.Table) -> None:
    with files.replacing(path) as part:
        pq.write_table(table, part, compression="zstd")
