"""The helper process: one for each data folder, whatever happens to it, and for its owner alone."""

import json
import os
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from anchorline.hooks import client, client_aside
from support.hook_helpers import HookHelper

STOP = {"hook_event_name": "Stop", "session_id": "s"}
NEWER = 2**62


def exchange(folder: Path, request: bytes) -> bytes:
    """Send raw bytes to the helper's socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        here = Path.cwd()
        os.chdir(folder)
        try:
            connection.connect(client.SOCKET)
        finally:
            os.chdir(here)
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(1 << 20)


def test_ten_agents_at_once_start_one_helper(helper: HookHelper):
    asking = [
        subprocess.Popen(helper.command("claude-code"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(10)
    ]
    for process in asking:
        assert process.communicate(json.dumps(STOP).encode(), timeout=30)[0] == b""
        assert process.returncode == 0
    assert len(helper.processes()) == 1
    assert helper.log == ""


def test_the_helper_has_a_session_of_its_own_and_keeps_nothing_of_the_agent_open(helper: HookHelper):
    helper.run("claude-code", STOP)
    (process,) = helper.processes()
    assert os.getsid(process.pid) == process.pid
    assert process.terminal() is None
    assert {Path(f"/proc/{process.pid}/fd/{number}").readlink() for number in range(3)} == {Path(os.devnull)}


def test_only_the_owner_may_open_the_socket(helper: HookHelper):
    os.umask(os.umask(0))
    helper.run("claude-code", STOP)
    mode = (helper.folder / client.SOCKET).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_after_kill_9_the_next_event_starts_another(helper: HookHelper):
    helper.run("claude-code", STOP)
    (first,) = helper.processes()
    first.kill()
    helper.wait_until_ended()
    helper.run("claude-code", STOP)
    (second,) = helper.processes()
    assert second.pid != first.pid
    assert helper.log == ""


def test_a_newer_version_replaces_the_helper(helper: HookHelper):
    helper.run("claude-code", STOP)
    assert exchange(helper.folder, f"claude-code {NEWER} 0 plain\n\n{{}}".encode()) == client.OUTDATED
    helper.wait_until_ended()
    helper.run("claude-code", STOP)
    assert len(helper.processes()) == 1


def test_it_ends_when_it_is_told_to(helper: HookHelper):
    helper.run("end", b"")
    assert helper.processes() == []
    helper.run("claude-code", STOP)
    assert len(helper.processes()) == 1
    helper.run("end", b"")
    helper.wait_until_ended()
    assert not (helper.folder / client.SOCKET).exists()


HOSTILE = (
    b"",
    b"not json",
    b"[1]",
    b'{"hook_event_name": 7}',
    b"\xff\xfe{}",
    b'{"a":' * 200_000,
    b"[" * 200_000,
    b'{"hook_event_name": "\\ud800"}',
    b'{"x": "' + b"y" * (client.EVENT_BYTES - 9) + b'"}',
    b"z" * (client.EVENT_BYTES + 1),
)


def test_no_event_hurts(helper: HookHelper):
    for event in HOSTILE:
        assert helper.run("claude-code", event) == ""
    assert helper.run("claude-code", STOP) == ""
    assert len(helper.processes()) == 1


def test_no_request_hurts(helper: HookHelper):
    helper.run("claude-code", STOP)
    lines = (
        b"",
        b"\n",
        b"claude-code\n{}",
        b"claude-code x 0 plain\n{}",
        b"a" * 300 + b"\n",
        b"\xff 1 0 plain\n{}",
    )
    for request in lines:
        assert exchange(helper.folder, request) == b""
    assert exchange(helper.folder, b"claude-code 0 0 plain\n\n{}") == client.ANSWERED


def test_without_unix_sockets_it_is_a_port_whose_token_is_in_a_file(helper: HookHelper):
    (helper.folder / client.SOCKET).mkdir()
    helper.run("claude-code", STOP)
    address = helper.folder / client_aside.ADDRESS
    assert stat.S_IMODE(address.stat().st_mode) == 0o600
    assert len(helper.processes()) == 1
    assert "a loopback port is used" in helper.log
    port, token = address.read_text().split()
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        nonce = os.urandom(32).hex()
        connection.sendall(f"{nonce}\nwrong\nclaude-code 0 0 plain\n\n{{}}".encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert answer.decode() == client_aside.proof(token, int(port), nonce)


def test_a_stranger_at_the_port_hears_a_number_and_nothing_else(helper: HookHelper):
    (helper.folder / client.SOCKET).mkdir()
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        (helper.folder / client_aside.ADDRESS).write_text(f"{port} {'t' * 43}\n")
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(helper.run, "claude-code", STOP)
            connection, _ = stranger.accept()
            with connection:
                heard = connection.recv(1 << 16)
                connection.sendall(b"0" * 64)
                heard += connection.recv(1 << 16)
            assert asking.result() == ""
    assert len(heard) == 65
    assert bytes.fromhex(heard.decode().strip())
    assert "another program listens" in helper.log


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can be somebody else for a moment"
)
def test_a_socket_of_another_user_hears_nothing(helper: HookHelper):
    code = (
        "import os, socket, sys; os.chdir(sys.argv[1]); os.setuid(65534); s = socket.socket(socket.AF_UNIX);"
        "s.bind('hooks.sock'); os.chmod('hooks.sock', 0o777); s.listen(); print(flush=True); c, _ = s.accept();"
        "print(len(c.recv(1 << 16)))"
    )
    for folder in (helper.folder, *helper.folder.parents):
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o777)
    stranger = subprocess.Popen(
        [sys.executable, "-c", code, str(helper.folder)], stdout=subprocess.PIPE, text=True
    )
    assert stranger.stdout.readline() == "\n"
    assert helper.run("claude-code", STOP) == ""
    assert stranger.communicate(timeout=10)[0] == "0\n"
    assert "another user's" in helper.log


def test_a_helper_that_cannot_start_is_said_once_and_waited_for_once(helper: HookHelper):
    (helper.folder / "hooks.lock").mkdir()
    assert helper.run("claude-code", STOP) == ""
    assert "the helper does not start" in helper.log
    before = (helper.folder / client_aside.STARTING).stat().st_mtime
    assert helper.run("claude-code", STOP) == ""
    assert (helper.folder / client_aside.STARTING).stat().st_mtime == before


def test_nothing_in_the_opened_folder_is_run(helper: HookHelper, tmp_path: Path):
    opened = tmp_path / "opened"
    for name in ("anchorline/__init__.py", "json.py", "os.py", "asyncio.py", "sitecustomize.py"):
        file = opened / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\n")
    helper.run("claude-code", STOP, cwd=opened, PYTHONPATH=str(opened), PYTHONSTARTUP=str(opened / "json.py"))
    assert len(helper.processes()) == 1
    assert not (tmp_path / "owned").exists()


def test_a_long_log_is_set_aside(helper: HookHelper):
    log = helper.folder / client_aside.LOG
    log.write_text("x" * (client_aside.LOG_BYTES + 1))
    helper.run("claude-code", b"z" * (client.EVENT_BYTES + 1))
    helper.run("claude-code", b"z" * (client.EVENT_BYTES + 1))
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert log.read_text().count("\n") == 1
    assert log.with_name(client_aside.LOG + ".old").stat().st_size > client_aside.LOG_BYTES


def test_the_fast_path_imports_modules_of_c_alone(helper: HookHelper):
    helper.run("claude-code", STOP)
    python, *options = helper.command("claude-code")
    asked = subprocess.run(
        [python, "-X", "importtime", *options],
        input=json.dumps(STOP),
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in asked.stderr.splitlines()}
    assert "_socket" in imported
    assert not {"os", "socket", "json", "re", "subprocess", "anchorline", "site"} & imported
