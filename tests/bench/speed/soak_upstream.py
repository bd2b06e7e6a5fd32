"""The provider that `soak` has behind the gateway: it answers as the header `x-answer` asks for, well or badly.

python tests/bench soak_upstream PORT
"""

import asyncio
import gzip
import socket
import struct
import sys

import brotli

from bench.speed.gateway_servers import STREAM, WHOLE

MB = 2**20
Writer = asyncio.StreamWriter


def head(*lines: str, status: str = "200 OK") -> bytes:
    """Return the head of an answer with these headers."""
    return "\r\n".join((f"HTTP/1.1 {status}", *lines, "", "")).encode()


def whole(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    """Return an answer in JSON that says its length."""
    return (
        head("content-type: application/json", f"content-length: {len(body)}", *lines, status=status) + body
    )


def chunked(pieces: list[bytes], *lines: str) -> bytes:
    """Return a stream of events in these pieces, without its end."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head("content-type: text/event-stream", "transfer-encoding: chunked", *lines) + framed


END = b"0\r\n\r\n"
SPACES = b" " * (256 * MB)
WELL: dict[str, bytes] = {
    "whole": whole(WHOLE),
    "stream": chunked(STREAM) + END,
}
BADLY: dict[str, bytes] = {
    "gzip bomb": whole(gzip.compress(SPACES), "content-encoding: gzip"),
    "brotli bomb": whole(brotli.compress(SPACES, quality=5), "content-encoding: br"),
    "packed stream": chunked([gzip.compress(b"\n" * (64 * MB))], "content-encoding: gzip") + END,
    "not gzip": whole(WHOLE, "content-encoding: gzip"),
    "endless line": chunked([b"data: " + b"x" * (8 * MB)]) + END,
    "many values": whole(b"[" + b"[]," * (2 * MB) + b"[]]"),
    "deep": whole(b"[" * MB),
    "many events": chunked([b"data: {}\n\n" * 50_000]) + END,
    "half a stream": chunked(STREAM[: len(STREAM) // 2]),
    "half an event": chunked([STREAM[0][:50]]) + END,
    "half a body": whole(WHOLE)[:-40],
    "wrong chunks": chunked([]) + b"zz\r\nno\r\n",
    "status 99": whole(WHOLE, status="99 Odd"),
    "status 999": whole(WHOLE, status="999 Odd"),
    "status 101": head("upgrade: x", "connection: upgrade", status="101 Switching Protocols"),
    "status 204": whole(WHOLE, status="204 No Content"),
    "status 529": whole(b'{"type":"error"}', "retry-after: 1", status="529 Overloaded"),
    "endless head": b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 20_000,
    "no HTTP": b"\x00\xff" * 5_000,
    "nothing": b"",
}
ANSWERS = WELL | BADLY
RESET = (
    "half a stream",
    "half a body",
    "nothing",
)  # ended by a reset of the connection, others by closing it


async def answer(reader: asyncio.StreamReader, writer: Writer) -> None:
    """Answer the requests of a connection, until an answer that ends it."""
    try:
        while True:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            request = await reader.readexactly(int(headers.get("content-length", "0")))
            streaming = b'"stream":true' in request[-100:] or b'"stream": true' in request[:2000]
            kind = headers.get("x-answer", "stream" if streaming else "whole")
            writer.write(ANSWERS[kind])
            await writer.drain()
            if kind in BADLY:
                if kind in RESET:
                    connection = writer.get_extra_info("socket")
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    """Serve."""
    server = await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[1]), limit=MB, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
