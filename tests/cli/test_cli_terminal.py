"""What others have named is printed so that it can do nothing to the terminal."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorline.cli import rules, terminal
from anchorline.cli.main import cli
from anchorline.cli.terminal import Visible, broken_at_words, visible
from support.terminals import on_a_terminal

HOSTILE = "a\x1b]0;title\x07\x1b[31mred\x1b[2J\x9b31m\u202egnp\r\b"
STEERING = [code.encode() for code in ("\x1b]", "\x1b[31m", "\x1b[2J", "\x07", "\x9b", "\u202e", "\x08")]


@pytest.mark.parametrize(
    "piped",
    [pytest.param(False, marks=pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")), True],
)
@pytest.mark.parametrize(
    "arguments",
    [["config", "check"], ["plan", HOSTILE + ".md"], ["lint", "model.request.json"], ["warmm" + HOSTILE]],
)
def test_no_name_of_others_steers_the_terminal(tmp_path: Path, arguments: list[str], piped: bool):
    (tmp_path / "anchorline.toml").write_text(f"[route]\n{json.dumps('k' + HOSTILE)} = 1\n", "utf-8")
    (tmp_path / (HOSTILE + ".md")).write_text("Fix the the parser.\n", "utf-8")
    body = {"model": HOSTILE, "messages": [{"role": "user", "content": "Fix it."}], "system": "x" * 9000}
    (tmp_path / "model.request.json").write_text(json.dumps(body), "utf-8")
    command = [sys.executable, "-m", "anchorline", *arguments]
    if piped:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        printed = done.stdout + done.stderr
    else:
        printed = on_a_terminal(command, tmp_path)
    assert printed
    for code in STEERING:
        assert code not in printed


def test_what_is_printed_for_programs_stays_json(tmp_path: Path):
    (tmp_path / "anchorline.toml").write_text(f"[route]\n{json.dumps('k' + HOSTILE)} = 1\n", "utf-8")
    command = [sys.executable, "-m", "anchorline", "config", "check", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem["key"] == "route.k" + HOSTILE


def test_ordinary_text_is_printed_as_it_is():
    text = "naïve 漢字 🎉\ta line\n"
    assert visible(text) == text
    assert visible("\x1b[1m") == "\\u001b[1m"


class Console(io.TextIOWrapper):
    """A text stream on a terminal."""

    def isatty(self) -> bool:
        return True


def printed(monkeypatch: pytest.MonkeyPatch, platform: str, encoding: str, text: str) -> bytes:
    """Return the bytes that a pipe gets of a text, where Python opened it with an encoding."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw := io.BytesIO(), encoding=encoding, newline=""))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO()))  # the guard is before both
    terminal.guard()
    print(text, end="", flush=True)
    return raw.getvalue()


def test_on_windows_a_pipe_gets_utf_8_whatever_the_code_page(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    assert printed(monkeypatch, "win32", "cp1252", "┏ naïve →") == "┏ naïve →".encode()


@pytest.mark.parametrize("platform", ["win32", "linux"])
def test_a_chosen_encoding_stays_and_what_it_lacks_is_escaped(platform: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    assert printed(monkeypatch, platform, "cp1252", "naïve →") == "naïve \\u2192".encode("cp1252")


@pytest.mark.process
def test_the_first_screen_is_printed_in_an_encoding_that_lacks_its_arrows():
    done = subprocess.run(
        [sys.executable, "-m", "anchorline", "--sample"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "\\u2192" in done.stdout


def test_on_windows_nothing_writes_past_to_the_console(monkeypatch: pytest.MonkeyPatch):
    console = Visible(Console(io.BytesIO(), encoding="utf-8"))
    assert console.buffer is not None
    monkeypatch.setattr(sys, "platform", "win32")
    assert console.buffer is None, "click writes to the console by it"


@pytest.mark.parametrize(
    ("platform", "error", "code"),
    [
        ("linux", BrokenPipeError(), 0),
        ("win32", BrokenPipeError(), 0),
        ("win32", OSError(22, "Invalid argument"), 0),
        ("linux", OSError(22, "Invalid argument"), None),
        ("win32", OSError(22, "Invalid argument", "a?.md"), None),
    ],
)
def test_output_that_is_cut_off_is_no_error_on_windows_either(
    platform: str, error: OSError, code: int | None, monkeypatch: pytest.MonkeyPatch
):
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("anchorline.cli.main._discard_output", lambda: None)
    monkeypatch.setattr(rules.command, "callback", fails)
    monkeypatch.setattr(sys, "platform", platform)
    done = CliRunner().invoke(cli, ["rules"])
    assert (done.exit_code if done.exception is None or code == 0 else None) == code


def test_a_long_message_is_broken_at_words_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "30")
    message = "Error: nothing is recorded yet, and `anchorline import claude-code` reads sessions\nshort\n"
    lines = broken_at_words(message).split("\n")
    assert max(map(len, lines)) <= 30
    assert " ".join(lines).split() == message.split()
    assert lines[-2:] == ["short", ""]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminal")
@pytest.mark.parametrize("piped", [False, True])
def test_errors_are_broken_in_a_terminal_only(tmp_path: Path, piped: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(tmp_path))
    command = [sys.executable, "-m", "anchorline", "train"]
    if piped:
        printed = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).stderr
    else:
        printed = on_a_terminal(command, tmp_path)
    lines = printed.decode().splitlines()
    assert lines[0].startswith("Error: Nothing to learn from.")
    assert len(lines) == 1 if piped else all(len(line) <= 40 or str(tmp_path) in line for line in lines)
