"""`connect codex --notify` and back: the user's own program stays and is started, and no other byte changes."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from anchorline.cli.main import cli
from anchorline.hooks import client
from support.hook_helpers import HookHelper, wait_for

OWN = """# mine
model = "gpt-6.2-sol"   # the newest
notify = [ "notify-send", "Codex" ]  # a bell

[projects."/work"]
trust_level = "trusted"
"""


@pytest.fixture(autouse=True)
def codex(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Codex's settings file."""
    folder = tmp_path / "codex"
    folder.mkdir()
    monkeypatch.setenv("CODEX_HOME", str(folder))
    return folder / "config.toml"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def command(file: Path) -> list[str]:
    words: list[str] = tomllib.loads(file.read_text())["notify"]
    return words


@pytest.mark.parametrize("before", [None, "", 'model = "gpt-6.2-sol"\n', OWN, OWN.replace("\n", "\r\n")])
def test_there_and_back(before: str | None, codex: Path):
    if before is not None:
        codex.write_bytes(before.encode())
    shown = run("connect", "codex", "--notify")
    assert shown.exit_code == 0
    assert client.__file__ in shown.output
    assert (codex.read_bytes().decode() if codex.exists() else None) == before
    for _ in range(2):
        done = run("connect", "codex", "--notify", "--write")
        assert done.exit_code == 0, done.output
    own = ["notify-send", "Codex"] if before and "notify" in before else []
    assert command(codex)[6:] == own
    assert run("disconnect", "codex").exit_code == 0
    assert (codex.read_bytes().decode() if codex.exists() else None) == before
    assert run("disconnect", "codex").exit_code == 1


@pytest.mark.parametrize("order", [("--notify", ""), ("", "--notify")])
def test_it_goes_with_the_gateway(order: tuple[str, str], codex: Path):
    codex.write_text(OWN)
    for option in order:
        done = run("connect", "codex", "--write", *filter(None, [option]))
        assert done.exit_code == 0, done.output
    settings = tomllib.loads(codex.read_text())
    assert client.__file__ in settings["notify"]
    assert "openai_base_url" in settings
    assert run("disconnect", "codex").exit_code == 0
    assert codex.read_text() == OWN


def test_what_was_changed_meanwhile_stays(codex: Path):
    codex.write_text(OWN)
    run("connect", "codex", "--notify", "--write")
    codex.write_text(codex.read_text().replace("trusted", "untrusted"))
    assert run("disconnect", "codex").exit_code == 0
    assert codex.read_text() == OWN.replace("trusted", "untrusted")
    run("connect", "codex", "--notify", "--write")
    codex.write_text('notify = ["other"]\n')
    run("disconnect", "codex")
    assert command(codex) == ["other"]


def test_what_is_no_command_is_left_alone(codex: Path):
    codex.write_text('notify = "bell"\n')
    done = run("connect", "codex", "--notify", "--write")
    assert done.exit_code == 1
    assert "left alone" in done.output
    assert run("connect", "codex", "--write").exit_code == 0
    assert run("disconnect", "codex").exit_code == 0
    assert codex.read_text() == 'notify = "bell"\n'


@pytest.mark.parametrize("client_name", ["claude-code", "pi"])
def test_it_is_codexs_alone(client_name: str):
    assert run("connect", client_name, "--notify").exit_code == 2


def test_the_users_own_program_gets_the_event_where_codex_runs(
    codex: Path, tmp_path: Path, helper: HookHelper
):
    work = tmp_path / "work"
    work.mkdir()
    script = "import os, sys; open('told', 'w').write(' '.join(sys.argv[1:])); os.umask(0o22)"
    codex.write_text(f"notify = {json.dumps([sys.executable, '-c', script, 'it'])}\n")
    run("connect", "codex", "--notify", "--write")
    event = json.dumps({"type": "agent-turn-complete", "thread-id": "01a22df3"})
    done = subprocess.run([*command(codex), event], cwd=work, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
    wait_for(lambda: (work / "told").exists() and (work / "told").read_text() == f"it {event}")
    assert helper.log == ""


def test_a_program_that_is_gone_is_a_line_in_the_log(codex: Path, helper: HookHelper):
    codex.write_text('notify = ["/nowhere/bell"]\n')
    run("connect", "codex", "--notify", "--write")
    done = subprocess.run([*command(codex), "{}"], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert "codex: /nowhere/bell can't be started" in helper.log
