"""The file: whose it is, what is in it, and what happens when it is not as it should be."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from anchorline import files
from anchorline.outcome import Outcome
from anchorline.store import database
from anchorline.store.migrations import migrations
from anchorline.store.reader import Reader
from anchorline.store.recorder import Recorder
from support import samples

FIXTURES = Path(__file__).parent / "fixtures"
posix = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "folder" / "anchorline.db"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def dump(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def load(path: Path, sql: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)


def test_the_setting_wins_over_the_environment_over_the_platform(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(tmp_path / "data"))
    assert database.locate(str(tmp_path / "mine.db")) == tmp_path / "mine.db"
    assert database.locate() == tmp_path / "data" / "anchorline.db"
    monkeypatch.delenv("ANCHORLINE_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    if sys.platform == "linux":
        assert database.locate() == tmp_path / "xdg" / "anchorline" / "anchorline.db"


@pytest.mark.process
@posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_owner_may_read(path: Path, umask: int) -> None:
    # In a process of its own: the umask belongs to the whole process.
    script = (
        "import os, sys, pathlib\n"
        f"os.umask({umask})\n"
        "from anchorline.store.recorder import Recorder\n"
        "from anchorline.outcome import Outcome\n"
        "recorder = Recorder(pathlib.Path(sys.argv[1]))\n"
        "recorder.outcome(Outcome('p')).result(60)\n"
        "for file in sorted(pathlib.Path(sys.argv[1]).parent.iterdir()):\n"
        "    print(file.name, oct(file.stat().st_mode & 0o777))\n"
        "recorder.close()\n"
    )
    listed = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True, timeout=120
    ).stdout.splitlines()
    names = ("anchorline.db", "anchorline.db-lock", "anchorline.db-shm", "anchorline.db-wal")
    assert listed == [f"{name} 0o600" for name in names]
    assert mode(path.parent) == mode(path.parent.parent) == 0o700


@posix
def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    load(path, (FIXTURES / "schema-0001.sql").read_text("utf-8"))
    path.chmod(0o644)
    database.close(database.open_for_writing(path).database)
    assert mode(path) == 0o600


@posix
def test_an_existing_folder_of_the_users_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    database.close(database.open_for_writing(folder / "mine.db").database)
    assert mode(folder) == 0o755
    assert mode(folder / "mine.db") == 0o600


def test_it_runs_in_wal_mode_with_foreign_keys(path: Path) -> None:
    db = database.open_for_writing(path).database
    try:
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "secure_delete")
        values = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in asked]
        assert values == ["wal", 1, 1, 5000, 1]
    finally:
        database.close(db)


def test_the_schema_is_the_released_one(path: Path) -> None:
    """A released migration is never edited; a new one comes with a fixture of its own."""
    database.close(database.open_for_writing(path).database)
    load(path.with_name("released.db"), (FIXTURES / f"schema-{database.SCHEMA:04}.sql").read_text("utf-8"))
    shape = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name"
    with (
        closing(sqlite3.connect(path)) as made,
        closing(sqlite3.connect(path.with_name("released.db"))) as released,
    ):
        assert made.execute(shape).fetchall() == released.execute(shape).fetchall()


def test_every_migration_is_counted_and_has_a_fixture(path: Path) -> None:
    db = database.open_for_writing(path).database
    try:
        names = [migration.name for migration in migrations.applied(db)]
    finally:
        database.close(db)
    assert [int(name[:4]) for name in names] == list(range(1, database.SCHEMA + 1))
    assert sorted(file.stem for file in FIXTURES.glob("schema-*.sql")) == [
        f"schema-{name[:4]}" for name in names
    ]


@pytest.mark.parametrize("fixture", sorted(FIXTURES.glob("schema-*.sql")), ids=lambda file: file.stem)
def test_a_released_database_is_upgraded_and_keeps_its_rows(path: Path, fixture: Path) -> None:
    load(path, fixture.read_text("utf-8"))
    recorder = Recorder(path)
    recorder.outcome(Outcome("released-plan", decision="rejected")).result(60)
    assert recorder.close()
    reader = Reader(path)
    status = reader.status()
    assert status.schema == database.SCHEMA
    assert status.problem is None
    assert status.counts["outcomes"] == 2
    assert status.counts["segments"] == 3
    plan = reader.last_plan()
    assert plan is not None
    assert (plan.id, plan.route.target, plan.policy.propensity) == ("released-plan", samples.MODEL, 0.25)
    assert reader.ledger(0.0)[0].tokens == 4000


def test_an_upgrade_tells_pings_from_requests_and_has_sessions_read_again(path: Path) -> None:
    load(path, (FIXTURES / "schema-0007.sql").read_text("utf-8"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO outcomes (plan, known, recorded_at, input_tokens, read_tokens, signals) "
            "VALUES ('released-plan', 1, 1790000300.0, 0, 4200, '{\"status\":200,\"keepalive\":2}')"
        )
    database.close(database.open_for_writing(path).database)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT ping FROM outcomes ORDER BY id").fetchall() == [(None,), (2,)]
        assert connection.execute("SELECT answer = id FROM imported").fetchall() == [(1,)]
        assert connection.execute("SELECT count(*) FROM imports").fetchone() == (0,)


def test_a_newer_database_is_read_and_not_written(path: Path) -> None:
    load(path, (FIXTURES / "schema-0001.sql").read_text("utf-8"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
            "VALUES ('anchorline', '0999_future', '2030-01-01')"
        )
    before = dump(path)
    problems: list[str] = []
    recorder = Recorder(path, on_problem=problems.append)
    failure = recorder.outcome(Outcome("p")).exception(60)
    recorder.close()
    assert isinstance(failure, database.StoreError)
    assert problems == [str(failure)]
    assert str(path) in problems[0]
    assert "newer" in problems[0]
    assert dump(path) == before
    status = Reader(path).status()
    assert status.schema == 999
    assert "newer" in (status.problem or "")
    assert status.counts["plans"] == 1
    assert Reader(path).last_plan() is not None


def test_another_programs_database_is_not_touched(path: Path) -> None:
    load(path, "CREATE TABLE photos (id INTEGER PRIMARY KEY)")
    before = dump(path)
    recorder = Recorder(path)
    assert "another program's" in str(recorder.outcome(Outcome("p")).exception(60))
    recorder.close()
    assert dump(path) == before


@pytest.mark.parametrize("statement", [1, 2, 3, 4])
def test_tables_that_another_editor_makes_meanwhile_are_ours(path: Path, statement: int) -> None:
    path.parent.mkdir(parents=True)
    started = 0

    def make_them(_sql: str) -> None:
        nonlocal started
        started += 1
        if started == statement:
            database.close(database.open_for_writing(path).database)

    with closing(sqlite3.connect(path)) as connection:
        connection.set_trace_callback(make_them)
        database.refuse_foreign(path, connection)
    database.close(database.open_for_writing(path).database)
    assert Reader(path).status().schema == database.SCHEMA


@pytest.mark.parametrize(
    "content",
    [b"this is no database at all, " * 100, b"SQLite format 3\x00" + b"\xff" * 4096],
    ids=["text", "broken"],
)
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    notices: list[str] = []
    problems: list[str] = []
    recorder = Recorder(path, on_problem=problems.append, on_notice=notices.append)
    recorder.outcome(Outcome("p")).result(60)
    assert recorder.close()
    (aside,) = database.damaged(path)
    assert aside.read_bytes() == content
    assert problems == []
    assert len(notices) == 1
    assert aside.name in notices[0]
    status = Reader(path).status()
    assert status.counts["outcomes"] == 1
    assert status.damaged == (str(aside),)


@pytest.mark.process
def test_a_database_damaged_while_it_is_open_is_set_aside(path: Path) -> None:
    notices: list[str] = []
    recorder = Recorder(path, on_notice=notices.append)
    recorder.outcome(Outcome("before")).result(60)
    # In another process: closing a handle here would drop this process's locks. A row is written so that the
    # recorder's connection reads the file anew.
    script = (
        "import pathlib, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1])\n"
        "connection.execute(\"UPDATE about SET value = '1' WHERE name = 'dropped'\")\n"
        "connection.commit()\n"
        "assert connection.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchone()[0] == 0\n"
        "connection.close()\n"
        "with open(sys.argv[1], 'r+b') as stream:\n"
        "    size = stream.seek(0, 2)\n"
        "    stream.seek(4096)\n"
        "    stream.write(b'\\xff' * (size - 4096))\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=120)
    recorder.outcome(Outcome("after")).result(60)
    assert recorder.close()
    assert database.damaged(path)
    assert len(notices) == 1
    assert Reader(path).status().counts["outcomes"] == 1


def test_a_file_deleted_while_it_is_open_is_made_again(path: Path) -> None:
    recorder = Recorder(path)
    recorder.outcome(Outcome("before")).result(60)
    for file in database.members(path):
        file.unlink(missing_ok=True)
    recorder.outcome(Outcome("after")).result(60)
    assert recorder.close()
    assert Reader(path).status().counts["outcomes"] == 1


def test_a_database_that_another_program_begins_is_not_set_aside_with_the_damaged_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database at all, " * 100)
    known = database.identity(path)
    assert known is not None
    begun: list[sqlite3.Connection] = []
    rename = Path.rename

    def begin_meanwhile(file: Path, target: Path) -> Path:
        moved = rename(file, target)
        if file == path:
            with suppress(database.StoreError):  # it would have to wait
                db = database.open_for_writing(path).database
                db.execute("UPDATE about SET value = '7' WHERE name = 'dropped'")
                db.conn.commit()
                begun.append(db.conn)
        return moved

    monkeypatch.setattr(Path, "rename", begin_meanwhile)
    monkeypatch.setattr(database, "OPEN_S", 0.1)
    assert database.set_aside(path, known)
    assert database.set_aside(path, known) is None
    for connection in begun:
        connection.close()
    database.close(database.open_for_writing(path).database)
    assert Reader(path).status().dropped == (7 if begun else 0)
    assert len(list(path.parent.glob("*damaged*"))) == 1


def test_a_damaged_file_that_can_t_be_set_aside_is_said_to_be_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database at all, " * 100)
    with files.lock(path.with_name(f"{path.name}-lock")):
        monkeypatch.setattr(database, "OPEN_S", 0.1)
        with pytest.raises(database.StoreError, match="another program keeps it locked"):
            database.open_for_writing(path)


def test_a_link_that_leads_nowhere_is_named_and_not_waited_for(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(path.parent / "missing" / "real.db")
    with pytest.raises(database.StoreError, match=r"real\.db, which is not there"):
        database.open_for_writing(path)
    assert path.is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-lock"])
def test_a_pipe_in_the_place_of_a_file_is_named_and_not_waited_for(path: Path, suffix: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pipe = path.with_name(path.name + suffix)
    os.mkfifo(pipe)
    read_or_write = (
        "from pathlib import Path; from anchorline.store import database, reader\n"
        f"path = Path({str(path)!r})\n"
        "print(reader.Reader(path).status().problem)\n"
        "try: database.open_for_writing(path)\n"
        "except database.StoreError as error: print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", read_or_write], check=True, capture_output=True, text=True, timeout=30
    )
    assert str(pipe) in said.stdout.splitlines()[-1]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        (PurePosixPath("/home/a b/x.db"), "file:///home/a%20b/x.db?mode=ro"),
        (PureWindowsPath(r"C:\Users\a b\x.db"), "file:///C:/Users/a%20b/x.db?mode=ro"),
        (PureWindowsPath(r"\\server\share\100%\x.db"), "file:////server/share/100%25/x.db?mode=ro"),
    ],
    ids=["posix", "windows", "windows-share"],
)
def test_the_address_of_a_database_has_no_authority(path: PurePath, uri: str):
    assert database.read_only_uri(path) == uri


def test_a_database_is_read_at_any_path(tmp_path: Path):
    path = tmp_path / "a #?%20&é.db"
    sqlite3.connect(path).close()
    with database.read_only(path) as connection:
        assert connection.execute("PRAGMA schema_version").fetchone()[0] == 0
