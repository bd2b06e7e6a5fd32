"""Access to the gateway: for programs on this machine that know the token, and for no web page.

The token stands in the path, since clients send the provider's key in the headers. A page in a browser that guesses
the port is refused by its Origin, and one that has rebound a name of its own to 127.0.0.1 by its Host.
"""

import hmac
from collections.abc import Iterable

import msgspec

from anchorline.gateway import addresses
from anchorline.live import proof

Headers = Iterable[tuple[bytes, bytes]]


class Admitted(msgspec.Struct, frozen=True):
    """What an admitted request asks for: the first part of its path after the token, and the rest as it was sent.

    `run` is the id of the run whose address it is (`addresses.py`), empty for the address with the token.
    `proof` is the answer to a client that asks first whether this is the gateway (`live/proof.py`), without the token.
    """

    name: str
    path: str
    proof: str = ""
    run: str = ""


class Refused(Exception):  # noqa: N818  (an answer, not a failure)
    """A request that is not let in: the status and the reason that it is answered with."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Access(msgspec.Struct, frozen=True):
    """The token, and the names by which this gateway may be called."""

    token: str
    port: int

    def admit(self, raw_path: bytes, query: bytes, headers: Headers) -> Admitted:
        """Returns what a request asks for. Raises Refused."""
        hosts = (f"127.0.0.1:{self.port}".encode(), f"localhost:{self.port}".encode())
        named = [value for name, value in headers if name == b"host"]
        if len(named) != 1 or named[0].lower() not in hosts:
            raise Refused(403, "the Host header is not this gateway's address")
        if any(name == b"origin" for name, _ in headers):
            raise Refused(403, "requests from web pages are refused (Origin header)")
        _, token, *rest = raw_path.split(b"/", 3) if b"/" in raw_path else (b"", b"")  # as in `OPTIONS *`
        challenge = rest[0].decode("latin-1") if token == proof.NAME.encode() and len(rest) == 1 else ""
        if proof.NONCE.fullmatch(challenge):
            return Admitted("", "", proof.proof(self.token, self.port, challenge))
        run = addresses.run_of(self.token, token.decode("latin-1"))
        is_known = bool(run) or hmac.compare_digest(token, self.token.encode())
        if not is_known or not rest or not rest[0]:
            raise Refused(
                404, "not found: the path begins with /TOKEN/anthropic, /TOKEN/openai or /TOKEN/gemini"
            )
        path = "/" + rest[1].decode("ascii") if len(rest) > 1 else ""
        path = f"{path}?{query.decode('ascii')}" if query else path
        return Admitted(rest[0].decode("ascii"), path, run=run)
