"""Frames: whatever the bytes, the next good frame is found."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.lsp.wire.framing import MAX_HEADER, Body, Fault, Framer


def read(framer: Framer, data: bytes, pieces: int = 0) -> list[Body | Fault]:
    """Feed `data`, whole or in pieces, rejecting bodies that are no JSON as the reader does."""
    chunks = [data] if not pieces else [data[i : i + pieces] for i in range(0, len(data), pieces)]
    found = []
    for chunk in chunks:
        for item in framer.feed(chunk):
            found.append(item)
            if isinstance(item, Body):
                try:
                    json.loads(item.data)
                except ValueError:
                    framer.reject(item.data)
    return found


def framed(body: bytes, header: bytes = b"Content-Length: %d\r\n\r\n") -> bytes:
    return header % len(body) + body


GOOD = framed(b'{"id":1}')


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: %d\r\n\r\n",
        b"content-length: %d\r\n\r\n",
        b"CONTENT-LENGTH:%d\r\n\r\n",
        b"Content-Length:   %d  \r\n\r\n",
        b"Content-Length: %d\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n",
        b"Content-Type: application/vscode-jsonrpc; charset=utf8\r\ncontent-length: %d\r\n\r\n",
        b"Content-Length: %d\n\n",
        b"\r\nContent-Length: %d\r\n\r\n",
    ],
)
@pytest.mark.parametrize("pieces", [0, 1, 7])
def test_headers_of_every_form_are_read(header, pieces):
    data = framed(b"[1]", header) + GOOD
    assert read(Framer(), data, pieces) == [Body(b"[1]"), Body(b'{"id":1}')]


@pytest.mark.parametrize(
    "bad",
    [
        b"Content-Length: 99999999999\r\n\r\n{}",
        b"Content-Length: -5\r\n\r\n{}",
        b"Content-Length: five\r\n\r\n{}",
        b"Content-Length: 99999999999999999999999999\r\n\r\n{}",
        b"Content-Length:\r\n\r\n{}",
        b"X-Other: 5\r\n\r\n{}",
        b"no header at all\r\n\r\n",
        b"Content-Length: 2\r\nContent-Type: text/plain; charset=latin-1\r\n\r\n{}",
        b"x" * (MAX_HEADER + 10),
        bytes(range(256)) * 40,
    ],
)
@pytest.mark.parametrize("pieces", [0, 1, 1000])
def test_after_a_fault_the_stream_goes_on(bad, pieces):
    found = read(Framer(), bad + GOOD + GOOD, pieces)
    assert sum(isinstance(item, Fault) for item in found) == 1
    assert found[-2:] == [Body(b'{"id":1}')] * 2


def test_an_oversized_body_is_skipped_without_being_held():
    framer = Framer(limit=1000)
    found = read(framer, b"Content-Length: 5000000\r\n\r\n", 0)
    for _ in range(50):
        found += read(framer, b'"' + b"a" * 99_998 + b'"')
        assert len(framer._buffer) < 1000
    found += read(framer, GOOD)
    assert [type(item) for item in found] == [Fault, Body]


def test_a_length_that_is_too_large_costs_only_the_message_it_belongs_to():
    body = b'{"id":7}'
    data = b"Content-Length: 30\r\n\r\n" + body + GOOD + GOOD
    found = read(Framer(), data)
    assert [item.data for item in found if isinstance(item, Body)][1:] == [b'{"id":1}'] * 2


def test_a_length_that_is_too_small_costs_only_the_message_it_belongs_to():
    found = read(Framer(), b'Content-Length: 4\r\n\r\n{"id":7}' + GOOD)
    assert found[-1] == Body(b'{"id":1}')


def test_an_empty_body_is_a_body():
    assert read(Framer(), b"Content-Length: 0\r\n\r\n")[0] == Body(b"")


def test_an_unfinished_frame_waits():
    framer = Framer()
    assert read(framer, GOOD[:-1]) == []
    assert read(framer, GOOD[-1:]) == [Body(b'{"id":1}')]


@given(st.binary(max_size=300), st.integers(0, 20))
def test_any_noise_before_a_frame_is_survived(noise, pieces):
    framer = Framer(limit=10_000)
    # Noise may itself look like a header that announces a body; so much follows that it must end.
    data = noise + GOOD * 3 + b"Content-Length: 10000\r\n\r\n" + b" " * 10_000 + GOOD * 2
    assert read(framer, data, pieces)[-1] == Body(b'{"id":1}')


@given(
    st.lists(st.binary(max_size=100).map(lambda data: json.dumps(data.hex()).encode()), max_size=8),
    st.integers(0, 9),
)
def test_good_frames_come_through_whole_however_they_are_cut(bodies, pieces):
    data = b"".join(framed(body) for body in bodies)
    assert read(Framer(), data, pieces) == [Body(body) for body in bodies]


@given(
    st.lists(
        st.sampled_from([b"Content-Length: 5\r\n", b"A" * 700, b"X: y\r\n", b"Content-Length: 5"]), min_size=1
    ),
    st.sampled_from([0, 1000, 4096]),
)
def test_a_header_block_that_does_not_end_is_reported_and_read_past(lines: list[bytes], pieces: int):
    block = b"Content-Length: 5\r\n" + b"".join(lines) + b"A" * MAX_HEADER
    found = read(Framer(), block + GOOD, pieces)
    faults = [item for item in found if isinstance(item, Fault)]
    assert 1 <= len(faults) <= 2 + len(block) // MAX_HEADER
    assert found[-1] == Body(b'{"id":1}')
