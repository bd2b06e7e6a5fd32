"""How long until an editor is answered? Spawning `anchorline lsp` and a bare pygls server, in turns.

    python tests/bench startup [--runs 9] [--json]

`ratio_to_pygls`: median time from spawn to the answer of `initialize`, ours over a pygls server that has
hover only. `rss_mb`: resident memory when `initialize` is answered; `rss_working_mb`: when a first document
has its diagnostics.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

import psutil

from bench.reporting import environment, interval, show

OURS = [sys.executable, "-c", "from anchorline.cli.main import main; main()", "lsp"]
BARE = """
from pygls.lsp.server import LanguageServer
from lsprotocol import types

server = LanguageServer("bare", "1")

@server.feature(types.TEXT_DOCUMENT_HOVER)
def hover(params):
    return None

server.start_io()
"""
PYGLS = [sys.executable, "-c", BARE]
CAPABILITIES = {"textDocument": {"publishDiagnostics": {}}}


class Session:
    """One server process, spoken to without threads so that nothing but the server is timed."""

    def __init__(self, command: list[str]) -> None:
        self.spawned = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def send(self, message: dict[str, Any]) -> None:
        """Write one message."""
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        """Return the next message."""
        assert self.process.stdout
        length = 0
        while (line := self.process.stdout.readline().strip()) or not length:
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            elif not line and not length:
                raise RuntimeError("the server has ended")
        message: dict[str, Any] = json.loads(self.process.stdout.read(length))
        return message

    def initialize(self) -> float:
        """Return the seconds from spawn to answer."""
        params = {"processId": os.getpid(), "rootUri": None, "capabilities": CAPABILITIES}
        self.send({"id": 1, "method": "initialize", "params": params})
        answer = self.read()
        assert answer["id"] == 1, answer
        return time.perf_counter() - self.spawned

    def open(self, uri: str, text: str, language: str = "markdown") -> None:
        """Open a document and wait for its diagnostics."""
        item = {"uri": uri, "languageId": language, "version": 0, "text": text}
        self.send({"method": "textDocument/didOpen", "params": {"textDocument": item}})
        self.diagnostics(0)

    def diagnostics(self, version: int) -> list[Any]:
        """Return the diagnostics of a version."""
        while True:
            message = self.read()
            if (
                message.get("method") == "textDocument/publishDiagnostics"
                and message["params"]["version"] == version
            ):
                found: list[Any] = message["params"]["diagnostics"]
                return found

    @property
    def rss(self) -> float:
        """Resident memory in MB (10^6 bytes)."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1e6

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    ours: list[float] = []
    bare: list[float] = []
    memory: list[float] = []
    working: list[float] = []
    for run in range(arguments.runs + 1):  # the first fills the disk's cache and does not count
        session = Session(PYGLS)
        bare.append(session.initialize())
        session.end()
        session = Session(OURS)
        ours.append(session.initialize())
        memory.append(session.rss)
        session.send({"method": "initialized", "params": {}})
        session.open("file:///bench.prompt.md", "Fix the parser in src/parse.py so that it reads CRLF.\n")
        working.append(session.rss)
        session.end()
        if run == 0:
            for values in (ours, bare, memory, working):
                values.clear()
    ratios = [mine / its for mine, its in zip(ours, bare, strict=True)]
    rows = [
        interval("ours", "ratio_to_pygls", ratios, statistics.median(ours) / statistics.median(bare)),
        interval("ours", "initialize_ms", [value * 1000 for value in ours]),
        interval("pygls", "initialize_ms", [value * 1000 for value in bare]),
        interval("ours", "rss_mb", memory),
        interval("ours", "rss_working_mb", working),
    ]
    show("startup", rows, environment(), as_json=arguments.json)


if __name__ == "__main__":
    main()
