"""Offers of another protocol: however a request with one arrives, it is answered in HTTP/1.1 and keeps its body."""

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from anchorline.gateway import server
from support.gateways import Here, free_port
from support.upstream import Running, Upstream

BODY = json.dumps(
    {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Fix — it"}]}
).encode()
OFFER = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


@pytest.fixture(scope="module")
def behind() -> Iterator[Running]:
    with Running(Upstream()) as running:
        yield running


@pytest.fixture(scope="module")
def through(behind: Running) -> Iterator[Running]:
    port = free_port()
    with Running(Here(behind.url, port), port, http=server.Connection) as running:
        yield running


def request(port: int, further: str, body: bytes = BODY, *, chunked: bool = False) -> bytes:
    """Return a request for a message, with further lines of its head."""
    size = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    head = f"POST /token/anthropic/v1/messages HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{further}{size}\r\n\r\n"
    return head.encode() + (b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body)


def answers(client: socket.socket, number: int) -> list[tuple[int, bytes]]:
    """Return the statuses and bodies of so many answers."""
    found: list[tuple[int, bytes]] = []
    with client.makefile("rb") as file:
        for _ in range(number):
            status = int(file.readline().split()[1])
            size = 0
            while (line := file.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                size = int(value) if name.lower() == b"content-length" else size
            found.append((status, file.read(size)))
    return found


@pytest.mark.parametrize(
    "further",
    ["x-a: b\r\n" + OFFER, OFFER + "Upgrade: TLS/1.0\r\n", OFFER.replace("h2c", "h2c, foo/2"), "x-a: b\r\n"],
    ids=["one", "two lines", "two in a line", "none"],
)
@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def test_a_body_arrives_whole_in_whatever_pieces_it_comes(
    further: str, chunked: bool, behind: Running, through: Running
):
    whole = request(through.port, further, chunked=chunked)
    place = whole.find(b"pgrade") if b"pgrade" in whole else 20
    head = whole.find(b"\r\n\r\n")
    for cut in (len(whole), 20, place, place + 10, head + 1, head + 4, head + 10, len(whole) - 3):
        with socket.create_connection(("127.0.0.1", through.port), timeout=30) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(whole[:cut])
            if whole[cut:]:
                client.settimeout(0.05)
                with pytest.raises(TimeoutError):
                    client.recv(1)  # by then the first piece was read alone
                client.settimeout(30)
                client.sendall(whole[cut:])
            ((status, _),) = answers(client, 1)
        seen = behind.app.seen[-1]
        assert (status, seen.body) == (200, BODY), cut
        assert not {b"upgrade", b"http2-settings"} & {name for name, _ in seen.headers}


def test_offers_on_a_connection_that_is_kept_and_in_a_pipeline(behind: Running, through: Running):
    bodies = [BODY.replace(b"Fix", name) for name in (b"one", b"two", b"three", b"four")]
    lines = (OFFER, "", OFFER, OFFER)
    whole = b"".join(request(through.port, line, body) for line, body in zip(lines, bodies, strict=True))
    for _ in range(2):
        before = len(behind.app.seen)
        with socket.create_connection(("127.0.0.1", through.port), timeout=30) as client:
            client.sendall(whole)
            assert [status for status, _ in answers(client, 4)] == [200] * 4
            client.sendall(request(through.port, OFFER))
            assert [status for status, _ in answers(client, 1)] == [200]
        assert [seen.body for seen in behind.app.seen[before:]] == [*bodies, BODY]


@pytest.mark.parametrize("body", [b"", BODY], ids=["alone", "with a body"])
def test_a_web_socket_is_refused_at_once_and_never_reaches_the_provider(
    body: bytes, behind: Running, through: Running
):
    before = len(behind.app.seen)
    head = (
        f"GET /token/anthropic/v1/responses HTTP/1.1\r\nHost: 127.0.0.1:{through.port}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Authorization: Bearer sk-test\r\n"
    )
    size = f"Content-Length: {len(body)}\r\n" if body else ""
    with socket.create_connection(("127.0.0.1", through.port), timeout=30) as client:
        client.sendall(f"{head}{size}\r\n".encode() + body)
        ((status, answer),) = answers(client, 1)
        assert status == 426  # the one status after which Codex goes on by HTTP at once
        assert b"HTTP" in answer
        assert client.recv(1) == b"", "the connection is closed, as a client of WebSockets expects"
    assert len(behind.app.seen) == before


def test_a_tunnel_is_no_request(behind: Running, through: Running):
    with socket.create_connection(("127.0.0.1", through.port), timeout=30) as client:
        client.sendall(b"CONNECT api.anthropic.com:443 HTTP/1.1\r\nHost: api.anthropic.com:443\r\n\r\n")
        ((status, _),) = answers(client, 1)
        assert status == 400
        assert client.recv(1) == b""


def test_a_head_that_is_too_large_is_said_to_be(through: Running):
    with socket.create_connection(("127.0.0.1", through.port), 10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nx-a: " + b"a" * 200_000)
        assert client.recv(64).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("status", [999, 600, 99, 101])
def test_a_status_that_no_answer_may_have_is_named(status: int):
    with socket.create_server(("127.0.0.1", 0)) as strange:

        def answer() -> None:
            connection, _ = strange.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 %03d Odd\r\nContent-Length: 2\r\n\r\n{}" % status)

        thread = threading.Thread(target=answer)
        thread.start()
        port = free_port()
        upstream = f"http://127.0.0.1:{strange.getsockname()[1]}"
        with (
            Running(Here(upstream, port), port, http=server.Connection),
            socket.create_connection(("127.0.0.1", port), 10) as client,
        ):
            client.sendall(request(port, ""))
            ((told, body),) = answers(client, 1)
        thread.join()
    assert told == 502
    assert f"answered with the status {status}".encode() in body
