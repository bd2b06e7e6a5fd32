"""Removes what was recorded, and all that was made of it, from every byte on disk."""

import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from anchorline import files
from anchorline.index import location
from anchorline.store import database
from anchorline.store.database import StoreError
from anchorline.trial.versions import FOLDER, Registry

if TYPE_CHECKING:
    from sqlite_utils import Database

DATASET_ABOUT = "dataset.json"
"""Holds when the parts of time begin, and stays: it says nothing of anybody."""


class Purged(msgspec.Struct, frozen=True):
    """What a purge removed: rows by table, files of damaged databases, and versions of the network.

    `left` files were too new.
    """

    rows: dict[str, int]
    files: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()


def purge(path: Path, before: float | None = None) -> Purged:
    """Removes what was recorded before the epoch second `before`, or everything, from every byte on disk.

    Networks that were trained on any of it go as well; what they decided falls back to what was there before. So do
    dataset, dashboard and overview, which were built from the database. With everything the indexes of workspaces go.
    Rows are overwritten with zeros, the file is rebuilt, the write-ahead log emptied. Other editors may go on: they
    wait. Databases that were set aside as damaged are removed where all in them is old enough. Raises StoreError when
    another program keeps the log in use, or a file can't be written.
    """
    indexes = location.remove_all() if before is None else ()
    if not path.exists():
        derived, versions = _purge_derived(path), _purge_versions(before)
        gone, left = _purge_damaged(path, before)
        return Purged({}, (*derived, *indexes, *gone), left, versions)
    opened = database.open_for_writing(path)
    try:
        db = opened.database
        db.execute("PRAGMA temp_store = MEMORY")  # VACUUM's copy must not pass through a temporary file
        rows = _delete(db, before)
        # After the rows: what is made of them meanwhile goes as well.
        derived, versions = _purge_derived(path), _purge_versions(before)
        if before is not None:
            _note(db, versions)
        _rebuild(path, db)
    except sqlite3.Error as error:
        raise StoreError(database.explain(path, error)) from error
    finally:
        database.close(opened.database)
    gone, left = _purge_damaged(path, before)
    return Purged(rows, (*derived, *indexes, *gone), left, versions)


def dataset_folder(path: Path) -> Path:
    """Returns where the dataset is that is built from the database at `path`."""
    return path.parent / "dataset"


def dashboard_file() -> Path:
    """Returns where the dashboard is that the language server writes."""
    return files.data_folder() / "report.html"


def _purge_derived(path: Path) -> tuple[str, ...]:
    """Removes dataset, unfinished training, dashboard and what was worked out: what is left makes all of it again.

    What was said of conversations and budgets goes too: it may be said once more.
    """
    folder, dashboard = dataset_folder(path), dashboard_file()
    removed = []
    try:
        built = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != DATASET_ABOUT]
        unfinished = dashboard.parent.glob(f".{dashboard.name}.*")
        worked_out = (database.worked_out_file(path, subject) for subject in database.WORKED_OUT)
        kept = (database.overview_file(path), *worked_out)
        said = (database.budget_warnings_file(), database.held_back_file())
        for file in (*built, dashboard, *unfinished, *kept, *said):
            with suppress(FileNotFoundError):  # another purge may be faster
                file.unlink()
                removed.append(str(file))
    except OSError as error:
        raise StoreError(database.explain(folder, error)) from error
    return tuple(removed)


def _purge_versions(before: float | None) -> tuple[str, ...]:
    registry = Registry(files.data_folder() / FOLDER)
    try:
        return registry.purge(float("inf") if before is None else before)
    except OSError as error:
        raise StoreError(database.explain(registry.folder, error)) from error


def _note(db: "Database", gone: tuple[str, ...]) -> None:
    """Writes into the history which versions are gone: what is left of it goes on from there."""
    with database.writing(db):
        for version in gone:
            db.execute(
                "INSERT INTO policy_events (at, event, version, instead_of, by, reason) "
                "VALUES (?, 'removed', ?, '-', 'purge', 'what it was trained on was purged')",
                [time.time(), version],
            )


def _delete(db: "Database", before: float | None) -> dict[str, int]:
    limit = float("inf") if before is None else before
    old_plans = "SELECT id FROM plans WHERE created_at < :limit"
    conditions = {
        "texts": f"created_at < :limit OR plan IN ({old_plans})",
        "outcomes": f"recorded_at < :limit OR plan IN ({old_plans})",
        "additions": f"shown_at < :limit OR decided_at < :limit OR plan IN ({old_plans})",
        "feedback": f"recorded_at < :limit OR plan IN ({old_plans})",
        "requests": f"at < :limit OR plan IN ({old_plans})",
        "features": f"at < :limit OR id IN ({old_plans})",
        "plans": "created_at < :limit",
        "ledger": "written_at < :limit",
        "instructions": "written_at < :limit",
        "replays": "sent_at < :limit",
        "shadows": f"created_at < :limit OR plan IN ({old_plans})",
        "policy_events": "at < :limit",
        "sessions": "last_at < :limit",
        "limit_samples": "at < :limit",
        "imported": "sent_at < :limit",
        "imports": "mtime_ns < :limit * 1e9",
        "tool_results": "request NOT IN (SELECT id FROM imported)",
        "places": "id NOT IN (SELECT place FROM imported WHERE place IS NOT NULL)",
        "segments": "hash NOT IN (WITH RECURSIVE held(hash) AS (SELECT last_segment FROM requests "
        "WHERE last_segment IS NOT NULL UNION SELECT parent FROM segments JOIN held USING (hash) "
        "WHERE parent IS NOT NULL) SELECT hash FROM held)",
    }
    rows: dict[str, int] = {}
    with database.writing(db):
        for table, condition in conditions.items():
            statement = f"DELETE FROM {table} WHERE {condition}"  # noqa: S608  (names and conditions above)
            values = {"limit": limit} if ":limit" in condition else {}
            rows[table] = db.execute(statement, values).rowcount
        if before is None:
            db.execute("UPDATE about SET value = '0' WHERE name = 'dropped'")
    return rows


def _rebuild(path: Path, db: "Database") -> None:
    deadline = time.monotonic() + database.OPEN_S
    while True:
        try:
            db.vacuum()
            busy = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.OperationalError as error:
            if not database.is_busy(error):
                raise
            busy = 1
        if not busy:
            return
        if time.monotonic() > deadline:
            raise StoreError(
                f"{path}: the rows are deleted, but another program keeps old pages in use. "
                "Close other editors and purge again"
            )


def _purge_damaged(path: Path, before: float | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    gone: list[str] = []
    left: list[str] = []
    for file in database.damaged(path):
        with suppress(FileNotFoundError):  # another purge may be faster
            if before is None or file.stat().st_mtime < before:
                file.unlink()
                gone.append(str(file))
            else:
                left.append(str(file))
    return tuple(gone), tuple(left)
