"""A gateway as a developer runs it: a process of its own, with settings and a database of its own."""

import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from anchorline.config import Config
from anchorline.gateway.access import Access
from anchorline.gateway.app import App
from anchorline.gateway.exchanges import Exchanges
from anchorline.gateway.upstream import Upstream as Provider
from anchorline.gateway.upstream import Upstreams

BODY = json.dumps(
    {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Fix — it"}]}
).encode()
SYSTEM = "Keep to the style of the file, and say why. " * 800
_MARKED = [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}]
MARKED_BODY = json.dumps(
    {
        "model": "claude-sonnet-5",
        "max_tokens": 9,
        "system": _MARKED,
        "messages": [{"role": "user", "content": "Go"}],
    }
).encode()
FILE = "\n".join(f"{n:>6}→    value_{n} = compute({n})  # a line of the file" for n in range(1, 600))


class Gateway:
    """A running `anchorline gateway`. `anthropic`, `openai` and `gemini` are its base URLs."""

    def __init__(self, process: subprocess.Popen, home: Path) -> None:
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, self.log(home)
        urls = json.loads(line)
        self.anthropic: str = urls["anthropic"]
        self.openai: str = urls["openai"]
        self.gemini: str = urls["gemini"]
        self.port = int(self.anthropic.split(":")[2].split("/")[0])
        self.token = self.anthropic.split("/")[3]
        self.home = home
        self.database = home / "data" / "anchorline.db"

    @staticmethod
    def log(home: Path) -> str:
        """Return what was logged."""
        return (home / "log").read_text()

    def stop(self) -> int:
        """End it as Ctrl-C would, so that everything is written; return the exit code."""
        self.process.terminate()
        return self.process.wait(20)

    def memory(self) -> int:
        """Return the resident memory in bytes."""
        return psutil.Process(self.process.pid).memory_info().rss


@contextmanager
def gateway(
    home: Path, upstream: str, *, settings: str = "", level: str = "info", env: dict[str, str] | None = None
) -> Iterator[Gateway]:
    """Run a gateway before `upstream`; `settings` are further lines of its section in the settings file."""
    home.mkdir(parents=True, exist_ok=True)
    own = {"ANCHORLINE_CONFIG": str(home / "anchorline.toml"), "ANCHORLINE_DATA_DIR": str(home / "data")}
    (home / "anchorline.toml").write_text(
        f'[gateway]\nanthropic = "{upstream}"\nopenai = "{upstream}"\ngemini = "{upstream}"\n{settings}\n'
    )
    command = [
        sys.executable,
        "-m",
        "anchorline",
        "gateway",
        "--json",
        "--port",
        str(free_port()),
        "--log-level",
        level,
    ]
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(
            command, env=os.environ | own | (env or {}), stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        yield Gateway(process, home)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Here:
    """A gateway in this process, as an ASGI application: for tests of its limits, and for times that are not now.

    It is made on the loop of the server that runs it, with the first request.
    """

    def __init__(
        self, upstream: str, port: int, config: Config | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._upstream = upstream
        self._port = port
        self._config = config
        self._clock = clock
        self._app: App | None = None
        self._connections: Upstreams | None = None
        self._exchanges: Exchanges | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            self._connections = Upstreams({"anthropic": Provider("anthropic", self._upstream)})
            if self._config is not None:
                self._exchanges = Exchanges(self._config, print)
                await self._exchanges.start()
            self._app = App(Access("token", self._port), self._connections, self._exchanges, self._clock)
            self._ending = asyncio.create_task(self._end(self._connections))
        await self._app(scope, receive, send)

    async def _end(self, connections: Upstreams) -> None:
        """Close what is open as the loop ends: that cancels its tasks."""
        try:
            await asyncio.Event().wait()
        finally:
            await connections.close()


def call(
    url: str, method: str = "POST", body: bytes = BODY, **headers: str
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return status, headers and the undecoded body."""
    _, _, address, path = url.split("/", 3)
    connection = http.client.HTTPConnection(address, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, "/" + path, body, {"content-type": "application/json", **named})
    try:
        with connection.getresponse() as answer:
            return answer.status, sorted(answer.getheaders()), answer.read()
    finally:
        connection.close()


def state(running: Gateway) -> dict:
    """Return what the gateway tells of itself."""
    status, _, body = call(f"{running.anthropic.removesuffix('/anthropic')}/status", "GET", b"")
    assert status == 200
    return json.loads(body)


def settled(running: Gateway, requests: int) -> dict:
    """Return the state once so many requests are added up: that happens beside their way."""
    while True:
        told = state(running)
        if sum(told["requests"].values()) >= requests:
            return told


def conversation(ask: str = "Go", turns: int = 0, **further: Any) -> bytes:
    """Return a request of a conversation that begins with `ask`."""
    messages: list[Any] = [{"role": "user", "content": ask}]
    for n in range(turns):
        messages += [{"role": "assistant", "content": f"Done {n}."}, {"role": "user", "content": f"On {n}"}]
    asked = {"model": "claude-sonnet-5", "max_tokens": 9, "system": SYSTEM, "messages": messages}
    return json.dumps(asked | further).encode()
