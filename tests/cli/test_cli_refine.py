"""`anchorline refine`: what is shown, what is applied, and what is recorded of it."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from anchorline.cli.main import cli
from anchorline.store import database
from support.grounded import FILE, PROMPT, shop

SPOILT = PROMPT.replace("every", "evry").replace("interval", "intervall")
NAME = "fix.prompt.md"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = shop(tmp_path / "shop").folder
    (folder / NAME).write_text(PROMPT + "\n", "utf-8")
    monkeypatch.chdir(folder)
    return folder


def refine(*words: str, given: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["refine", *words], input=given)


def decisions() -> list[tuple[str, str, str | None]]:
    """Return the additions of the newest plan: id, kind and decision."""
    with closing(sqlite3.connect(database.locate())) as connection:
        rows: list[tuple[str, str, str | None]] = connection.execute(
            "SELECT addition, kind, decision FROM additions WHERE shown_in = 'cli' AND plan = "
            "(SELECT id FROM plans ORDER BY created_at DESC LIMIT 1) ORDER BY addition"
        ).fetchall()
        return rows


def outcomes() -> list[str | None]:
    with closing(sqlite3.connect(database.locate())) as connection:
        return [row[0] for row in connection.execute("SELECT decision FROM outcomes ORDER BY id")]


def test_it_shows_additions_with_reasons_and_how_to_apply_them(work: Path) -> None:
    before = (work / NAME).read_bytes()
    done = refine(NAME)
    assert done.exit_code == 0
    assert f"  a1  Context: `{FILE}`  (" in done.stdout
    assert "matches “" in done.stdout
    assert f"Apply it: anchorline refine {NAME} --apply --add a1,a2   (or --add all)" in done.stdout
    assert (work / NAME).read_bytes() == before
    assert {decision for _, _, decision in decisions()} == {None}
    assert outcomes() == []


def test_what_is_named_is_added_and_the_rest_counts_as_rejected(work: Path) -> None:
    (work / NAME).chmod(0o640)
    done = refine(NAME, "--apply", "--add", "a1")
    assert (done.exit_code, done.stdout) == (0, "")
    assert (work / NAME).read_text("utf-8") == f"{PROMPT}\n\nContext: `{FILE}`\n"
    assert (work / NAME).stat().st_mode & 0o777 == 0o640
    first, *others = decisions()
    assert first == ("a1", "file", "accepted")
    assert others
    assert {decision for _, _, decision in others} == {"rejected"}
    assert outcomes() == [None]


def test_all_of_them_are_added_and_a_second_run_adds_nothing(work: Path) -> None:
    assert refine(NAME, "--apply", "--add", "all").exit_code == 0
    text = (work / NAME).read_text("utf-8")
    assert f"Context: `{FILE}`\n" in text
    assert "Check: `pytest tests/test_scheduler.py`\n" in text
    assert {decision for _, _, decision in decisions()} == {"accepted"}
    again = refine(NAME, "--apply", "--add", "all")
    assert (work / NAME).read_text("utf-8") == text
    assert again.exit_code == 1
    assert "Nothing was changed" in again.stderr


def test_the_wording_alone_leaves_the_additions_undecided(work: Path) -> None:
    (work / NAME).write_text("Please fix the scheduler: teh timezone of an interval is ignored.\n", "utf-8")
    done = refine(NAME)
    assert "-Please fix the scheduler: teh timezone" in done.stdout
    assert refine(NAME, "--apply").exit_code == 0
    text = (work / NAME).read_text("utf-8")
    assert "the timezone of an interval is ignored." in text
    assert "Context:" not in text
    assert outcomes() == ["accepted"]
    assert {decision for _, _, decision in decisions()} == {None}


@pytest.mark.usefixtures("work")
def test_a_pipe_gets_the_refined_prompt_and_nothing_else() -> None:
    done = refine("-", "--apply", "--add", "a1", given=PROMPT + "\n")
    assert done.stdout == f"{PROMPT}\n\nContext: `{FILE}`\n"
    unchanged = refine("-", "--apply", given=PROMPT)
    assert unchanged.stdout == PROMPT


def test_line_ends_and_marks_of_the_file_stay(work: Path) -> None:
    raw = b"\xef\xbb\xbf" + f"{PROMPT}\r\nIt began last week.\r\n".encode()
    (work / NAME).write_bytes(raw)
    assert refine(NAME, "--apply", "--add", "a1").exit_code == 0
    assert (work / NAME).read_bytes() == raw[:-2] + f"\r\n\r\nContext: `{FILE}`\r\n".encode()


def test_a_link_stays_a_link(work: Path) -> None:
    (work / "link.prompt.md").symlink_to(NAME)
    assert refine("link.prompt.md", "--apply", "--add", "a1").exit_code == 0
    assert (work / "link.prompt.md").is_symlink()
    assert f"Context: `{FILE}`" in (work / NAME).read_text("utf-8")


def test_an_unknown_addition_is_refused_and_nothing_is_written(work: Path) -> None:
    done = refine(NAME, "--apply", "--add", "a1,b7")
    assert done.exit_code == 2
    assert "no addition b7 (there are: a1, " in done.stderr
    assert (work / NAME).read_text("utf-8") == PROMPT + "\n"


@pytest.mark.usefixtures("work")
def test_json_has_the_whole_refinement() -> None:
    done = refine(NAME, "--json", "--add", "a1")
    answer = json.loads(done.stdout)
    assert answer["text"] == f"{PROMPT}\n\nContext: `{FILE}`\n"
    assert answer["refinement"]["additions"][0]["path"] == FILE
    with closing(sqlite3.connect(database.locate())) as connection:
        assert connection.execute("SELECT id FROM plans").fetchall() == [(answer["plan"],)]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_file_that_cannot_be_written_is_said(work: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anything")
    work.chmod(0o500)
    try:
        assert refine(NAME, "--apply", "--add", "a1").exit_code == 2
    finally:
        work.chmod(0o700)


@pytest.mark.usefixtures("work")
def test_without_an_index_the_wording_is_refined_all_the_same() -> None:
    done = refine("-", "--root", "/", given="Fix teh scheduler, it ignores teh timezone.")
    assert done.exit_code == 0
    assert "nothing is added: / is not indexed" in done.stderr
    assert "+Fix the scheduler" in done.stdout


def test_a_request_body_is_not_rewritten(work: Path) -> None:
    body = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": PROMPT}]}
    (work / "body.json").write_text(json.dumps(body), "utf-8")
    assert f"Context: `{FILE}`" in refine("body.json").stdout
    assert refine("body.json", "--apply", "--add", "a1").exit_code == 2
