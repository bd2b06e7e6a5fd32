"""Proof that the program at the gateway's port is ours, asked for before it is told the token.

Another user of the machine may listen on the port first: it would learn the token, and then prompts and keys. So who is
about to say the token asks for ``/proof/NONCE``, without it. Only a program that can read the token's file (0600) knows
the answer, HMAC-SHA256 (RFC 2104) by the token over port and nonce. The port is in it, so that an answer can't be
fetched from a gateway at another one.
"""

import hmac
import re
import secrets

NAME = "proof"
NONCE = re.compile(r"[0-9a-f]{64}")
LENGTH = 64


class StrangerError(Exception):
    """Somebody else answers at the port."""


def nonce() -> str:
    """Returns a challenge that was never made before."""
    return secrets.token_hex(32)


def proof(token: str, port: int, challenge: str) -> str:
    """Returns the answer to a challenge."""
    return hmac.new(token.encode(), f"anchorline gateway {port} {challenge}".encode(), "sha256").hexdigest()


def proven(token: str, port: int, challenge: str, answer: str) -> bool:
    """Returns whether an answer to a challenge comes from a program that knows the token."""
    return hmac.compare_digest(proof(token, port, challenge).encode(), answer.encode("utf-8", "replace"))
