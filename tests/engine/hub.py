"""The Hugging Face hub on loopback, as its API lays a model out, with a connection that can hang."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = (".safetensors", ".gguf")
"""Of what the hub keeps as large files, by their SHA-256."""


class Hub:
    """Serves the files of one repository. After `hang_after` bytes of the weights nothing more comes, once."""

    def __init__(self, repository: str, folder: Path) -> None:
        self.repository = repository
        self.folder = folder
        self.hang_after: int | None = None
        self.hangs = threading.Event()
        self.over = threading.Event()
        self.lie_about: str | None = None
        self.requested: list[tuple[str, str]] = []

    def siblings(self) -> Iterator[dict]:
        for file in sorted(self.folder.iterdir()):
            data = file.read_bytes()
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            entry = {"rfilename": file.name, "size": len(data), "blobId": blob}
            if file.suffix in WEIGHTS:
                digest = hashlib.sha256(data if self.lie_about != file.name else b"").hexdigest()
                entry["lfs"] = {"sha256": digest, "size": len(data), "pointerSize": 130}
            yield entry


@contextmanager
def serving(hub: Hub) -> Iterator[str]:
    """Give the address of a server of `hub`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            path = self.path.partition("?")[0]
            if path.startswith(f"/api/models/{hub.repository}"):
                found = {
                    "id": hub.repository,
                    "modelId": hub.repository,
                    "sha": COMMIT,
                    "siblings": list(hub.siblings()),
                }
                self._send(200, json.dumps(found).encode(), {"Content-Type": "application/json"}, body=body)
                return
            file = hub.folder / path.rpartition("/")[2]
            if not path.startswith(f"/{hub.repository}/resolve/") or not file.is_file():
                self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body=body)
                return
            data = file.read_bytes()
            tag = hashlib.sha256(data).hexdigest()
            headers = {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            asked = self.headers.get("Range", "")
            if body:
                hub.requested.append((file.name, asked))
            if asked:
                start = int(asked.removeprefix("bytes=").partition("-")[0])
                headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
                self._send(206, data[start:], headers, body=body)
            else:
                self._send(200, data, headers, body=body, weights=file.suffix in WEIGHTS)

        def _send(
            self, status: int, data: bytes, headers: dict, *, body: bool, weights: bool = False
        ) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if body and weights and hub.hang_after is not None:
                self.wfile.write(data[: hub.hang_after])
                hub.hang_after = None
                hub.hangs.set()
                hub.over.wait()
                self.close_connection = True
            elif body:
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        hub.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
