"""A package index on loopback, with connections that can hang, and wheels that hold a piece of a file each."""

import http.server
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def wheel(folder: Path, name: str, contents: dict[str, bytes], packed: int = zipfile.ZIP_DEFLATED) -> Path:
    """Writes version 1.0 of a package with these files, and one it depends on that nobody has."""
    module = name.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    path = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", packed) as archive:
        archive.writestr(f"{module}/__init__.py", "raise SystemExit('it was run')\n")
        for file, data in contents.items():
            archive.writestr(f"{module}/data/{file}", data)
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: not-to-be-fetched\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


class Index:
    """Serves the wheels of a folder. Of the one that `hang` names, half comes, once; then nothing more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hang = ""
        self.hangs = threading.Event()
        self.over = threading.Event()
        self.fetched: list[str] = []


@contextmanager
def serving(index: Index) -> Iterator[str]:
    """Gives the address of a server of `index`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = self.path.strip("/").split("/")
            if parts[0] == "simple":
                file = index.folder / f"{parts[-1].replace('-', '_')}-1.0-py3-none-any.whl"
                page = f'<a href="/files/{file.name}">{file.name}</a>'.encode() if file.exists() else b""
                self._send(200 if page else 404, page, "text/html")
                return
            data = (index.folder / parts[-1]).read_bytes()
            index.fetched.append(parts[-1])
            hang = bool(index.hang) and parts[-1].startswith(index.hang)
            self._send(200, data, "application/octet-stream", hang=hang)

        def _send(self, status: int, data: bytes, kind: str, *, hang: bool = False) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if not hang:
                self.wfile.write(data)
                return
            index.hang = ""
            self.wfile.write(data[: len(data) // 2])
            index.hangs.set()
            index.over.wait()
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        index.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
