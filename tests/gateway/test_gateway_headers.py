"""Header bytes that are not ASCII: they go on as they came, in both directions (RFC 9110, 5.5)."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from anchorline.gateway import coding, server
from support.gateways import Here, free_port
from support.upstream import Running

LATIN = b"caf\xe9 \xa9\xff"
MIXED = "café ".encode() + b"\xe9\x80"
UTF = "naïve 🧭 \u0416".encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"


class Scripted:
    """An upstream on a bare socket: answers each connection's first request with `answer`, and keeps what came."""

    def __init__(self, listening: socket.socket) -> None:
        self.answer = ANSWER + b"\r\n{}"
        self.heads: list[bytes] = []
        self.port = listening.getsockname()[1]
        self._listening = listening

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as file:
                head = b""
                while not head.endswith(b"\r\n\r\n") and (line := file.readline()):
                    head += line
                size = next(
                    (
                        int(line[15:])
                        for line in head.splitlines()
                        if line.lower().startswith(b"content-length:")
                    ),
                    0,
                )
                file.read(size)
                self.heads.append(head)
                connection.sendall(self.answer)


@pytest.fixture(scope="module")
def behind() -> Iterator[Scripted]:
    with scripted() as upstream:
        yield upstream


@contextmanager
def scripted() -> Iterator[Scripted]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        upstream = Scripted(listening)
        thread = threading.Thread(target=upstream.serve)
        thread.start()
        yield upstream
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.fixture(scope="module")
def through(behind: Scripted) -> Iterator[Running]:
    port = free_port()
    with Running(Here(f"http://127.0.0.1:{behind.port}", port), port, http=server.Connection) as running:
        yield running


def call(port: int, method: bytes, lines: bytes, body: bytes = b"", query: bytes = b"") -> bytes:
    """Return the bytes of the answer to one request on a connection of its own."""
    size = b"Content-Length: %d\r\n" % len(body) if body else b""
    path = b"/token/anthropic/v1/messages" + query
    head = b"%b %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n" % (method, path, port)
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(head + size + lines + b"\r\n" + body)
        with client.makefile("rb") as file:
            return file.read()


@pytest.mark.parametrize("value", [LATIN, MIXED, UTF, b"plain"], ids=["latin-1", "mixed", "utf-8", "ascii"])
@pytest.mark.parametrize(
    ("method", "body"),
    [(b"POST", b'{"model":"m"}'), (b"GET", b""), (b"POST", b"x" * (2 << 20))],
    ids=["small", "none", "large"],
)
def test_the_provider_gets_the_bytes_that_the_client_sent(
    method: bytes, body: bytes, value: bytes, behind: Scripted, through: Running
):
    lines = b"x-title: " + value + b"\r\nX-Other: a\r\nx-title: " + value[::-1] + b"\r\n"
    assert call(through.port, method, lines, body).startswith(b"HTTP/1.1 200 ")
    got = behind.heads[-1].split(b"\r\n")
    assert b"x-title: " + value in got
    assert b"x-title: " + value[::-1] in got


@pytest.mark.parametrize("value", [LATIN, MIXED, UTF], ids=["latin-1", "mixed", "utf-8"])
def test_the_client_gets_the_bytes_that_the_provider_sent(value: bytes, behind: Scripted, through: Running):
    behind.answer = ANSWER + b"x-title: " + value + b"\r\n\r\n{}"
    assert b"x-title: " + value in call(through.port, b"GET", b"").split(b"\r\n")


@pytest.mark.parametrize(
    ("asked", "sent"),
    [(b"gzip, br;q=0.9, zstd", b"gzip, zstd"), (b"br", b"identity"), (b"gzip", b"gzip")],
    ids=["among others", "alone", "not"],
)
def test_brotli_is_asked_for_only_where_it_can_be_read(
    asked: bytes, sent: bytes, behind: Scripted, through: Running, monkeypatch: pytest.MonkeyPatch
):
    line = b"accept-encoding: "
    call(through.port, b"GET", line + asked + b"\r\n")
    assert line + asked in behind.heads[-1].split(b"\r\n")
    monkeypatch.setattr(coding, "brotli", None)
    call(through.port, b"GET", line + asked + b"\r\n")
    assert line + sent in behind.heads[-1].split(b"\r\n")


def test_an_address_that_is_not_ascii_is_refused(behind: Scripted, through: Running):
    before = len(behind.heads)
    answer = call(through.port, b"GET", b"", query=b"?a=\xe9")
    assert answer.startswith(b"HTTP/1.1 400 "), answer[:60]  # RFC 3986: a URI has no such bytes
    assert len(behind.heads) == before
