"""The helper process of hooks and status lines, as agents reach it: by the real client, in a folder of a test's own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from anchorline import files
from anchorline.hooks import client, client_aside, server

CLIENT = [sys.executable, "-I", "-S", client.__file__]


class HookHelper:
    """The helper of one data folder. `end` it after a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)

    def command(self, source: str) -> list[str]:
        """Return the command that an agent runs."""
        return [*CLIENT, str(self.folder), source]

    def run(self, source: str, event: object = None, cwd: Path | None = None, **env: str) -> str:
        """Return what an agent reads, and check that nothing failed."""
        raw = event if isinstance(event, bytes) else json.dumps(event).encode()
        done = subprocess.run(
            self.command(source),
            input=raw,
            capture_output=True,
            cwd=cwd,
            env={**os.environ, **env},
            check=True,
            timeout=30,
        )
        assert done.stderr == b""
        return done.stdout.decode()

    def processes(self) -> list[psutil.Process]:
        """Return the helpers that run in this folder."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            try:
                if "anchorline.hooks.server" in process.info["cmdline"] and process.cwd() == str(self.folder):
                    found.append(process)
            except (psutil.Error, TypeError):
                continue
        return found

    @property
    def log(self) -> str:
        """What stands in the log."""
        path = self.folder / client_aside.LOG
        return path.read_text() if path.exists() else ""

    def wait_until_ended(self) -> None:
        """Return when no helper has the folder any more."""
        with files.lock(self.folder / server.LOCK, 15):
            pass

    @contextmanager
    def kept_out(self) -> Iterator[None]:
        """Kill the helper, and have no other one start: a status line starts one at any moment."""
        with ExitStack() as stack:
            while True:
                for process in self.processes():
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
                with suppress(TimeoutError):
                    stack.enter_context(files.lock(self.folder / server.LOCK, 0.2))
                    break
            yield

    def end(self) -> None:
        """End the helper, whatever state it is in."""
        for process in self.processes():
            process.kill()
            self.wait_until_ended()

    def retire(self) -> None:
        """End the helper, and have none start for a while: an agent that ends may still send an event."""
        self.end()
        (self.folder / client_aside.STARTING).touch()
        self.end()


def wait_for(condition: Callable[[], bool]) -> None:
    """Return once a condition holds that no event tells of."""
    until = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < until, "it has not come"
        time.sleep(0.02)
