"""A client that speaks bytes: what a test says is what the server gets."""

import json
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

LSP = (sys.executable, "-m", "anchorline.lsp")
PATIENCE = 20.0
"""How long a test waits before it calls something lost; nothing is measured with it."""


class GoneError(Exception):
    """The server closed its output."""


def frame(message: Any) -> bytes:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


class RawClient:
    """Starts a server and keeps all that it says."""

    def __init__(
        self,
        command: Sequence[str] = LSP,
        *,
        settings: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        preexec: Callable[[], None] | None = None,
    ) -> None:
        self.settings: dict[str, Any] | None = dict(settings or {})
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            preexec_fn=preexec,  # noqa: PLW1509  (a test needs it to start a grandchild)
        )
        self.inbox: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.seen: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.apply: Callable[[dict[str, Any]], dict[str, Any]] = lambda _params: {"applied": True}
        self.answers: dict[str, Any] = {}
        self._stderr: list[bytes] = []
        self._ids = 0
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._drain, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with suppress(BrokenPipeError):
                stream.close()

    # Bytes

    def raw(self, data: bytes) -> None:
        with self._lock:
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def send(self, message: Any) -> None:
        self.raw(frame(message))

    def _read(self) -> None:
        stream = self.process.stdout
        while header := stream.readline():
            match = re.fullmatch(rb"Content-Length: (\d+)\r\n", header)
            assert match, f"the server wrote {header!r}, which is no header"
            assert stream.readline() == b"\r\n"
            message = json.loads(stream.read(int(match[1])))
            if "id" in message and "method" in message:
                self.requests.append(message)
                self._answer(message)
            self.inbox.put(message)
        self.inbox.put(None)

    def _drain(self) -> None:
        while line := self.process.stderr.readline():
            self._stderr.append(line)

    @property
    def log(self) -> str:
        return b"".join(self._stderr).decode()

    def _answer(self, request: dict[str, Any]) -> None:
        method, params = request["method"], request.get("params")
        result: Any = self.answers.get(method)
        if method == "workspace/configuration":
            result = [self.settings for _ in params["items"]]
        elif method == "workspace/applyEdit":
            result = self.apply(params)
        with suppress(BrokenPipeError, ValueError):
            self.send({"jsonrpc": "2.0", "id": request["id"], "result": result})

    # Messages

    def next(self, timeout: float = PATIENCE) -> dict[str, Any]:
        message = self.inbox.get(timeout=timeout)
        if message is None:
            raise GoneError(self.log)
        self.seen.append(message)
        return message

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first message that is wanted, among those that came already or from those to come."""
        for message in self.seen:
            if wanted(message):
                self.seen.remove(message)
                return message
        while True:
            message = self.next()
            if wanted(message):
                self.seen.remove(message)
                return message

    def ask(self, method: str, params: Any = None) -> int:
        self._ids += 1
        self.send({"jsonrpc": "2.0", "id": self._ids, "method": method, "params": params})
        return self._ids

    def answer(self, request: Any) -> dict[str, Any]:
        return self.until(lambda message: "method" not in message and message.get("id") == request)

    def call(self, method: str, params: Any = None) -> Any:
        answer = self.answer(self.ask(method, params))
        assert "error" not in answer, answer
        return answer["result"]

    def error(self, method: str, params: Any = None) -> dict[str, Any]:
        answer = self.answer(self.ask(method, params))
        assert "error" in answer, answer
        return answer["error"]

    def command(self, name: str, argument: Any = None) -> Any:
        arguments = [] if argument is None else [argument]
        return self.call("workspace/executeCommand", {"command": name, "arguments": arguments})

    def notify(self, method: str, params: Any = None) -> None:
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def notification(self, method: str) -> Any:
        return self.until(lambda message: message.get("method") == method and "id" not in message)["params"]

    # Sessions

    def initialize(
        self, capabilities: Any = None, *, root: Path | None = None, **more: Any
    ) -> dict[str, Any]:
        result = self.call(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": root.as_uri() if root else None,
                "capabilities": capabilities if capabilities is not None else {},
                **more,
            },
        )
        self.notify("initialized", {})
        return result

    def open(self, uri: str, text: str, language: str = "markdown", version: int = 1) -> None:
        item = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def change(self, uri: str, version: int, *changes: dict[str, Any]) -> None:
        identifier = {"uri": uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": identifier, "contentChanges": changes})

    def shutdown(self) -> int:
        """End the session as an editor does; return the exit code."""
        assert self.call("shutdown") is None
        self.notify("exit")
        return self.process.wait(PATIENCE)
