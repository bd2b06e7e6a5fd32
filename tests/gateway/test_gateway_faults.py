"""Whatever goes wrong on either side, the other side sees just that, and nothing of it stays behind."""

import asyncio
import hashlib
import http.client
import os
import socket
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import suppress

import aiohttp
import anthropic
import pytest

from anchorline.gateway import incoming, server
from support.gateways import BODY, Gateway, Here, call, free_port, gateway
from support.upstream import Running, Upstream

STREAM = BODY[:-1] + b',"stream":true}'
KEY = "sk-ant-api03-CANARYCANARYCANARYCANARYCANARYCANARY-AA"
CANARIES = (b"CANARY", b"xyzzy")


@pytest.fixture(scope="module")
def behind() -> Iterator[Running]:
    with Running(Upstream()) as running:
        yield running


@pytest.fixture(scope="module")
def through(behind: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("gateway"), behind.url) as running:
        yield running


@pytest.mark.parametrize("encoding", ["", "gzip", "br", "zstd"])
@pytest.mark.parametrize("body", [BODY, STREAM])
def test_an_answer_is_the_upstream_s_byte_for_byte(body: bytes, encoding: str, through: Gateway):
    packed = {"x_encoding": encoding} if encoding else {}
    with Running(Upstream()) as fresh:
        direct = call(fresh.url + "/v1/messages", body=body, **packed)
    assert call(through.anthropic + "/v1/messages", body=body, **packed) == direct


@pytest.mark.parametrize("path", ["/v1/models?a=%2F%20b&c", "/v1/files/a%2fb//c;d?x[]=1", "/", ""])
@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD", "OPTIONS", "PUT"])
def test_any_path_and_method_is_passed_on(method: str, path: str, behind: Running, through: Gateway):
    body = b"" if method in ("GET", "HEAD") else b"{}"
    direct = call(behind.url + (path or "/"), method, body)
    assert call(through.anthropic + path, method, body) == direct
    one, other = behind.app.seen[-2:]
    assert (one.method, one.path, one.body) == (other.method, other.path, other.body)


def test_headers_of_a_connection_stay_with_it(behind: Running, through: Gateway):
    call(
        through.anthropic + "/v1/messages",
        connection="keep-alive, x-hop",
        x_hop="1",
        te="trailers",
        proxy_authorization="secret",
        x_end="2",
        expect="100-continue",
    )
    names = [name for name, _ in behind.app.seen[-1].headers]
    assert b"x-end" in names
    assert not {b"x-hop", b"te", b"proxy-authorization", b"expect"} & set(names)


def test_an_offer_of_http_2_costs_no_body(behind: Running, through: Gateway):
    offer = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2_settings": "AAMAAABk"}
    for _ in range(2):
        assert call(through.anthropic + "/v1/messages", **offer)[0] == 200
        seen = behind.app.seen[-1]
        assert seen.body == BODY
        assert not {b"upgrade", b"http2-settings"} & {name for name, _ in seen.headers}


def test_the_first_byte_comes_first_and_a_client_that_leaves_cancels_the_upstream(
    behind: Running, through: Gateway
):
    behind.app.left.clear()
    with socket.create_connection(("127.0.0.1", through.port), timeout=30) as client:
        head = f"POST /{through.token}/anthropic/v1/messages HTTP/1.1\r\nHost: 127.0.0.1:{through.port}\r\nx-fault: hang\r\n"
        client.sendall(f"{head}Content-Length: {len(STREAM)}\r\n\r\n".encode() + STREAM)
        got = b""
        while b"content_block_delta" not in got:  # the upstream waits now, for good
            piece = client.recv(65536)
            assert piece, got
            got += piece
        assert not behind.app.left.is_set()
    assert behind.app.left.wait(30)


def test_an_upstream_that_dies_or_sends_garbage_is_seen_as_it_is(behind: Running, through: Gateway):
    with pytest.raises(http.client.IncompleteRead) as direct:
        call(behind.url + "/v1/messages", body=STREAM, x_fault="die")
    with pytest.raises(http.client.IncompleteRead) as caught:
        call(through.anthropic + "/v1/messages", body=STREAM, x_fault="die")
    assert caught.value.partial == direct.value.partial != b""
    one = call(behind.url + "/v1/messages", body=STREAM, x_fault="garbage")
    assert call(through.anthropic + "/v1/messages", body=STREAM, x_fault="garbage") == one


def test_an_upstream_that_is_not_there_is_named(tmp_path):
    with gateway(tmp_path / "g", f"http://127.0.0.1:{free_port()}") as running:
        status, headers, _ = call(running.anthropic + "/v1/messages")
        assert status == 502
        assert "can't be reached (Connect" in dict(headers)["anchorline-error"]
        with (
            anthropic.Anthropic(base_url=running.anthropic, api_key="k", max_retries=0) as client,
            pytest.raises(anthropic.InternalServerError, match="can't be reached"),
        ):
            client.messages.create(
                model="claude-sonnet-5", max_tokens=1, messages=[{"role": "user", "content": "x"}]
            )


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/wrong/anthropic/v1/messages", {}, 404),
        ("/anthropic/v1/messages", {}, 404),
        ("/", {}, 404),
        ("*", {}, 404),
        ("/{token}x/anthropic/v1/messages", {}, 404),
        ("/{token}/elsewhere/v1/messages", {}, 404),
        ("/{token}", {}, 404),
        ("/{token}/anthropic/v1/messages", {"origin": "http://127.0.0.1"}, 403),
        ("/{token}/anthropic/v1/messages", {"origin": "null"}, 403),
        ("/{token}/anthropic/v1/messages", {"host": "evil.example:{port}"}, 403),
        ("/{token}/anthropic/v1/messages", {"host": "127.0.0.1"}, 403),
    ],
)
def test_strangers_are_not_let_in(
    path: str, headers: dict[str, str], status: int, behind: Running, through: Gateway
):
    before = len(behind.app.seen)
    named = {name: value.format(port=through.port) for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", through.port, timeout=60)
    connection.request("OPTIONS" if path == "*" else "POST", path.format(token=through.token), BODY, named)
    answer = connection.getresponse()
    got, answered = answer.status, answer.getheaders()
    connection.close()
    assert got == status
    assert "anchorline-error" in dict(answered)
    assert not any(name.startswith("access-control") for name, _ in answered)
    assert len(behind.app.seen) == before


def test_the_token_is_its_owner_s_alone(through: Gateway):
    file = through.home / "data" / "gateway.token"
    assert file.read_text().strip() == through.token
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(ConnectionRefusedError):  # nothing listens on other addresses of this machine
        socket.create_connection(("127.0.0.2", through.port), timeout=10).close()


def test_a_body_of_64_megabytes_goes_through(through: Gateway, behind: Running):
    text = b"a" * (64 << 20)
    body = (
        b'{"model":"claude-sonnet-5","max_tokens":9,"messages":[{"role":"user","content":"' + text + b'"}]}'
    )
    before = through.memory()
    status, _, _ = call(through.anthropic + "/v1/messages", body=body, x_fault="400")
    assert status == 400
    seen = behind.app.seen.pop()
    assert hashlib.sha256(seen.body).digest() == hashlib.sha256(body).digest()
    assert through.memory() - before < 64 << 20, "it is passed on piece by piece"


def test_a_thousand_clients_at_once(through: Gateway):
    async def load() -> list[int]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def one() -> int:
                async with session.post(through.anthropic + "/v1/messages", data=BODY) as answer:
                    await answer.read()
                    return answer.status

            return await asyncio.gather(*(one() for _ in range(1000)))

    assert asyncio.run(load()) == [200] * 1000


@pytest.fixture
def strict(behind: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A gateway in this process, that has little patience."""
    monkeypatch.setattr(server, "HEAD_S", 0.3)
    monkeypatch.setattr(incoming, "PIECE_S", 0.3)
    port = free_port()
    with Running(Here(behind.url, port), port, http=server.Connection) as running:
        yield running


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"", b""),
        (b"POST /tok", b""),
        (b"POST /token/anthropic/ HTTP/1.1\r\nHost: x\r\nx-a", b""),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 200_000, b"HTTP/1.1 431 "),
    ],
    ids=["silent", "half a line", "half a head", "an endless head"],
)
def test_a_head_that_does_not_end_is_given_up(sent: bytes, told: bytes, strict: Running):
    with socket.create_connection(("127.0.0.1", strict.port), timeout=30) as client:
        client.sendall(sent)
        with suppress(ConnectionResetError):  # which is an end as well
            assert client.recv(13) == told


def test_a_body_that_does_not_come_is_given_up(strict: Running, behind: Running):
    before = len(behind.app.seen)
    with socket.create_connection(("127.0.0.1", strict.port), timeout=30) as client:
        head = f"POST /token/anthropic/v1/messages HTTP/1.1\r\nHost: 127.0.0.1:{strict.port}\r\nContent-Length: 999\r\n\r\n{{"
        client.sendall(head.encode())
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert len(behind.app.seen) == before


def test_a_database_that_is_locked_delays_nobody(tmp_path, behind: Running):
    with gateway(tmp_path / "g", behind.url) as running:
        assert call(running.anthropic + "/v1/messages")[0] == 200
        running.stop()
    with gateway(tmp_path / "g", behind.url) as running:
        lock = sqlite3.connect(running.database, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        assert [call(running.anthropic + "/v1/messages")[0] for _ in range(20)] == [200] * 20
        lock.execute("ROLLBACK")
        lock.close()
        assert running.stop() == 0
        with sqlite3.connect(running.database) as database:
            assert database.execute("SELECT count(*) FROM outcomes WHERE known").fetchone() == (21,)
        database.close()


def test_a_database_that_can_t_be_written_is_told_once(tmp_path, behind: Running):
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "file").touch()
    settings = f'[store]\npath = "{tmp_path}/g/file/anchorline.db"'
    with gateway(tmp_path / "g", behind.url, settings=settings) as running:
        assert [call(running.anthropic + "/v1/messages")[0] for _ in range(5)] == [200] * 5
        assert running.stop() == 0
        assert running.log(running.home).count("file/anchorline.db") == 1


@pytest.mark.parametrize("level", ["debug", "error"])
def test_no_key_and_no_prompt_is_written_anywhere(level: str, tmp_path, behind: Running):
    with gateway(
        tmp_path / "g",
        behind.url,
        level=level,
        env={"ANTHROPIC_API_KEY": KEY},
        settings='anthropic_key = "environment"',
    ) as running:
        secret = BODY.replace(b"Fix", b"xyzzy " + KEY.encode())
        keys = {"x_api_key": KEY, "authorization": f"Bearer {KEY}", "cookie": KEY, "x_odd": "xyzzy"}
        for url in (running.anthropic + "/v1/messages?xyzzy=" + KEY, running.openai + "/chat/completions"):
            assert call(url, body=secret, **keys)[0] == 200
            call(url, body=secret + b"xyzzy", **keys)
            call(url, body=secret[:-1] + b',"model":["xyzzy"]}', **keys)
            call(url, body=secret, x_fault="500", **keys)
            with pytest.raises(http.client.IncompleteRead):
                call(url, body=secret[:-1] + b',"stream":true}', x_fault="die", **keys)
        call(f"http://127.0.0.1:{running.port}/xyzzy/{KEY}", **keys)
        running.stop()
        assert any((b"x-api-key", KEY.encode()) in seen.headers for seen in behind.app.seen)
        for file in running.home.rglob("*"):
            if file.is_file():
                content = file.read_bytes()
                assert not any(canary in content for canary in CANARIES), file
