"""Connects to the gateway, and starts one if none runs: for language servers and `anchorline run`.

There is one for each port of the machine. Each of them holds a request open at it (`/TOKEN/events`), on which it hears
of warnings; a gateway that one of them has started ends when none does so any more. It is a process of its own: nothing
of it is imported here.
"""

import asyncio
import logging
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import msgspec

from anchorline import files, isolated
from anchorline.config import Config
from anchorline.live import proof
from anchorline.live.proof import StrangerError
from anchorline.live.token import token

HOST = "127.0.0.1"
STARTING_S = 20.0
LOOK_S = 0.1
AGAIN_S = (1.0, 5.0, 30.0)
"""Pauses before a gateway that has ended is started again; after the last it has failed."""
STEADY_S = 60.0
"""One that ran for so long has not failed before."""
LINE_BYTES = 64 * 1024
HEAD_LINES = 100
State = Literal["off", "starting", "running", "failed"]
log = logging.getLogger(__name__)


class GatewayEvent(msgspec.Struct):
    """What the gateway sends on `/TOKEN/events`."""

    warning: str = ""


class GatewayClient:
    """The gateway as one program sees it. Used on the event loop. `warn` shows a message to the developer.

    `run` is the id of the run that the program is, empty for a language server; `starting_s` is how long a gateway may
    take to answer.
    """

    def __init__(self, warn: Callable[[str], None], *, run: str = "", starting_s: float = STARTING_S) -> None:
        self._warn = warn
        self._run = run
        self._starting_s = starting_s
        self._config: Config | None = None
        self._attending: asyncio.Task[None] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.state: State = "off"
        self.reason = ""
        self.address = ""
        self.settled = asyncio.Event()
        """Set while it runs or has failed."""
        self.connections = 0
        """How often it was connected to: more than once where it has ended meanwhile."""

    def apply(self, config: Config) -> None:
        """Connects to a gateway, or leaves it, as the user's settings say (`gateway.start`)."""
        self.attend(config if config.gateway.start else None)

    def attend(self, new: Config | None) -> None:
        """Connects to the gateway of these settings and starts it where it does not run; None: leaves it."""
        is_same = (
            new is not None and self._config is not None and new.gateway.port == self._config.gateway.port
        )
        if is_same or new == self._config:
            return
        self._config = new
        if self._attending is not None:
            self._attending.cancel()
        self._become("off")
        if new is not None:
            self._become("starting")
            self._attending = asyncio.ensure_future(self._attend(new))

    async def end(self) -> None:
        """Leaves the gateway; where no other server attends it, it ends."""
        if self._attending is not None:
            self._attending.cancel()
            await asyncio.wait([self._attending])

    async def _attend(self, config: Config) -> None:
        try:
            tries = 0
            while tries <= len(AGAIN_S):
                await asyncio.sleep(AGAIN_S[tries - 1] if tries else 0.0)
                reader, writer, address = await self._open(config)
                self.connections += 1
                self._become("running", address=address)
                started_at = asyncio.get_running_loop().time()
                try:
                    await self._listen(reader)
                finally:
                    writer.close()
                self._become("starting", "it has ended and is started again", self.address)
                is_steady = asyncio.get_running_loop().time() - started_at > STEADY_S
                tries = 1 if is_steady else tries + 1
            self._failed("it ends again and again; run `anchorline gateway` to see why")
        except StrangerError:
            port = config.gateway.port
            self._failed(f"another program answers at port {port}: set gateway.port to a free one")
        except TimeoutError:
            self._failed("it does not start; run `anchorline gateway` to see why")
        except OSError as error:
            self._failed(error.strerror or type(error).__name__)

    def _become(self, state: State, reason: str = "", address: str = "") -> None:
        self.state, self.reason, self.address = state, reason, address
        if state in ("running", "failed"):
            self.settled.set()
        else:
            self.settled.clear()

    def _failed(self, reason: str) -> None:
        self._become("failed", reason)
        self._warn(f"Anchorline's gateway does not run: {reason}.")

    async def _open(self, config: Config) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
        """Returns a connection to the gateway that runs, or to the one that is started now, and its address."""
        secret = await asyncio.to_thread(lambda: token(files.data_folder()))
        is_started = False
        async with asyncio.timeout(self._starting_s):
            while True:
                try:
                    reader, writer = await _connect(config.gateway.port, secret, self._run)
                except ConnectionError:
                    if not is_started:
                        is_started = True
                        self._process = await asyncio.to_thread(_start, config)
                    await asyncio.sleep(LOOK_S)
                else:
                    return reader, writer, f"http://{HOST}:{config.gateway.port}/{secret}"

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError, ValueError):  # it has ended
            while line := await reader.readline():
                if line.startswith(b"data:"):
                    with suppress(msgspec.MsgspecError):
                        self._warn(msgspec.json.decode(line[5:], type=GatewayEvent).warning)


async def _connect(port: int, secret: str, run: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Returns a connection on which events come, to a gateway that has proven to be ours before it is sent the token.

    Raises ConnectionError where nobody listens, StrangerError where another program does.
    """
    reader, writer = await asyncio.open_connection(HOST, port, limit=LINE_BYTES)
    try:
        await _prove(reader, writer, port, secret)
        await _get(reader, writer, port, f"/{secret}/events/{run}".rstrip("/"))
    except (ValueError, asyncio.IncompleteReadError):  # a line without an end, or an answer
        writer.close()
        raise StrangerError from None
    except BaseException:
        writer.close()
        raise
    return reader, writer


async def _prove(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, secret: str) -> None:
    challenge = proof.nonce()
    length = await _get(reader, writer, port, f"/{proof.NAME}/{challenge}")
    answer = await reader.readexactly(length) if length == proof.LENGTH else b""
    if not proof.proven(secret, port, challenge, answer.decode("latin-1")):
        raise StrangerError


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, path: str) -> int:
    """Asks for a path; returns the length of the response that begins, 0 where it does not say."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
    status = await reader.readline()
    if not status:
        raise ConnectionResetError
    length = 0
    for _ in range(HEAD_LINES):
        name, _, value = (await reader.readline()).partition(b":")
        if not name.strip():
            break
        if name.strip().lower() == b"content-length":
            length = int(value)
    else:
        raise StrangerError
    if status.split(b" ")[1:2] != [b"200"]:
        raise StrangerError
    return length


def _start(config: Config) -> subprocess.Popen[bytes]:
    """Starts a gateway that outlives this process; it gets the settings on its standard input."""
    process = subprocess.Popen(  # noqa: S603  (our own program)
        isolated.python("anchorline", "gateway", "--attended"),
        cwd=files.data_folder(),  # which holds the token
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **isolated.detached(),
    )
    assert process.stdin is not None  # noqa: S101  (a pipe, as asked for)
    with suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(msgspec.json.encode(config))
    return process
