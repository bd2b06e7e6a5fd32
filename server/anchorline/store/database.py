"""The database file: where it is, who may read it, and how it is opened.

It is one SQLite file in WAL mode that several editors share. The file, its -wal and its -shm are the owner's
alone (0600): SQLite gives the two the mode of the first, so that one is made before SQLite sees it.
"""

import os
import shutil
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal, get_args
from urllib.parse import quote

import msgspec

from anchorline import files

if TYPE_CHECKING:
    from sqlite_utils import Database

FILE_NAME = "anchorline.db"
Subject = Literal["replay", "findings", "limits", "shares"]
NEVER = 9999
"""The number of a migration that has none, as only a newer Anchorline or another program may name them."""
SCHEMA = 11
"""Number of the newest migration that this program knows."""
BELIEFS = 7
"""The schema from which on plans have in columns what was to be expected of the cache."""
ANSWERS = 8
"""The schema from which on requests have the ids of their answers, and all that their price depends on."""
FACTS = 9
"""The schema from which on imported requests have their folder, branch, sub-agent and tools' results."""
TABLES = (
    "sessions",
    "segments",
    "requests",
    "plans",
    "outcomes",
    "additions",
    "feedback",
    "ledger",
    "texts",
    "imported",
    "imports",
    "places",
    "tool_results",
    "instructions",
    "replays",
    "features",
    "shadows",
    "policy_events",
    "limit_samples",
)
BUSY_S = 5.0
ROOM = 1 << 20
"""Bytes that a database takes before it says anything worth keeping; a disk with less is full."""
LEDGER_KEPT_S = 7 * 86_400
"""Expired ledger entries explain a miss for a week, then they go, and so does what was sent shorter."""
LOG_BYTES = 16 * 1024 * 1024
"""What the write-ahead log gives back above this: a migration may need one of the database's own size."""
OPEN_S = 30.0
"""How long opening waits for other programs before it gives up, seconds."""

_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "reading or writing it failed (is the disk full or failing?)",
    sqlite3.SQLITE_READONLY: "the file or its folder is read-only",
    sqlite3.SQLITE_PERM: "permission denied",
    sqlite3.SQLITE_CANTOPEN: "the file can't be opened (is its folder there and writable?)",
    sqlite3.SQLITE_BUSY: "another program keeps it locked",
    sqlite3.SQLITE_LOCKED: "another program keeps it locked",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is not a database",
}


class StoreError(Exception):
    """The database can't be used. The message names the file and says why, for the developer to read."""


class Identity(msgspec.Struct, frozen=True):
    """Which file a path led to when it was opened."""

    device: int
    inode: int


class Opened(msgspec.Struct, frozen=True):
    """A database open for writing. `notice` tells what the developer should know about the opening."""

    database: "Database"
    identity: Identity
    notice: str | None = None


def locate(setting: str = "") -> Path:
    """Returns the database's path: `setting`, else in ``ANCHORLINE_DATA_DIR``, else the platform's folder."""
    return Path(setting).expanduser() if setting else files.data_folder() / FILE_NAME


def members(path: Path) -> tuple[Path, ...]:
    """Returns the files that a database may consist of."""
    return (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm"))


def overview_file(path: Path) -> Path:
    """Returns where the overview is kept that was made of the database at `path`."""
    return path.parent / "overview.json"


def budget_warnings_file() -> Path:
    """Returns where editors note which level of a budget was warned of, so that no other one does it again."""
    return files.data_folder() / "budget-warnings.json"


def held_back_file() -> Path:
    """Returns where hooks note which conversations' prompts were held back, so that each is once."""
    return files.data_folder() / "hooks.held-back.json"


WORKED_OUT: tuple[Subject, ...] = get_args(Subject)
"""Subjects of which results are kept beside the database."""


def worked_out_file(path: Path, subject: Subject) -> Path:
    """Returns where results about a subject are kept that were worked out of the database at `path`."""
    return path.parent / f"{subject}.msgpack"


def damaged(path: Path) -> list[Path]:
    """Returns what was set aside of earlier, damaged databases, oldest first."""
    return sorted(path.parent.glob(f"{path.name}.damaged-*")) if path.parent.is_dir() else []


def code(error: sqlite3.Error) -> int:
    """Returns SQLite's primary result code of an error, or -1 where the module itself raised it."""
    extended = getattr(error, "sqlite_errorcode", None)
    return -1 if extended is None else extended & 0xFF


def explain(path: Path, error: Exception) -> str:
    """Returns one sentence part on what is wrong with the database at `path`."""
    if isinstance(error, StoreError):
        return str(error)
    if isinstance(error, sqlite3.Error):
        return f"{path}: {_REASONS.get(code(error), str(error))}"
    if isinstance(error, OSError):
        return f"{error.filename or path}: {error.strerror or error}"
    return f"{path}: {type(error).__name__}"


def is_busy(error: sqlite3.Error) -> bool:
    """Says whether waiting may help."""
    return code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_damage(error: sqlite3.Error) -> bool:
    """Says whether the file itself is broken."""
    return code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def identity(path: Path) -> Identity | None:
    """Returns which plain file `path` leads to, or None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return Identity(status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def protect(path: Path) -> None:
    """Makes folder and file, for the owner's eyes only.

    Folders that are made here, and the platform's own folder for Anchorline, are 0700. An existing folder
    that somebody chose is left as it is. An existing file is changed by name, never opened: closing a second
    handle would drop this process's own SQLite locks on it.
    """
    check_plain(path)
    if path.is_symlink() and not path.exists():
        target = path.readlink()
        raise StoreError(f"{path}: this is a link to {target}, which is not there (is its disk mounted?)")
    folder = path.parent
    files.make_folder(folder)
    if (
        os.name == "posix"
        and folder == files.platform_data_folder()
        and folder.stat().st_mode & 0o777 != 0o700
    ):
        folder.chmod(0o700)
    files.make_empty(path)
    if os.name == "posix":
        for file in members(path):
            with suppress(FileNotFoundError):
                if file.stat().st_mode & 0o077:
                    file.chmod(0o600)


def check_plain(path: Path) -> None:
    """Raises StoreError where a file of the database is a folder, a pipe or a device: SQLite would wait for a pipe."""
    for file in members(path):
        try:
            mode = file.stat().st_mode  # once: another connection may just remove its `-wal` and `-shm`
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(mode):
            raise StoreError(f"{file}: this is a folder, not a database file")
        if not stat.S_ISREG(mode):
            raise StoreError(f"{file}: this is a pipe or a device, not a database file")


def unwritable(path: Path) -> str | None:
    """Returns what will keep rows from being written, as far as that shows without writing; None where nothing does."""
    folder = next(parent for parent in (path.parent, *path.parent.parents) if parent.exists())
    if not folder.is_dir():
        return f"{folder}: this is no folder"
    for target in (folder, *(file for file in members(path) if file.exists())):
        if not os.access(target, os.W_OK):
            return f"{target}: it can't be written"
    if shutil.disk_usage(folder).free < ROOM:
        return f"{folder}: the disk is full"
    return None


def open_for_writing(path: Path) -> Opened:
    """Opens the database at `path`, created, migrated or replaced where needed.

    A damaged file is set aside under another name, and a new one is begun. Raises StoreError for one of a
    newer Anchorline or of another program, and where the file can't be opened or written.
    """
    notice = None
    deadline = time.monotonic() + OPEN_S
    while True:
        file_identity: Identity | None = None
        try:
            protect(path)
            with files.lock(_lock(path), OPEN_S):  # so that nobody sets the file aside meanwhile
                file_identity = identity(path)
                if file_identity is None:
                    if time.monotonic() > deadline:
                        raise StoreError(f"{path}: the file can't be made")
                    continue  # set aside by another program a moment ago
                return Opened(_connect(path), file_identity, notice)
        except sqlite3.Error as error:
            if is_damage(error) and file_identity is not None:
                notice = set_aside(path, file_identity) or notice
            elif not is_busy(error) or time.monotonic() > deadline:
                raise StoreError(explain(path, error)) from error
        except OSError as error:
            raise StoreError(explain(path, error)) from error


def _lock(path: Path) -> Path:
    return path.with_name(f"{path.name}-lock")


def set_aside(path: Path, damaged_identity: Identity) -> str | None:
    """Renames a damaged database; returns what to tell, or None when another program has already done it.

    Alone: between the renaming of the file and that of its log, another program would begin a new database, and
    its log would be taken for the damaged one's. Raises StoreError.
    """
    try:
        with files.lock(_lock(path), OPEN_S):
            return _set_aside(path) if identity(path) == damaged_identity else None
    except OSError as error:
        raise StoreError(explain(path, error)) from error


def _set_aside(path: Path) -> str:
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.damaged-{moment}")
    while aside.exists():
        aside = aside.with_name(aside.name + "-again")
    for file, name in zip(members(path), members(aside), strict=True):
        with suppress(FileNotFoundError):
            file.rename(name)
    return f"{path} was damaged. It is kept as {aside.name}, and a new database was begun."


def _connect(path: Path) -> "Database":
    from sqlite_utils import Database  # noqa: PLC0415  (a tenth of a second: only where rows are written)

    connection = sqlite3.connect(path, timeout=BUSY_S)
    try:
        db = Database(connection, execute_plugins=False)
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA secure_delete = ON")
        refuse_foreign(path, connection)
        refuse_newer(path, connection)
        db.enable_wal()
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        _migrate(db)
    except BaseException:
        connection.close()
        raise
    return db


def refuse_foreign(path: Path, connection: sqlite3.Connection) -> None:
    """Raises StoreError when the file belongs to another program.

    Its tables are read at once: between two reads another editor may make them all, and the file would look like
    somebody else's.
    """
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if names and read_schema(connection) is None:
        raise StoreError(
            f"{path}: this is another program's database. Name another file in store.path, or move this one away"
        )


def refuse_newer(path: Path, connection: sqlite3.Connection) -> None:
    """Raises StoreError when the file belongs to a newer Anchorline: it may be read, never written."""
    schema = read_schema(connection)
    if schema is not None and schema > SCHEMA:
        raise StoreError(
            f"{path}: a newer Anchorline wrote it (schema {schema}, this one knows {SCHEMA}), "
            "so it is only read here. Update Anchorline to record again"
        )


def knows_answers(connection: sqlite3.Connection) -> bool:
    """Says whether a database has what migration `ANSWERS` brings."""
    return (read_schema(connection) or 0) >= ANSWERS


def read_schema(connection: sqlite3.Connection) -> int | None:
    """Returns the number of the last migration applied, or None where there is none."""
    table = "SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'"
    if connection.execute(table).fetchone() is None:
        return None
    row = connection.execute(
        "SELECT max(name) FROM _sqlite_migrations WHERE migration_set = 'anchorline'"
    ).fetchone()
    if not row[0]:
        return None
    number = row[0][:4]
    return int(number) if number.isdecimal() else NEVER


def key(connection: sqlite3.Connection) -> bytes:
    """Returns the random key of a database that is open."""
    row = connection.execute("SELECT value FROM about WHERE name = 'key'").fetchone()
    return bytes.fromhex(row[0])


def tables(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Returns which of `TABLES` the file has: one of an earlier schema, that is only read, has fewer."""
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return tuple(table for table in TABLES if table in names)


def _migrate(db: "Database") -> None:
    from anchorline.store.migrations import migrations  # noqa: PLC0415  (imports sqlite_utils)

    if not migrations.pending(db):
        return
    with writing(db):  # two programs may start at once: the second waits, then finds nothing to do
        migrations.apply(db)
        db.execute("INSERT OR IGNORE INTO about (name, value) VALUES ('key', ?)", [os.urandom(16).hex()])
        db.execute("INSERT OR IGNORE INTO about (name, value) VALUES ('dropped', '0')")


@contextmanager
def writing(db: "Database") -> Iterator[None]:
    """Holds one transaction that takes the write lock first.

    `Database.atomic` begins a deferred one: after a read it can't wait for another program's write and fails
    with SQLITE_BUSY_SNAPSHOT at once. Inside this one `atomic` makes savepoints.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.commit()
    except BaseException:
        db.rollback()
        raise


def close(db: "Database") -> None:
    """Lets SQLite update its statistics, and closes."""
    with suppress(sqlite3.Error):  # it is only statistics, so it does not wait for others
        db.execute("PRAGMA busy_timeout = 100")
        db.execute("PRAGMA optimize")
    db.close()


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Holds a read-only connection to the database. Raises StoreError, also for another program's file."""
    with read_only(path) as connection:
        refuse_foreign(path, connection)
        yield connection


def read_only_uri(path: PurePath) -> str:
    """Returns the URI by which SQLite opens a file for reading only (https://sqlite.org/uri.html).

    `Path.as_uri` makes the server of a Windows share the URI's authority, which SQLite refuses.
    """
    return f"file:///{quote(path.as_posix().removeprefix('/'), safe='/:')}?mode=ro"


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Holds a read-only connection to a SQLite file, also in a read-only folder. Raises StoreError."""
    check_plain(path)
    uri = read_only_uri(path.absolute())
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S)
        try:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            connection.close()
            # A WAL database needs its -shm, which can't be made here. Without a -wal it is all in the file.
            unmakeable = code(error) in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
            if not unmakeable or members(path)[1].exists():
                raise
            connection = sqlite3.connect(f"{uri}&immutable=1", uri=True)
        with closing(connection):
            connection.row_factory = sqlite3.Row
            yield connection
    except sqlite3.Error as error:
        raise StoreError(explain(path, error)) from error
