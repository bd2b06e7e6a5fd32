"""Tells the kind of a request's credential, and so whose rules it is under. The credential itself is kept nowhere.

Requests on an API key are paid one by one, and their sender may change them. Those on a plan are not: Anthropic's terms
keep a subscription's login for its own apps (https://code.claude.com/docs/en/legal-and-compliance), its client is
reported to attest the body of each request, and a changed one may be refused or billed as extra usage; ChatGPT's login
is Codex's own. So nothing on a plan is changed unless its user says so (`gateway.plans`), and no attestation is ever
made or imitated here.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from anchorline.gateway.upstream import CHATGPT, Upstream
from anchorline.prompt import unrendered

Credential = Literal["api key", "Claude plan", "ChatGPT login", "other", "none"]
PLANS: frozenset[Credential] = frozenset({"Claude plan", "ChatGPT login"})

_CLAUDE = ("sk-ant-oat", "sk-ant-ort")
"""How the tokens of a Claude login begin."""
_OPENAI_CLAIM = "https://api.openai.com/auth"
_OPENAI_ISSUER = "auth.openai.com"
_ATTESTED = b"cch="
_PARTS = 3
_KEY = re.compile(r"[?&]key=[^&]")
"""Gemini's key in the query (ai.google.dev/gemini-api/docs/api-key)."""


class _System(msgspec.Struct):
    system: msgspec.Raw = msgspec.Raw()


def credential(
    upstream: Upstream, headers: Iterable[tuple[bytes, bytes]], body: bytes = b"", path: str = ""
) -> Credential:
    """Returns the kind of credential that the provider sees with a request.

    By the tokens' own prefixes, a login's claims and headers, the upstream, and where none of them says it, by whether
    the body attests itself as Claude Code's do at Anthropic's own API. In doubt it is a plan.
    """
    headers = list(headers)
    own = upstream.key is None
    texts = tokens(headers) if own else [upstream.key or ""]
    if any(token.startswith(_CLAUDE) for token in texts):
        return "Claude plan"
    if upstream.host == CHATGPT or (own and any(_is_login(token, upstream.name) for token in texts)):
        return "ChatGPT login"
    if own and any(name.lower() == b"chatgpt-account-id" for name, _ in headers):
        return "ChatGPT login"
    if any(token.startswith("sk-") for token in texts) or (upstream.name == "gemini" and not own):
        return "api key"
    if own and (
        any(name.lower() == b"x-goog-api-key" and value for name, value in headers) or _KEY.search(path)
    ):
        return "api key"
    if not texts:
        return "none"
    betas = (value for name, value in headers if name.lower() == b"anthropic-beta")
    if own and (any(b"oauth-" in value for value in betas) or _attested(body)):
        return "Claude plan"
    return "other"


def tokens(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Returns the keys and tokens that a request is sent with."""
    texts = []
    for name, value in headers:
        text = value.decode("latin-1").strip()
        if name.lower() in (b"x-api-key", b"api-key"):
            texts.append(text)
        elif name.lower() == b"authorization":
            scheme, _, token = text.partition(" ")
            texts.append(token.strip() if scheme.lower() == "bearer" else text)
    return [text for text in texts if text]


def _is_login(token: str, upstream: str) -> bool:
    """Returns whether a token is ChatGPT's: a JWT (RFC 7519) with its claims, or of which nothing says otherwise.

    Other services' are JWTs as well (Azure's, a company's own gateway's), and name their issuer.
    """
    parts = token.split(".")
    if len(parts) != _PARTS or not token.startswith("eyJ"):
        return False
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):  # msgspec's errors are ValueErrors
        claims = None
    if not isinstance(claims, dict):
        return upstream == "openai"
    issuer = str(claims.get("iss") or "")
    return _OPENAI_CLAIM in claims or _OPENAI_ISSUER in issuer or (upstream == "openai" and not issuer)


def _attested(body: bytes) -> bool:
    """Returns whether a body begins its system prompt with an attribution that attests the body."""
    if _ATTESTED not in body:
        return False
    try:
        system = bytes(msgspec.json.decode(body, type=_System).system)
        first = (
            bytes(msgspec.json.decode(system, type=list[msgspec.Raw])[0]) if system[:1] == b"[" else system
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, IndexError, RecursionError):
        return False
    span = unrendered.attribution(first)
    return span is not None and _ATTESTED in first[slice(*span)]
