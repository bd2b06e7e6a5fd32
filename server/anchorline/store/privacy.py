"""Keeps of a plan what the settings allow, and removes what was kept.

Prompt text stands in one table, `texts`, and only where `store.text` asks for it. Every other table holds
hashes, lengths, kinds, names of models, and numbers. `strip` makes it so by form: it keeps the fields that
can hold nothing else and empties the rest, whatever a later planner may write into its reasons.
"""

import re
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from anchorline import files, redact
from anchorline.config import TextMode
from anchorline.plan import Plan, Refinement
from anchorline.store import database, tags
from anchorline.store.database import StoreError
from anchorline.trial.versions import FOLDER, Registry

if TYPE_CHECKING:
    from sqlite_utils import Database

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}\Z")
_STAGE = re.compile(r"[a-z][a-z0-9_.]{0,31}\Z")
_POINTER = re.compile(r"(?:#\d{1,9}|(?:/(?:tools|system|messages|input|content|\d{1,9}))*)\Z")
_HASH = re.compile(r"(?:b2:|[a-z0-9]{2,8}:)?[0-9a-f]{8,128}\Z")
_CODE = re.compile(r"AL\d{3}\Z")
_TTL = re.compile(r"\d{1,6}[smhd]?\Z|auto\Z")
_FAILURE = re.compile(r"[A-Za-z_]{1,48}(?:Error|Exception|Timeout)\b")


def name(text: str) -> str:
    """Returns `text` where it has the form of a name (of a model, an engine), else nothing."""
    return text if _NAME.match(text) and not redact.find(text) else ""


def plan_id(text: str) -> str:
    """Returns `text` where it has the form of a plan's id, else a hash of it."""
    return text if _ID.match(text) and not redact.find(text) else tags.tag(text)


def session(text: str) -> str:
    """Returns the hash that stands for a session: its own name may be a path."""
    return text if text.startswith("b2:") and _HASH.match(text) else tags.tag(text)


def _fits(form: re.Pattern[str], text: str) -> str:
    return text if form.match(text) else ""


def _hash(text: str) -> str:
    return text if _HASH.match(text) else tags.tag(text)


def strip(plan: Plan) -> Plan:
    """Returns `plan` without anything that could quote a prompt. Stripping twice changes nothing more.

    Numbers, positions, codes and statuses stay, and so do names of models and providers. Emptied: the refined
    text, the text and reason of each edit, messages of hints, questions, and all reasons. Of a failure only
    the type of the error stays; the session becomes a hash.
    """
    replace = msgspec.structs.replace
    cache, route = plan.cache, plan.route
    failure = _FAILURE.match(plan.failure) if plan.failure else None
    return replace(
        plan,
        id=plan_id(plan.id),
        format=name(plan.format),
        draft_hash=_hash(plan.draft_hash) if plan.draft_hash is not None else None,
        prompt_hash=_hash(plan.prompt_hash),
        session=session(plan.session) if plan.session is not None else None,
        policy=replace(
            plan.policy,
            name=name(plan.policy.name),
            version=name(plan.policy.version),
            arm=name(plan.policy.arm),
            experiment=None if plan.policy.experiment is None else name(plan.policy.experiment),
            reason="",
        ),
        refinement=_strip_refinement(plan.refinement),
        trims=tuple(replace(trim, pointer=_fits(_POINTER, trim.pointer), reason="") for trim in plan.trims),
        cache=replace(
            cache,
            provider=name(cache.provider),
            anchors=tuple(
                replace(
                    anchor, pointer=_fits(_POINTER, anchor.pointer), ttl=_fits(_TTL, anchor.ttl), reason=""
                )
                for anchor in cache.anchors
            ),
            keepalive=replace(cache.keepalive, reason="") if cache.keepalive else None,
            miss_reasons=tuple(replace(miss, text="") for miss in cache.miss_reasons),
            reason="",
        ),
        route=replace(
            route,
            target=name(route.target),
            tier=name(route.tier),
            alternatives=tuple(
                replace(
                    option,
                    target=name(option.target),
                    tier=name(option.tier),
                    excluded=None if option.excluded is None else "",
                )
                for option in route.alternatives
            ),
            reason="",
        ),
        timing={stage: value for stage, value in plan.timing.items() if _STAGE.match(stage)},
        instructions=None
        if plan.instructions is None
        else replace(plan.instructions, model=name(plan.instructions.model)),
        failure=None if plan.failure is None else failure[0] if failure else "failed",
    )


def _strip_refinement(refinement: Refinement) -> Refinement:
    replace = msgspec.structs.replace
    return replace(
        refinement,
        reason="",
        text=None,
        edits=tuple(replace(edit, text="", reason="") for edit in refinement.edits),
        hints=tuple(replace(hint, code=_fits(_CODE, hint.code), message="") for hint in refinement.hints),
        questions=tuple(replace(question, slot="", text="") for question in refinement.questions),
        engine=name(refinement.engine),
    )


def texts(plan: Plan, draft: str | None, mode: TextMode) -> dict[str, str]:
    """Returns what `texts` keeps of a plan by kind: nothing, or draft, refined draft and the whole plan."""
    if mode == "off":
        return {}
    kept = {} if draft is None else {"draft": masked(draft, mode)}
    if plan.refinement.text is not None:
        kept["refined"] = masked(plan.refinement.text, mode)
    whole = msgspec.to_builtins(plan)
    kept["plan"] = msgspec.json.encode(_mask_all(whole, mode)).decode()
    return kept


def masked(text: str, mode: TextMode) -> str:
    """Returns `text` as `mode` keeps it, always valid UTF-8."""
    valid = text.encode("utf-8", "replace").decode()
    return valid if mode == "full" else redact.redact(valid)


def _mask_all(value: object, mode: TextMode) -> object:
    if isinstance(value, str):
        return masked(value, mode)
    if isinstance(value, dict):
        return {masked(key, mode): _mask_all(item, mode) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mask_all(item, mode) for item in value]
    return value


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
    dataset, dashboard and overview, which were built from the database. Rows are overwritten with zeros, the file is
    rebuilt, the write-ahead log emptied. Other editors may go on: they wait. Databases that were set aside as damaged
    are removed where all in them is old enough. Raises StoreError when another program keeps the log in use, or a
    file can't be written.
    """
    if not path.exists():
        derived, versions = _purge_derived(path), _purge_versions(before)
        gone, left = _purge_damaged(path, before)
        return Purged({}, (*derived, *gone), left, versions)
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
    return Purged(rows, (*derived, *gone), left, versions)


def dataset_folder(path: Path) -> Path:
    """Returns where the dataset is that is built from the database at `path`."""
    return path.parent / "dataset"


def dashboard_file() -> Path:
    """Returns where the dashboard is that the language server writes."""
    return files.data_folder() / "report.html"


def _purge_derived(path: Path) -> tuple[str, ...]:
    """Removes dataset, unfinished training, dashboard and overview: all can be made again from what is left."""
    folder, dashboard = dataset_folder(path), dashboard_file()
    removed = []
    try:
        built = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != DATASET_ABOUT]
        unfinished = dashboard.parent.glob(f".{dashboard.name}.*")
        for file in (*built, dashboard, *unfinished, database.overview_file(path)):
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
