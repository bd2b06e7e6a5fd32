"""A gateway as a developer runs it: a process of its own, with settings and a database of its own."""

import asyncio
import json
import os
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
from anchorline.gateway.desk import Desk
from anchorline.gateway.upstream import Upstream as Provider
from anchorline.gateway.upstream import Upstreams


class Gateway:
    """A running `anchorline gateway`. `anthropic` and `openai` are its base URLs."""

    def __init__(self, process: subprocess.Popen, home: Path) -> None:
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, self.log(home)
        urls = json.loads(line)
        self.anthropic: str = urls["anthropic"]
        self.openai: str = urls["openai"]
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
        f'[gateway]\nanthropic = "{upstream}"\nopenai = "{upstream}"\n{settings}\n'
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
    import socket

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
        self._desk: Desk | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            self._connections = Upstreams({"anthropic": Provider("anthropic", self._upstream)})
            if self._config is not None:
                self._desk = Desk(self._config, print)
                await self._desk.start()
            self._app = App(Access("token", self._port), self._connections, self._desk, self._clock)
            self._ending = asyncio.create_task(self._end(self._connections))
        await self._app(scope, receive, send)

    async def _end(self, connections: Upstreams) -> None:
        """Close what is open as the loop ends: that cancels its tasks."""
        try:
            await asyncio.Event().wait()
        finally:
            await connections.close()
