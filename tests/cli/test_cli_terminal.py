"""What others have named is printed so that it can do nothing to the terminal."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from anchorline.cli.terminal import visible

HOSTILE = "a\x1b]0;title\x07\x1b[31mred\x1b[2J\x9b31m\u202egnp\r\b"
STEERING = [code.encode() for code in ("\x1b]", "\x1b[31m", "\x1b[2J", "\x07", "\x9b", "\u202e", "\x08")]


def on_a_terminal(command: list[str], cwd: Path) -> bytes:
    """Return all that a command prints on a terminal of its own."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(command, cwd=cwd, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    parts = []
    try:
        while part := os.read(leader, 1 << 16):
            parts.append(part)
    except OSError:  # Linux says so that the other side is closed
        pass
    os.close(leader)
    process.wait()
    return b"".join(parts)


@pytest.mark.parametrize("piped", [False, True])
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
