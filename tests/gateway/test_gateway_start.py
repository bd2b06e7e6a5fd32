"""What `anchorline gateway` says when it starts, and where it can't."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from anchorline.gateway import server
from support.gateways import MARKED_BODY, call, free_port
from support.upstream import Running, Upstream


@pytest.mark.parametrize(
    ("mode", "does"),
    [("observe", "requests are recorded and not changed"), ("anchors", "cache breakpoints are set")],
)
def test_it_says_that_it_runs_in_which_mode_and_how_to_connect(tmp_path: Path, mode: str, does: str):
    port = free_port()
    (tmp_path / "anchorline.toml").write_text(f'[gateway]\nmode = "{mode}"\n')
    own = {
        "ANCHORLINE_CONFIG": str(tmp_path / "anchorline.toml"),
        "ANCHORLINE_DATA_DIR": str(tmp_path / "data"),
    }
    command = [sys.executable, "-m", "anchorline", "gateway", "--port", str(port)]
    with subprocess.Popen(command, env=os.environ | own, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            lines = [running.stdout.readline().strip() for _ in range(5)]
            second = subprocess.run(
                command, env=os.environ | own, capture_output=True, text=True, check=False
            )
        finally:
            running.terminate()
    assert lines[0] == f"Gateway running on port {port} (mode: {mode}, {does})."
    assert [line.split()[0] for line in lines[1:4]] == ["anthropic", "openai", "gemini"]
    assert lines[4].startswith("Point a client at it: `anchorline connect claude-code`.")
    assert second.returncode == 2
    assert second.stdout == ""
    assert second.stderr.startswith(f"Error: port {port} is in use, perhaps by a gateway that runs already.")


@pytest.mark.parametrize("platform", ["linux", "win32"])
def test_nobody_shares_its_port(platform: str, monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", 0xFFFB, raising=False)
    setting = socket.socket.setsockopt

    def noted(listening: socket.socket, level: int, option: int, value: int) -> None:
        asked.append((level, option, value))
        if option != 0xFFFB:  # Windows alone knows it
            setting(listening, level, option, value)

    monkeypatch.setattr(socket.socket, "setsockopt", noted)
    port = free_port()
    with server._listening(port) as listening:
        assert listening.getsockname() == ("127.0.0.1", port)
        assert ((socket.SOL_SOCKET, 0xFFFB, 1) in asked) is (platform == "win32")
        with pytest.raises(OSError, match="in use"):
            server._listening(port)


def test_each_request_is_a_line(tmp_path: Path):
    port = free_port()
    with Running(Upstream()) as behind:
        (tmp_path / "anchorline.toml").write_text(f'[gateway]\nanthropic = "{behind.url}"\n')
        own = {
            "ANCHORLINE_CONFIG": str(tmp_path / "anchorline.toml"),
            "ANCHORLINE_DATA_DIR": str(tmp_path / "data"),
        }
        command = [sys.executable, "-m", "anchorline", "gateway", "--port", str(port)]
        with subprocess.Popen(command, env=os.environ | own, stdout=subprocess.PIPE, text=True) as running:
            try:
                assert running.stdout is not None
                lines = [running.stdout.readline().strip() for _ in range(6)]
                assert "gateway.mode" in lines[5], "what observing leaves undone"
                url = lines[1].split()[1] + "/v1/messages"
                call(url, body=MARKED_BODY, user_agent="claude-cli/2.1 (external)")
                call(url, body=MARKED_BODY, x_fault="429")
                good, refused = (running.stdout.readline().strip() for _ in range(2))
            finally:
                running.terminate()
    assert re.search(
        r"^\d\d:\d\d:\d\d  claude-code  claude-sonnet-5  [\d,]+ tokens in \(0 cached\), .*\$0\.", good
    )
    assert "  429  no usage" in refused
