"""The addresses under which the gateway is called: of its user, of a run, and with another upstream.

``/TOKEN/anthropic/v1/messages`` goes to `gateway.anthropic`. ``/RUN/anthropic/v1/messages`` does so as well, and is
counted with a run of `anchorline run`: `RUN` is its id and an HMAC of that by the token. It stands in an agent's
environment and, for Codex, in its arguments, which other users of the machine can see: the token can't be found from
it, and it lets in only while the run holds its connection (`listeners.py`).

``/RUN/anthropic.UPSTREAM/v1/messages`` goes to the base URL of that API which the agent's user had set: `UPSTREAM` is
it in URL-safe base64 (RFC 4648, section 5) without padding.
"""

import base64
import binascii
import hmac
import re
import secrets
from urllib.parse import urlsplit

ADDRESS = re.compile(r"^http://127\.0\.0\.1:\d+/[\w-]+(?=/(?:anthropic|openai|gemini)(?:[/.]|$))")
"""A gateway's address with its token or run, before the upstream's name."""
RUN = re.compile(r"[0-9a-f]{12}")
_LETTING_IN = re.compile(r"([0-9a-f]{12})-[0-9a-f]{40}")
_MOST = 2048
"""Characters of an upstream in an address."""


def run_id() -> str:
    """Returns the id of a new run."""
    return secrets.token_hex(6)


def run_secret(token: str, run: str) -> str:
    """Returns what stands in the place of the token in a run's address: its id, and HMAC-SHA256 of it (RFC 2104)."""
    mac = hmac.new(token.encode(), f"anchorline run {run}".encode(), "sha256").hexdigest()
    return f"{run}-{mac[:40]}"


def of_run(base: str, run: str) -> str:
    """Returns the address of a run; `base` is the gateway's with its token."""
    root, _, token = base.rpartition("/")
    return f"{root}/{run_secret(token, run)}"


def run_of(token: str, secret: str) -> str:
    """Returns the id of the run that a secret is of; empty where it is of none."""
    match = _LETTING_IN.fullmatch(secret)
    if match is None or not hmac.compare_digest(run_secret(token, match[1]), secret):
        return ""
    return match[1]


def instead(address: str, base: str, own: str) -> str:
    """Returns what is set in the place of an agent's `own` base URL: the gateway passes its requests on to that.

    `address` would be set where it has none of its own, `base` is what it begins with. Where its own is a gateway's, of
    whatever port, token and run, only that changes. Raises ValueError where `own` can be no upstream.
    """
    match = ADDRESS.match(own)
    if match is not None:
        return base + own[match.end() :]
    check(own)
    name = address.removeprefix(base).split("/")[1]
    return f"{base}/{name}.{base64.urlsafe_b64encode(own.rstrip('/').encode()).decode().rstrip('=')}"


def upstream(text: str) -> str:
    """Returns the base URL that an address has as `UPSTREAM`. Raises ValueError."""
    try:
        base = base64.b64decode(text[:_MOST] + "=" * (-len(text) % 4), b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError("the upstream in the address can't be read") from None
    check(base)
    return base


def check(base: str) -> None:
    """Raises ValueError where a text is no base URL of an API."""
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{base!r} is not the base URL of an API, such as https://api.example.com")
