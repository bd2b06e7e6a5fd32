"""What commands say where there is nothing yet: the reason first, then what to do next."""

import pytest
from click.testing import CliRunner, Result

from anchorline.cli.main import cli


@pytest.fixture(autouse=True)
def no_agents(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words), catch_exceptions=False)


@pytest.mark.parametrize(
    ("words", "reason", "step"),
    [
        ("report", "No requests recorded yet", "anchorline import claude-code"),
        ("warm", "No cached prefixes", "anchorline import claude-code"),
        ("replay", "Nothing to replay", "anchorline import claude-code"),
        ("train", "Nothing to learn from", "anchorline import claude-code"),
        ("dataset build", "Nothing to learn from", "anchorline import claude-code"),
        ("dataset describe", "No dataset yet", "anchorline dataset build"),
        ("experiment report", "No experiment yet", "anchorline import claude-code"),
        ("promote", "No experiment is running", "anchorline train"),
        ("history", "The heuristic decides", "anchorline train"),
        ("cache status", "The response cache is off", "answers.reuse"),
        ("outcome --list", "No plan is recorded yet", "anchorline plan"),
        ("top", "no gateway answers", "anchorline gateway"),
        ("import claude-code", "No sessions of Claude Code here", "CLAUDE_CONFIG_DIR"),
        ("import codex", "No sessions of Codex here", "CODEX_HOME"),
    ],
)
def test_the_reason_comes_first_and_then_the_next_step(words: str, reason: str, step: str):
    said = run(*words.split()).output.removeprefix("Error: ")
    assert said.startswith(reason)
    assert step in said


def test_a_report_of_plans_alone_says_what_is_missing_before_its_table(tmp_path):
    (tmp_path / "fix.prompt.md").write_text("Fix the parser in src/a.py.\n")
    assert run("plan", str(tmp_path / "fix.prompt.md")).exit_code == 0
    said = run("report").output
    assert said.startswith("No requests recorded yet")
    assert "proposed model" in said
    assert "$0.00" not in said


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("plann x", "plan"),
        ("import claud-code", "claude-code"),
        ("import cursor", "anchorline connect"),
        ("connect vscod", "Did you mean vscode?"),
        ("disconnect cline_cli", "Did you mean cline-cli?"),
        ("connect", "claude-code, codex"),
        ("config chek", "check"),
        ("report --sinc 2w", "--since"),
        ("rules AL9", "anchorline rules"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_one(words: str, hint: str):
    refused = run(*words.split())
    assert refused.exit_code == 2
    assert hint in refused.stderr


@pytest.mark.parametrize("age", ["2w", "2w ago", " 12h", "30 d ago"])
def test_an_age_may_be_written_as_one_says_it(age: str):
    assert run("report", "--since", age).exit_code == 0


def test_rules_by_the_beginning_of_their_codes():
    listed = run("rules", "AL3").output.splitlines()
    assert [line[:5] for line in listed] == ["AL301", "AL302"]
    assert all(line[16].isupper() for line in run("rules").output.splitlines())
