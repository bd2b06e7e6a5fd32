"""`anchorline ground`: where a prompt is, for scripts, from an index that is made once."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from anchorline.cli.main import cli
from anchorline.index import database
from support.grounded import FILE, PROMPT, shop


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = shop(tmp_path / "shop").folder
    monkeypatch.chdir(folder)
    return folder


def ground(*words: str, prompt: str = PROMPT) -> Result:
    return CliRunner().invoke(cli, ["ground", "-", *words], input=prompt)


def facts(*words: str, prompt: str = PROMPT) -> list[dict[str, Any]]:
    done = ground("--json", *words, prompt=prompt)
    assert done.exit_code in (0, 1), done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)["facts"]
    assert done.exit_code == (0 if found else 1)
    return found


def test_the_file_its_symbols_and_its_tests(work: Path) -> None:
    found = facts()
    by_kind = {
        kind: [fact for fact in found if fact["kind"] == kind] for kind in ("file", "symbol", "command")
    }
    assert by_kind["file"][0]["path"] == FILE
    assert all(0 < fact["probability"] <= 1 and fact["reason"] for fact in found)
    assert by_kind["command"][0]["text"] == "Check: `pytest tests/test_scheduler.py`"
    for symbol in by_kind["symbol"]:
        line = (work / symbol["path"]).read_text("utf-8").splitlines()[symbol["line"] - 1]
        assert symbol["symbol"] in line


@pytest.mark.usefixtures("work")
def test_for_people_it_is_a_list() -> None:
    done = ground()
    assert f"  a1  Context: `{FILE}`  (" in done.stdout
    assert "      matches “" in done.stdout


def test_a_file_of_the_workspace_is_no_fact_about_itself(work: Path) -> None:
    (work / "fix.prompt.md").write_text(PROMPT, "utf-8")
    done = CliRunner().invoke(cli, ["ground", "fix.prompt.md", "--json"])
    assert FILE in {fact["path"] for fact in json.loads(done.stdout)["facts"]}
    assert "fix.prompt.md" not in {fact["path"] for fact in json.loads(done.stdout)["facts"]}


@pytest.mark.usefixtures("work")
def test_nothing_likely_is_nothing_and_exit_code_1() -> None:
    done = ground(prompt="What is the capital of France?")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Nothing in the workspace is likely enough." in done.stderr
    assert facts(prompt="yes, please") == []


def test_the_index_is_kept_and_brought_up_to_date(work: Path) -> None:
    assert facts()
    kept = database.locate(work)
    assert kept.is_file()
    inode = kept.stat().st_ino
    (work / "jobs").mkdir()
    (work / FILE).rename(work / "jobs" / "scheduler.py")
    paths = {fact["path"] for fact in facts()}
    assert "jobs/scheduler.py" in paths
    assert FILE not in paths
    assert kept.stat().st_ino == inode


def test_what_the_agent_has_edited_last_counts(work: Path, tmp_path: Path) -> None:
    vague = "That is still wrong in one case, please handle it there as well."

    def edit(path: str) -> dict[str, Any]:
        call = {"type": "tool_use", "id": "1", "name": "Edit", "input": {"file_path": str(work / path)}}
        return {"type": "assistant", "message": {"role": "assistant", "content": [call]}}

    session = tmp_path / "session.jsonl"
    session.write_text(json.dumps(edit("src/shop/mailer.py")) + "\n", "utf-8")
    for path in sorted(work.rglob("*.py")):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    with_session = {fact["path"] for fact in facts("--session", str(session), prompt=vague)}
    assert "src/shop/mailer.py" in with_session


@pytest.mark.parametrize("root", ["/", "~"])
@pytest.mark.usefixtures("work")
def test_a_folder_that_holds_everything_is_refused(root: str) -> None:
    done = ground("--root", str(Path(root).expanduser()))
    assert done.exit_code == 2
    assert "is not indexed: it holds everything of yours. Name a project's folder" in done.stderr


def test_it_can_be_switched_off(work: Path) -> None:
    (work / "anchorline.toml").write_text("[ground]\nenabled = false\n", "utf-8")
    done = ground()
    assert (done.exit_code, "grounding is off (ground.enabled)" in done.stderr) == (2, True)


@pytest.mark.usefixtures("work")
def test_an_empty_prompt_is_said() -> None:
    assert ground(prompt=" \n").exit_code == 1
