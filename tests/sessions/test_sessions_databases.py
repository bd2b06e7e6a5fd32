"""Agents' SQLite databases are read beside the agent that writes them, unchanged, and whatever is in them."""

import os
import random
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from anchorline.prompt.model import PromptError
from anchorline.sessions import agent_database, importing, session_files
from support.agent_sessions import COUNTS, START, OpenCodeDatabase, opencode


def outputs(path: Path) -> tuple[list[int], list[str]]:
    part = importing.read(path, "opencode", None, START)
    assert part is not None
    return [request.output for request in part.requests], [problem.message for problem in part.problems]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(params=["log", "journal"])
def closed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database that no agent has open, in a folder of its own."""
    folder = tmp_path / "agent"
    folder.mkdir()
    return opencode(folder / "opencode.db", log=request.param == "log")


def test_a_database_that_nobody_has_open_is_left_as_it_is(closed: Path):
    before = files(closed.parent)
    assert outputs(closed) == ([50, 60, 70], [])
    assert files(closed.parent) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_in_a_folder_that_may_not_be_written_it_is_read(closed: Path):
    closed.parent.chmod(0o500)
    try:
        assert outputs(closed) == ([50, 60, 70], [])
    finally:
        closed.parent.chmod(0o700)


def test_what_the_agent_has_only_in_its_log_is_read_and_the_log_stays(tmp_path: Path):
    with closing(OpenCodeDatabase(tmp_path / "opencode.db")) as live:
        live.connection.execute("PRAGMA wal_autocheckpoint = 0")
        live.session()
        live.conversation()
        main, log = live.path.read_bytes(), live.path.with_name("opencode.db-wal").read_bytes()
        assert outputs(live.path) == ([50, 60, 70], [])
        assert live.path.read_bytes() == main
        assert live.path.with_name("opencode.db-wal").read_bytes() == log


def test_an_agent_in_the_middle_of_a_transaction_is_not_waited_for_or_in_the_way(tmp_path: Path):
    with closing(OpenCodeDatabase(tmp_path / "opencode.db")) as live:
        live.session()
        live.conversation()
        live.connection.execute("BEGIN IMMEDIATE")
        live.answer("ses_1", "msg_9", 21, (1, 5740, 9, 80))
        with agent_database.opened(live.path) as reading:
            assert reading.execute("SELECT count(*) FROM message").fetchone() == (4,)
            live.connection.execute("COMMIT")
            live.answer("ses_1", "msg_a", 22, (1, 5740, 9, 81))
            assert reading.execute("SELECT count(*) FROM message").fetchone() == (4,)  # of one moment
        assert outputs(live.path)[0] == [50, 60, 70, 80, 81]


def test_nothing_can_be_written(closed: Path):
    with agent_database.opened(closed) as reading, pytest.raises(sqlite3.OperationalError):
        reading.execute("DELETE FROM message")


def test_a_change_of_the_log_alone_is_seen(tmp_path: Path):
    with closing(OpenCodeDatabase(tmp_path / "opencode.db")) as live:
        live.session()
        before = session_files.stamp(live.path)
        assert session_files.stamp(live.path) == before
        live.ask("ses_1", "msg_1", 0)
        assert session_files.stamp(live.path) != before


def test_what_is_no_database_of_the_agent_is_refused(tmp_path: Path):
    path = tmp_path / "opencode.db"
    path.write_bytes(b"")
    assert outputs(path) == ([], ["no database of OpenCode: it has no sessions, messages and parts"])
    path.write_bytes(b"SQLite format 3\0" + bytes(4000))
    assert outputs(path)[0] == []
    assert "SQLite can't read it" in outputs(path)[1][0]
    os.mkfifo(tmp_path / "pipe.db")
    with pytest.raises(OSError, match="pipe"):
        outputs(tmp_path / "pipe.db")


def test_a_table_that_is_an_endless_view_is_refused(tmp_path: Path):
    path = opencode(tmp_path / "opencode.db")
    with closing(sqlite3.connect(path)) as made:
        made.executescript(
            """
            DROP TABLE message;
            CREATE VIEW message AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)
                SELECT id, 'ses_1' AS session_id, 1 AS time_created, 1 AS time_updated, '{}' AS data FROM n;
            """
        )
    assert outputs(path) == ([], ["no database of OpenCode: it has no sessions, messages and parts"])


def test_a_row_that_can_not_be_read_is_left_out_and_counted(tmp_path: Path):
    with closing(OpenCodeDatabase(tmp_path / "opencode.db")) as made:
        made.session()
        made.conversation()
        made.connection.execute("UPDATE message SET data = '[1, 2' WHERE id = 'msg_3'")
        made.connection.execute("UPDATE message SET data = x'00ff' WHERE id = 'msg_2'")
        made.connection.execute("UPDATE part SET time_created = 'soon' WHERE message_id = 'msg_4'")
    read, problems = outputs(tmp_path / "opencode.db")
    assert set(read) <= {counts[3] for counts in COUNTS}
    assert len(problems) == 1
    assert "can't be read" in problems[0]


def test_a_row_of_a_hundred_megabytes_is_refused(tmp_path: Path):
    with closing(OpenCodeDatabase(tmp_path / "opencode.db")) as made:
        made.session()
        made.conversation()
        made.connection.execute("UPDATE message SET data = zeroblob(100000000) WHERE id = 'msg_1'")
    part = importing.read(tmp_path / "opencode.db", "opencode", None, START)
    assert part is not None
    with pytest.raises(PromptError, match="SQLite can't read it"):
        list(part.requests)


@pytest.mark.parametrize("seed", range(40))
def test_damage_anywhere_is_a_problem_and_never_a_crash(seed: int, tmp_path: Path):
    path = opencode(tmp_path / "opencode.db")
    content = bytearray(path.read_bytes())
    chance = random.Random(seed)
    for _ in range(20):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path.write_bytes(content)
    part = importing.read(path, "opencode", None, START)
    assert part is not None
    with suppress(PromptError):
        assert len(list(part.requests)) <= len(COUNTS)
