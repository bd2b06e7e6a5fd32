"""`anchorline import`: idempotent, resumable, and without text."""

import gzip
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import zstandard
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anchorline.cli.main import cli
from anchorline.sessions import importing, messages
from anchorline.store import imports
from anchorline.store.database import StoreError, locate
from support.session_logs import ClaudeLog, codex_log

CANARY = "Quetzalcoatlus northropi"


def run(*words: str, code: int = 0) -> dict:
    done = CliRunner().invoke(cli, ["import", *words, "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def database(home: Path) -> Path:
    return home / "data" / "anchorline.db"


def dump(path: Path) -> dict[str, list[tuple]]:
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
            for table in ("imported", "imports", "ledger", "features")
        }


def long_log(session: str, turns: int = 40) -> ClaudeLog:
    log = ClaudeLog(session)
    for turn in range(turns):
        log.user(f"{CANARY} {turn}")
        log.answer(f"{session}-{turn}", CANARY * 50)
    return log


def test_importing_again_changes_nothing(tmp_path: Path, isolated_home: Path):
    folder = tmp_path / "projects" / "p"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"s{number}.jsonl").write_bytes(long_log(f"s{number}").bytes())
    first = run("claude-code", str(folder.parent))
    assert (first["files"], first["requests"], first["unchanged"]) == (3, 120, 0)
    before = dump(database(isolated_home))
    again = run("claude-code", str(folder.parent))
    assert (again["requests"], again["unchanged"], again["bytes"]) == (0, 3, 0)
    assert dump(database(isolated_home)) == before
    for file in folder.iterdir():
        os.utime(file, (1, 1))  # they look changed, and are read again
    assert run("claude-code", str(folder.parent))["requests"] == 0
    assert dump(database(isolated_home))["imported"] == before["imported"]


def test_all_sample_transcripts_twice(data: Path, isolated_home: Path):
    first = [run(agent, str(data / "transcripts" / agent)) for agent in ("claude-code", "codex")]
    assert all(one["requests"] > 500 and one["problems"] == [] for one in first)
    before = dump(database(isolated_home))
    again = [run(agent, str(data / "transcripts" / agent)) for agent in ("claude-code", "codex")]
    assert [one["requests"] for one in again] == [0, 0]
    assert dump(database(isolated_home)) == before


def test_no_text_is_kept(tmp_path: Path, isolated_home: Path):
    path = tmp_path / "secret-project.jsonl"
    log = long_log("s1")
    log.answer("last", model=CANARY)
    path.write_bytes(log.bytes())
    codex = tmp_path / "c.jsonl"
    codex.write_bytes(codex_log().replace(b"question", CANARY.encode()))
    assert run("claude-code", str(path))["requests"] == 41
    assert run("codex", str(codex))["requests"] == 3
    written = b"".join(file.read_bytes() for file in database(isolated_home).parent.iterdir())
    assert CANARY.encode() not in written
    assert b"secret-project" not in written


def test_broken_lines_give_1_and_the_rest_is_there(tmp_path: Path):
    log = long_log("s1", 3)
    log.lines.insert(2, b"{broken\n")
    path = tmp_path / "s1.jsonl"
    path.write_bytes(log.bytes())
    summary = run("claude-code", str(path), code=1)
    assert summary["requests"] == 3
    assert [(one["file"], one["line"]) for one in summary["problems"]] == [(str(path), 3)]


def test_of_a_file_that_is_no_session_the_first_lines_are_named_and_the_others_counted(tmp_path: Path):
    path = tmp_path / "notes.jsonl"
    path.write_text("a note\n" * 5000)
    problems = run("codex", str(path), code=1)["problems"]
    assert [one["line"] for one in problems] == [*range(1, 11), 0]
    assert problems[-1]["message"] == "4990 more lines can't be read. Is it a session of Codex?"


def test_an_import_as_the_wrong_tools_is_made_good_by_the_right_one_and_undoes_nothing(
    tmp_path: Path, isolated_home: Path
):
    path = tmp_path / "s.jsonl"
    path.write_bytes(codex_log())
    assert run("claude-code", str(path))["requests"] == 0
    assert run("codex", str(path))["requests"] == 3
    before = dump(database(isolated_home))
    assert run("claude-code", str(path))["requests"] == 0
    assert dump(database(isolated_home)) == before
    assert run("codex", str(path))["unchanged"] == 1


def test_a_copied_request_counts_once_and_a_replaced_file_takes_its_rows_along(tmp_path: Path, isolated_home):
    log = long_log("s1", 3)
    (tmp_path / "a.jsonl").write_bytes(log.bytes())
    log.user("only in the fork")
    log.answer("fork")
    (tmp_path / "b.jsonl").write_bytes(log.bytes())
    assert run("claude-code", str(tmp_path))["requests"] == 4
    (tmp_path / "b.jsonl").write_bytes(long_log("s9", 2).bytes())
    run("claude-code", str(tmp_path))
    assert len(dump(database(isolated_home))["imported"]) == 5


@pytest.mark.parametrize("named", [True, False])
def test_a_forked_session_counts_what_it_repeats_once(tmp_path: Path, isolated_home: Path, named: bool):
    log = ClaudeLog("s1")
    for turn in range(3):
        log.user(f"turn {turn}")
        log.answer(
            "msg_relay" if not named else f"msg_{turn}", **({"requestId": f"req_{turn}"} if named else {})
        )
    (tmp_path / "s1.jsonl").write_bytes(log.bytes())
    assert run("claude-code", str(tmp_path))["requests"] == 3
    log.lines = [line.replace(b'"sessionId":"s1"', b'"sessionId":"s2"') for line in log.lines]
    log.session = "s2"
    log.user("only in the fork")
    log.answer("msg_relay" if not named else "msg_9")
    (tmp_path / "s2.jsonl").write_bytes(log.bytes())
    assert run("claude-code", str(tmp_path))["requests"] == 1


def test_what_an_earlier_version_has_imported_counts_once_with_its_fork(tmp_path: Path, isolated_home: Path):
    log = ClaudeLog("s1")
    for turn in range(3):
        log.user(f"turn {turn}")
        log.answer(f"msg_{turn}", requestId=f"req_{turn}")
    (tmp_path / "s1.jsonl").write_bytes(log.bytes())
    assert run("claude-code", str(tmp_path))["requests"] == 3
    with closing(sqlite3.connect(database(isolated_home))) as connection, connection:  # as it is upgraded
        connection.execute("UPDATE imported SET id = answer, request = NULL")
        connection.execute("DELETE FROM imports")
    (tmp_path / "s1.jsonl").rename(tmp_path / "forked.jsonl")
    assert run("claude-code", str(tmp_path))["requests"] == 0


def test_codex_archives_and_packs_a_session_without_its_counting_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = tmp_path / "codex"
    monkeypatch.setenv("CODEX_HOME", str(home))
    live, archived = home / "sessions/2026/11/20", home / "archived_sessions"
    live.mkdir(parents=True)
    for name in ("a", "b", "c"):
        (live / f"rollout-{name}.jsonl").write_bytes(codex_log(name))
    assert run("codex")["requests"] == 9
    archived.mkdir()
    (live / "rollout-a.jsonl").rename(archived / "rollout-a.jsonl")
    pack = zstandard.ZstdCompressor().compress
    (live / "rollout-b.jsonl.zst").write_bytes(pack((live / "rollout-b.jsonl").read_bytes()))
    assert run("codex")["files"] == 3  # it was just being packed
    (live / "rollout-b.jsonl").unlink()
    (archived / "rollout-d.jsonl.zst").write_bytes(pack(codex_log("d")))
    summary = run("codex")
    assert (summary["files"], summary["requests"], summary["problems"]) == (4, 3, [])


def test_a_missing_folder_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "none"))
    done = CliRunner().invoke(cli, ["import", "codex"])
    assert done.exit_code == 2
    assert str(tmp_path / "none") in done.stderr


@pytest.mark.process
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL is POSIX's")
def test_an_import_that_was_killed_goes_on(tmp_path: Path, isolated_home: Path):
    folder = tmp_path / "projects"
    folder.mkdir()
    for number in range(60):
        (folder / f"s{number:02}.jsonl").write_bytes(long_log(f"s{number:02}", 100).bytes())
    command = [sys.executable, "-m", "anchorline", "import", "claude-code", str(folder), "--json"]
    path = database(isolated_home)
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while started.poll() is None and not _begun(path):
        pass
    started.kill()
    assert started.wait(60) == -signal.SIGKILL
    partly = dump(path)
    assert 0 < len(partly["imports"]) < 60
    assert len(partly["imported"]) == 100 * len(partly["imports"])
    rest = run("claude-code", str(folder))
    assert rest["unchanged"] == len(partly["imports"])
    resumed = dump(path)
    shutil.rmtree(path.parent)
    run("claude-code", str(folder))
    assert dump(path) == resumed


@given(
    lines=st.lists(
        st.tuples(
            st.sampled_from(["user", "answer", "result", "compact", "agent", "switch"]), st.integers(0, 6)
        ),
        max_size=40,
    ),
    cuts=st.lists(st.integers(0, 40), max_size=3),
    part=st.integers(1, 5),
    crash=st.integers(0, 6),
    compressed=st.booleans(),
)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_books_are_the_same_in_any_parts_and_after_any_crash(
    lines, cuts, part, crash, compressed, isolated_home: Path
):
    now = time.time()
    log = _log_of(lines, now)
    home, path = isolated_home / "data", isolated_home / ("s.jsonl.gz" if compressed else "s.jsonl")
    pack = gzip.compress if compressed else bytes

    def books() -> dict[str, list[tuple]]:
        found = dump(database(isolated_home))
        positions = [row[:1] + row[3:] for row in found.pop("imports")]  # without the times
        return found | {"positions": [row[:-1] for row in positions]}

    shutil.rmtree(home, ignore_errors=True)
    path.write_bytes(pack(log.bytes()))
    os.utime(path, (now, now))
    run("claude-code", str(path))
    whole = books()
    shutil.rmtree(home)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imports, "PART", part)
        patch.setattr(messages, "BATCH", part)
        patch.setattr(importing, "STATE_BYTES", 0)
        for cut in sorted(cuts):
            path.write_bytes(pack(b"".join(log.lines[:cut])))
            os.utime(path, (now - 100 + cut, now - 100 + cut))
            run("claude-code", str(path))
        path.write_bytes(pack(log.bytes()))
        os.utime(path, (now, now))
        with pytest.MonkeyPatch.context() as crashing:
            written = imports._put_requests
            left = iter(range(crash))

            def put_or_crash(*given, **more) -> None:
                if next(left, None) is None:
                    raise StoreError("the power went")
                written(*given, **more)

            crashing.setattr(imports, "_put_requests", put_or_crash)
            CliRunner().invoke(cli, ["import", "claude-code", str(path)])
        run("claude-code", str(path))
        parts = books()
    assert parts == whole


def _log_of(lines: list[tuple[str, int]], now: float) -> ClaudeLog:
    log = ClaudeLog(start=now - 100)
    ids = []
    for number, (kind, back) in enumerate(lines):
        if kind == "switch" and ids:  # another branch
            log.newest = ids[max(0, len(ids) - 1 - back)]
        elif kind == "answer":
            ids.append(log.answer(f"m{number}", read=back * 1000))
        elif kind == "agent":
            log.user("Look for it.", isSidechain=True, agentId=f"a{back}")
            log.answer(f"m{number}", isSidechain=True, agentId=f"a{back}")
        elif kind == "result":
            ids.append(log.result(f"t{number}"))
        elif kind == "compact":
            ids.append(log.user("All that was said.", isCompactSummary=True))
        else:
            ids.append(log.user(f"Do {number}."))
    return log


def _begun(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT count(*) FROM imports").fetchone()[0] > 3
    except sqlite3.OperationalError:
        return False


def test_nothing_is_kept_to_learn_from_where_that_is_off(tmp_path: Path, isolated_home: Path):
    (isolated_home / "anchorline.toml").write_text("[store]\nfeatures = false\n")
    (tmp_path / "s.jsonl").write_bytes(long_log("s", 3).bytes())
    run("claude-code", str(tmp_path / "s.jsonl"))
    assert len(dump(database(isolated_home))["imported"]) == 3
    assert dump(database(isolated_home))["features"] == []


def test_two_imports_at_once_are_one_after_the_other(isolated_home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(imports, "WAIT_S", 0.1)
    with imports.opened(locate()):
        late = imports.opened(locate())
        with pytest.raises(StoreError, match="another import is under way"):
            late.__enter__()
    with imports.opened(locate()) as store:
        assert store.position(Path("a"), "codex") is None
