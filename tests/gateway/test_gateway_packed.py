"""Compressed requests, as Codex sends them: planned like others, and the client's own bytes where nothing is changed."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import brotli
import pytest
import zstandard

from support.gateways import Gateway, call, gateway, settled
from support.upstream import Running, Upstream

BODY = json.dumps(
    {
        "model": "claude-sonnet-5",
        "max_tokens": 9,
        "system": "Keep to the style of the file, and say why — always. " * 800,
        "messages": [{"role": "user", "content": "Go"}],
    }
).encode()
HALF = len(BODY) // 2
Pack = Callable[[bytes], bytes]
PACKED: dict[str, tuple[str, Pack]] = {
    "zstd": ("zstd", zstandard.ZstdCompressor(level=19).compress),
    "frames": ("zstd", lambda body: b"".join(map(zstandard.compress, (body[:HALF], b"", body[HALF:])))),
    "stream": ("zstd", lambda body: _streamed(zstandard.ZstdCompressor().compressobj(), body)),
    "gzip": ("gzip", gzip.compress),
    "members": ("gzip", lambda body: gzip.compress(body[:HALF]) + gzip.compress(body[HALF:])),
    "deflate": ("deflate", zlib.compress),
    "br": ("br", lambda body: brotli.compress(body, quality=5)),
    "two": ("gzip, zstd", lambda body: zstandard.compress(gzip.compress(body))),
}


def _streamed(made: Any, body: bytes) -> bytes:
    """Pack piece by piece, so that the frame does not tell its size."""
    return b"".join((made.compress(body[:HALF]), made.compress(body[HALF:]), made.flush()))


@pytest.fixture(scope="module")
def behind() -> Iterator[Running]:
    with Running(Upstream()) as running:
        yield running


@pytest.fixture(scope="module")
def observing(behind: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("observe"), behind.url) as running:
        yield running


@pytest.fixture(scope="module")
def anchoring(behind: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("anchors"), behind.url, settings='mode = "anchors"') as running:
        yield running


@pytest.mark.parametrize("kind", PACKED)
def test_an_unchanged_request_goes_on_in_its_own_bytes_and_is_recorded(
    kind: str, behind: Running, observing: Gateway
):
    encoding, pack = PACKED[kind]
    sent = pack(BODY)
    before = sum(settled(observing, 0)["requests"].values())
    assert call(observing.anthropic + "/v1/messages", body=sent, content_encoding=encoding)[0] == 200
    seen = behind.app.seen[-1]
    assert seen.body == sent
    assert dict(seen.headers)[b"content-encoding"] == encoding.encode()
    assert settled(observing, before + 1)["last"][-1]["usage"]["output"] == 9


@pytest.mark.parametrize("kind", PACKED)
def test_a_changed_request_is_packed_as_its_client_does(kind: str, behind: Running, anchoring: Gateway):
    encoding, pack = PACKED[kind]
    status, headers, _ = call(
        anchoring.anthropic + "/v1/messages", body=pack(BODY), content_encoding=encoding
    )
    assert (status, "anchorline-plan" in dict(headers)) == (200, True)
    seen = dict(behind.app.seen[-1].headers)
    assert seen[b"content-encoding"] == encoding.encode()
    assert int(seen[b"content-length"]) == len(behind.app.seen[-1].body) < len(BODY) // 4
    assert behind.app.billed[-1].written or behind.app.billed[-1].read, "the upstream has read the breakpoint"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("zstd", zstandard.compress(b"[" * (64 << 20))),
        ("gzip", gzip.compress(b"\0" * (64 << 20), 1)),
        ("br", brotli.compress(b" " * (64 << 20), quality=1)),
        ("zstd", b"".join(zstandard.compress(bytes(1 << 20)) for _ in range(64))),
        ("gzip", BODY),
        ("compress", BODY),
        ("zstd", PACKED["zstd"][1](BODY)[:-9]),
    ],
    ids=["zstd bomb", "gzip bomb", "br bomb", "bomb in frames", "not packed", "not known", "cut off"],
)
def test_what_can_t_be_unpacked_goes_on_as_it_is(
    encoding: str, body: bytes, behind: Running, anchoring: Gateway
):
    before = anchoring.memory()
    call(anchoring.anthropic + "/v1/messages", body=body, content_encoding=encoding, x_fault="400")
    assert behind.app.seen[-1].body == body
    assert dict(behind.app.seen[-1].headers)[b"content-encoding"] == encoding.encode()
    assert anchoring.memory() - before < 64 << 20


def test_an_original_that_is_sent_again_is_the_client_s_own(anchoring: Gateway, behind: Running):
    sent = zstandard.compress(BODY.replace(b"Go", b"Stop"))
    call(anchoring.anthropic + "/v1/messages", body=sent, content_encoding="zstd", x_fault="400")
    changed, original = behind.app.seen[-2:]
    assert changed.body != original.body == sent
