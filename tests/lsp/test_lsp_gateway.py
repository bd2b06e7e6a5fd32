"""The gateway that comes with the language server: started once, found by the others, gone with the last."""

import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from support.gateways import BODY, MARKED_BODY, SYSTEM, call, free_port
from support.gateways import gateway as by_hand
from support.lsp_client import PATIENCE, RawClient
from support.upstream import Running, Upstream


@pytest.fixture
def port() -> int:
    return free_port()


def options(port: int, upstream: str = "http://127.0.0.1:9") -> dict[str, Any]:
    return {"gateway": {"start": True, "port": port, "anthropic": upstream}}


def until(reached: Callable[[], Any]) -> Any:
    """Return what is there once it is."""
    lost = time.monotonic() + 2 * PATIENCE
    while not (found := reached()):
        assert time.monotonic() < lost
        time.sleep(0.02)
    return found


def running(client: RawClient) -> dict[str, Any]:
    """Return the gateway's state once it is settled."""

    def settled() -> dict[str, Any] | None:
        state = client.call("anchorline/status")["gateway"]
        return state if state["state"] in ("running", "failed") else None

    return until(settled)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_it_is_not_started_by_default(client: RawClient):
    off = {"state": "off", "reason": "", "anthropic": None, "openai": None, "gemini": None}
    assert client.call("anchorline/status")["gateway"] == off


def test_the_first_server_starts_it_the_second_finds_it_and_it_ends_with_the_last(start, port: int):
    with Running(Upstream()) as behind:
        clients = [start(), start()]
        for client in clients:
            client.initialize(initializationOptions=options(port, behind.url))
        first, second = (running(client) for client in clients)
        assert first == second
        assert first["state"] == "running"
        for name in ("openai", "gemini"):
            assert first[name].startswith(f"http://127.0.0.1:{port}/")
        assert call(first["anthropic"] + "/v1/messages", body=BODY)[0] == 200
        clients[0].shutdown()
        assert call(first["anthropic"] + "/v1/messages", body=BODY)[0] == 200
        clients[1].process.kill()  # an editor that crashes leaves it as well
        until(lambda: not listens(port))


def test_one_that_dies_is_started_again(start, port: int):
    with Running(Upstream()) as behind:
        client = start()
        client.initialize(initializationOptions=options(port, behind.url))
        address = running(client)["anthropic"]
        (process,) = psutil.Process(client.process.pid).children()
        process.kill()
        until(lambda: client.call("anchorline/status")["gateway"]["state"] != "running")
        assert running(client)["anthropic"] == address
        assert call(address + "/v1/messages", body=BODY)[0] == 200


def test_a_gateway_that_was_started_by_hand_is_found_and_goes_on(start, tmp_path: Path, monkeypatch):
    with Running(Upstream()) as behind, by_hand(tmp_path / "g", behind.url) as own:
        monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(own.home / "data"))
        client = start()
        client.initialize(initializationOptions=options(own.port))
        assert running(client)["anthropic"] == own.anthropic
        client.shutdown()
        assert call(own.anthropic + "/v1/messages", body=BODY)[0] == 200
        assert own.stop() == 0


class Listening:
    """Whoever came first to the port: it answers whatever is asked with 200, and keeps what it hears."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.heard = b""
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _listen(self) -> None:
        answer = (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 64\r\n\r\n" + b"f" * 64
        )
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    while data := connection.recv(1 << 16):
                        self.heard += data
                        connection.sendall(answer)


def test_who_listens_at_the_port_first_is_not_told_the_token(start, isolated_home: Path):
    with Listening() as stranger:
        client = start()
        client.initialize(initializationOptions=options(stranger.port))
        state = running(client)
        assert (state["state"], state["anthropic"]) == ("failed", None)
        config = isolated_home / "anchorline.toml"
        config.write_text(f"[gateway]\nport = {stranger.port}\n")
        command = [sys.executable, "-m", "anchorline", "top", "--once"]
        top = subprocess.run(command, capture_output=True, text=True, check=False)
        assert top.returncode == 2
        assert "another program answers" in top.stderr
        token = (isolated_home / "data" / "gateway.token").read_text().strip()
        assert stranger.heard.count(b"GET /proof/") == 2
        assert token.encode() not in stranger.heard


def test_what_else_listens_at_the_port_is_left_alone_and_named(start):
    with Running(Upstream()) as stranger:
        client = start()
        client.initialize(initializationOptions=options(stranger.port))
        state = running(client)
        assert (state["state"], state["anthropic"]) == ("failed", None)
        assert f"port {stranger.port}" in state["reason"]
        assert "gateway.port" in client.notification("window/showMessage")["message"]


def test_the_editor_shows_the_warning_before_a_large_cold_prompt(start, port: int, isolated_home: Path):
    large = MARKED_BODY.replace(SYSTEM.encode(), SYSTEM.encode() * 4)
    with Running(Upstream()) as behind:
        client = start()
        client.initialize(initializationOptions=options(port, behind.url))
        call(running(client)["anthropic"] + "/v1/messages", body=large)
        until(lambda: client.call("anchorline/status")["warm"])
        client.shutdown()
        until(lambda: not listens(port))
        with closing(sqlite3.connect(isolated_home / "data" / "anchorline.db")) as rows, rows:
            # An hour and a half passes.
            rows.execute("UPDATE ledger SET written_at = written_at - 5400, expires_at = expires_at - 5400")
        client = start()
        client.initialize(initializationOptions=options(port, behind.url))
        call(running(client)["anthropic"] + "/v1/messages", body=large)
        assert "warm it was $" in client.notification("window/showMessage")["message"]


@pytest.mark.parametrize("name", ["anchorline/__main__.py", "click.py", "queue.py"])
def test_nothing_in_the_opened_folder_is_imported_when_it_is_started(
    start, port: int, tmp_path: Path, name: str
):
    ran = tmp_path / "ran"
    module = tmp_path / "repository" / name
    module.parent.mkdir(parents=True)
    (module.parent / "__init__.py").touch()
    module.write_text(f"open({str(ran)!r}, 'w').close()\n", "utf-8")
    with Running(Upstream()) as behind:
        command = (sys.executable, "-P", "-m", "anchorline", "lsp")
        client = start(command, cwd=tmp_path / "repository")
        client.initialize(initializationOptions=options(port, behind.url))
        assert running(client)["state"] == "running"
    assert not ran.exists()
