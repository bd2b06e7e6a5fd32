"""Facts of imported requests in the database: once for a fork, gone with a purge, exported without a path."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anchorline.cli.main import cli
from anchorline.store import database
from support.session_logs import ClaudeLog

WHERE = {"cwd": "/srv/shop", "gitBranch": "fix/cart"}
FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def path(isolated_home: Path) -> Path:
    return isolated_home / "data" / "anchorline.db"


def session(name: str = "s1") -> ClaudeLog:
    """Return a session that reads a file, commits, and goes on."""
    log = ClaudeLog(name)
    log.user("begin", **WHERE)
    log.answer("m1", "cat cart.py", call="t1", **WHERE)
    log.result("t1", "a line " * 50, **WHERE)
    log.answer("m2", "git commit -m x", call="t2", **WHERE)
    log.result("t2", **WHERE)
    log.answer("m3", **WHERE)
    return log


def run(*words: str) -> str:
    done = CliRunner().invoke(cli, list(words))
    assert done.exit_code == 0, done.output
    return done.output


def rows(path: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


RESULTS = "SELECT tool, length(target), kind, effect FROM tool_results ORDER BY effect"
PLACES = "SELECT project, places.branch, pr FROM imported JOIN places ON places.id = place"


def test_an_import_keeps_folder_branch_and_results(tmp_path: Path, path: Path):
    (tmp_path / "s1.jsonl").write_bytes(session().bytes())
    run("import", "claude-code", str(tmp_path))
    assert rows(path, PLACES) == [("/srv/shop", "fix/cart", "")] * 3
    assert rows(path, RESULTS) == [("Bash", 16, "text", None), ("Bash", None, "text", "commit")]
    assert rows(path, "SELECT commits, instruction_edits FROM session_facts") == [(1, 0)]


def test_a_fork_and_a_second_reading_count_once(tmp_path: Path, path: Path):
    file = tmp_path / "s1.jsonl"
    file.write_bytes(session().bytes())
    run("import", "claude-code", str(tmp_path))
    (tmp_path / "s2.jsonl").write_bytes(session().bytes())  # a copy
    file.write_bytes(file.read_bytes() + b"\n")
    run("import", "claude-code", str(tmp_path))
    assert len(rows(path, RESULTS)) == 2
    assert rows(path, "SELECT sum(commits) FROM session_facts") == [(1,)]


def test_without_names_no_name_is_kept(tmp_path: Path, path: Path, isolated_home: Path):
    (tmp_path / "s1.jsonl").write_bytes(session().bytes())
    (isolated_home / "anchorline.toml").write_text("[store]\nnames = false\n", "utf-8")
    run("import", "claude-code", str(tmp_path))
    assert rows(path, PLACES) == []
    assert len(rows(path, RESULTS)) == 2
    assert b"fix/cart" not in b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())


def test_an_export_has_hashes_and_a_purge_leaves_nothing(tmp_path: Path, path: Path):
    sessions = tmp_path / "sessions"
    sessions.mkdir()
    (sessions / "s1.jsonl").write_bytes(session().bytes())
    run("import", "claude-code", str(sessions))
    run("store", "export", str(tmp_path / "out"))
    exported = [
        json.loads(line) for line in (tmp_path / "out" / "tool_results.jsonl").read_text().splitlines()
    ]
    assert sorted((one["target"] or "")[:3] for one in exported) == ["", "b2:"]
    assert "cart.py" not in (tmp_path / "out" / "tool_results.jsonl").read_text()
    run("store", "purge", "--all", "--yes")
    assert rows(path, "SELECT (SELECT count(*) FROM places), (SELECT count(*) FROM tool_results)") == [(0, 0)]
    assert b"/srv/shop" not in b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())


def test_an_upgrade_has_sessions_read_once_more(tmp_path: Path, path: Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((FIXTURES / "schema-0008.sql").read_text("utf-8"))
    database.close(database.open_for_writing(path).database)
    assert rows(path, "SELECT count(*) FROM imports") == [(0,)]
    assert rows(path, "SELECT place, subagent FROM imported") == [(None, None)]


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(
        [
            "/srv/\ud800",
            "sed -n 1,99999999999999999999p a.py",
            "head -99999999999999999999 a.py",
            "sed -n 9,1p a.py",
        ]
    ),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
INPUTS = st.one_of(
    ODD,
    st.dictionaries(
        st.sampled_from(["file_path", "path", "offset", "limit", "command", "subagent_type", "prompt"]), ODD
    ),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    where=st.fixed_dictionaries({"cwd": ODD, "gitBranch": ODD, "attributionAgent": ODD}),
    link=st.fixed_dictionaries({"prNumber": ODD, "prRepository": ODD}),
    tool=ODD,
    inputs=INPUTS,
    failed=ODD,
)
def test_lines_of_any_form_are_imported(tmp_path: Path, path: Path, where, link, tool, inputs, failed):
    log = ClaudeLog("s1")
    log.user("begin", **where)
    log.answer("m1", "x", call="t1", **where)
    line = json.loads(log.lines.pop())
    line["message"]["content"][0] |= {"name": tool, "input": inputs}
    log.lines.append(json.dumps(line).encode() + b"\n")
    log.lines.append(json.dumps({"type": "pr-link", "sessionId": "s1"} | link).encode() + b"\n")
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "done", "is_error": failed}
    log.add("user", {"role": "user", "content": [result]}, **where)
    log.answer("m2", **where)
    folder = tmp_path / "odd"
    folder.mkdir(exist_ok=True)
    (folder / "s1.jsonl").write_bytes(log.bytes())
    for file in path.parent.glob("anchorline.db*"):
        file.unlink()
    summary = json.loads(run("import", "claude-code", str(folder), "--json"))
    assert (summary["requests"], summary["problems"]) == (2, [])
