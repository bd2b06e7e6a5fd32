"""Which instruction files are recorded of an imported session, and that no text of them is."""

import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from support.session_logs import ClaudeLog

CANARY = "Quetzalcoatlus northropi"


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(folder))
    return folder


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.utime(file, (1, 1))


def session(folder: Path, cwd: str, *, turns: int = 2) -> Path:
    log = ClaudeLog(start=time.time() - 60)
    log.user("fix it", cwd=cwd)
    for turn in range(turns):
        log.answer(f"m{turn}", call=f"t{turn}", read=5000 * (turn + 1), cwd=cwd)
        log.result(f"t{turn}", cwd=cwd)
    path = folder / "s1.jsonl"
    path.write_bytes(log.bytes())
    return path


def run(*words: str) -> str:
    done = CliRunner().invoke(cli, list(words))
    assert done.exit_code == 0, done.output
    return done.output


def rows(home: Path) -> list[dict]:
    with closing(sqlite3.connect(home / "data" / "anchorline.db")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM instructions ORDER BY behind DESC")]


def test_all_files_on_the_way_to_the_folder_count_in_their_order(
    tmp_path: Path, isolated_home: Path, own: Path
):
    project = tmp_path / "a" / "b"
    write(own / "CLAUDE.md", "mine\n" * 300)
    write(tmp_path / "a" / "CLAUDE.md", "above\n" * 300)
    write(project / "CLAUDE.md", "here\n" * 300)
    write(project / "README.md", "not read")
    run("import", "claude-code", str(session(tmp_path, str(project), turns=3)))
    mine, above, here = rows(isolated_home)
    assert here["behind"] == 10_000  # what came after the first request, by the provider's count
    assert above["behind"] == here["behind"] + here["tokens"]
    assert mine["behind"] == above["behind"] + above["tokens"]
    assert {row["taken"] for row in (mine, above, here)} == {"resume"}


def test_a_longer_session_replaces_what_was_known_of_it(tmp_path: Path, isolated_home: Path):
    write(tmp_path / "p" / "CLAUDE.md", "a rule")
    for turns in (1, 4):
        run("import", "claude-code", str(session(tmp_path, str(tmp_path / "p"), turns=turns)))
    (row,) = rows(isolated_home)
    assert row["behind"] == 15_000


def test_no_text_and_no_path_is_kept_and_a_purge_takes_it_all(tmp_path: Path, isolated_home: Path):
    write(tmp_path / "p" / "CLAUDE.md", f"{CANARY}\nanother rule\n")
    run("import", "claude-code", str(session(tmp_path, str(tmp_path / "p"))))
    assert len(rows(isolated_home)) == 1
    written = b"".join(file.read_bytes() for file in (isolated_home / "data").iterdir())
    assert CANARY.encode() not in written
    assert b"CLAUDE" not in written
    run("store", "export", str(tmp_path / "out"))
    (row,) = (tmp_path / "out" / "instructions.jsonl").read_text().splitlines()
    assert "lines" not in json.loads(row)
    run("store", "purge", "--all", "--yes")
    assert rows(isolated_home) == []


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        lambda file: file.mkdir(),
        lambda file: file.symlink_to(file),
        lambda file: file.write_bytes(b"x" * 1_000_000),
        lambda file: file.write_bytes(b""),
    ],
    ids=["fifo", "folder", "loop", "large", "empty"],
)
def test_what_is_no_instruction_file_is_left_alone(
    tmp_path: Path, isolated_home: Path, make: Callable[[Path], None]
):
    (tmp_path / "p").mkdir()
    make(tmp_path / "p" / "CLAUDE.md")
    run("import", "claude-code", str(session(tmp_path, str(tmp_path / "p"))))
    assert rows(isolated_home) == []


@pytest.mark.parametrize("cwd", ["", "p", "/\0", "/" + "x" * 5000, "/" + "x/" * 5000])
def test_a_folder_that_can_not_be_is_nothing_to_fail_at(tmp_path: Path, isolated_home: Path, cwd: str):
    run("import", "claude-code", str(session(tmp_path, cwd)))
    assert rows(isolated_home) == []
