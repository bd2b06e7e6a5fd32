"""The gateway that runs, from a command: asks it what it tells of itself, and holds it while a command goes on."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException

from anchorline import files
from anchorline.cli import reading
from anchorline.config import Config
from anchorline.live import proof, token
from anchorline.live.gateway_client import GatewayClient

TIMEOUT_S = 5.0
STARTING_S = 10.0
"""How long a command waits for a gateway that is started."""
LEAVING_S = 2.0


class UnheldError(Exception):
    """There is no gateway; the message says why."""


@contextmanager
def held(config: Config, run: str) -> Iterator["Holder"]:
    """Holds the gateway for a run, and starts it where none runs, or where it ends meanwhile. Raises UnheldError."""
    holder = Holder(config, run)
    holder.start()
    try:
        try:
            problem = holder.settled.result(2 * STARTING_S)
        except TimeoutError:
            problem = "it does not start"
        if problem:
            raise UnheldError(problem)
        yield holder
    finally:
        holder.leave()


class Holder(threading.Thread):
    """Holds the connection to the gateway in an event loop of its own: the command's thread waits for its child."""

    def __init__(self, config: Config, run: str) -> None:
        super().__init__(name="gateway", daemon=True)
        self.settled: Future[str] = Future()
        self._config = config
        self._run_id = run
        self._loop = asyncio.new_event_loop()
        self._leaving = asyncio.Event()
        self._client: GatewayClient | None = None

    def run(self) -> None:
        """Holds it until `leave`."""
        with closing(self._loop):
            self._loop.run_until_complete(self._hold())

    async def _hold(self) -> None:
        client = self._client = GatewayClient(lambda _: None, run=self._run_id, starting_s=STARTING_S)
        client.attend(self._config)
        await client.settled.wait()
        self.settled.set_result(client.reason)
        await self._leaving.wait()
        await client.end()

    @property
    def is_another(self) -> bool:
        """Whether the gateway has ended meanwhile, and another one knows nothing of what went through it."""
        return self._client is not None and self._client.connections > 1

    def leave(self) -> None:
        """Lets the gateway go."""
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._leaving.set)
            self.join(LEAVING_S)


def base() -> str:
    """Returns the gateway's address, with its token."""
    port = reading.settings(project=False).config.gateway.port
    try:
        return f"http://127.0.0.1:{port}/{token.token(files.data_folder())}"
    except OSError as error:
        raise reading.Unusable(
            f"{error.filename or files.data_folder()}: {error.strerror or error}"
        ) from error


def fetch(url: str) -> bytes:
    """Returns what the running gateway answers at `url`, which holds the token.

    The token is only said once the gateway has proven to be ours. Raises reading.Unusable where none answers.
    """
    _, _, address, token, name = url.split("/", 4)
    host, _, port = address.partition(":")
    challenge = proof.nonce()
    try:
        with closing(HTTPConnection(host, int(port), timeout=TIMEOUT_S)) as gateway:
            gateway.request("GET", f"/{proof.NAME}/{challenge}")
            answer = gateway.getresponse().read(proof.LENGTH + 1)
            if not proof.proven(token, int(port), challenge, answer.decode("latin-1")):
                raise reading.Unusable(
                    f"another program answers at {address}: set gateway.port to a free one"
                )
            gateway.request("GET", f"/{token}/{name}")
            return gateway.getresponse().read()
    except (OSError, HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise reading.Unusable(
            f"no gateway answers at {address} ({why}); start one with `anchorline gateway`"
        ) from error
