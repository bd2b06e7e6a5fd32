"""A provider that closes its idle connections, just as a request is on its way to it: nobody notices."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from anchorline.gateway import upstream
from support.gateways import BODY, Here, call, free_port
from support.upstream import Running

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Closing:
    """A server that answers the first request of a connection and closes at the next one as `way` says.

    `requests` counts what was sent on each of its connections.
    """

    def __init__(self, way: str) -> None:
        self._way = way
        self.requests: list[int] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self.requests.append(0)
                serve = threading.Thread(
                    target=self._serve, args=(client, len(self.requests) - 1), daemon=True
                )
                serve.start()

    def _serve(self, client: socket.socket, number: int) -> None:
        with client, client.makefile("rb") as file, suppress(ConnectionError):
            while True:
                size = 0
                while (line := file.readline()) not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    size = int(value) if name.lower() == b"content-length" else size
                if line == b"":
                    return
                file.read(size)
                self.requests[number] += 1
                if self.requests[number] == 1 and self._way != "never":
                    client.sendall(ANSWER)
                    continue
                if self._way == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if self._way == "begin":
                    client.sendall(b"HTTP/1.1 200 OK\r\ncontent-")
                if self._way == "late":
                    threading.Event().wait(0.3)
                return

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def behind(way: str) -> Iterator[Closing]:
    with closing(Closing(way)) as running:
        yield running


@pytest.fixture
def url(behind: Closing) -> Iterator[str]:
    port = free_port()
    with Running(Here(behind.url, port), port):
        yield f"http://127.0.0.1:{port}/token/anthropic/v1/messages"


@pytest.mark.parametrize("way", ["close", "reset"], indirect=True)
def test_a_request_on_a_connection_that_was_closed_goes_on_a_new_one(way: str, behind: Closing, url: str):
    assert [call(url)[::2] for _ in range(3)] == [(200, b"{}")] * 3
    assert behind.requests == [2, 1, 1], "the second was sent on two connections"


@pytest.mark.parametrize("way", ["never", "begin", "late"], indirect=True)
def test_nothing_is_sent_twice_that_a_server_may_have_read(
    way: str, behind: Closing, url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(upstream, "STALE_S", 0.1)
    if way != "never":
        assert call(url)[0] == 200
    sent = sum(behind.requests)
    status, headers, _ = call(url)
    assert status == 502
    assert "can't be reached" in dict(headers)["anchorline-error"]
    assert sum(behind.requests) == sent + 1


@pytest.mark.parametrize("way", ["close"], indirect=True)
def test_a_body_that_was_passed_on_in_pieces_is_not_there_any_more(way: str, behind: Closing, url: str):
    assert call(url)[0] == 200
    assert call(url, body=BODY + b" " * (17 << 20))[0] == 502
    assert behind.requests == [2]
