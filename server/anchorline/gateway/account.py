"""Tells the account of a request, as a keyed hash: plan limits are an account's. No credential is kept anywhere.

A login's token is another one every few hours, so what names the account itself counts before it.
"""

from collections.abc import Iterable

import msgspec

from anchorline.gateway.credential import tokens
from anchorline.gateway.upstream import Upstream
from anchorline.gateway.usage import header
from anchorline.store import tags

_CHATGPT = b"chatgpt-account-id"
"""Codex 0.171 names the account of a ChatGPT login in this header."""
_ORGANIZATION = b"anthropic-organization-id"
"""Anthropic's answers name the organization in this header (platform.claude.com/docs/en/api/overview)."""
_KEY_BYTES = 64
"""The longest key of BLAKE2b."""


class _Metadata(msgspec.Struct):
    user_id: str = ""


class _Body(msgspec.Struct):
    metadata: _Metadata | None = None


class _User(msgspec.Struct):
    account_uuid: str = ""


def account(
    upstream: Upstream,
    headers: Iterable[tuple[bytes, bytes]],
    body: bytes,
    answer: Iterable[tuple[bytes, bytes]],
    key: bytes,
) -> str:
    """Returns a hash of the account that a request was sent for; nothing where it has no credential.

    Claude Code names it in ``metadata.user_id``, JSON with an ``account_uuid`` (2.1.332), Codex in a header,
    Anthropic's answers name its organization. Where none does, the credential stands for it.
    """
    headers = list(headers)
    name = header(headers, _CHATGPT) or _of_body(body) or header(answer, _ORGANIZATION)
    if not name:
        name = "\n".join(tokens(headers)) if upstream.key is None else upstream.key
    return tags.tag(f"{upstream.name}\n{name}", key[:_KEY_BYTES]) if name else ""


def fingerprint(upstream: Upstream, headers: Iterable[tuple[bytes, bytes]], key: bytes) -> str:
    """Returns a hash of the credential alone: it tells quickly whether a request comes as the one before did."""
    return tags.tag("\n".join([upstream.name, *tokens(headers)]), key[:_KEY_BYTES])


def _of_body(body: bytes) -> str:
    try:
        metadata = msgspec.json.decode(body, type=_Body).metadata
        return msgspec.json.decode(metadata.user_id, type=_User).account_uuid if metadata is not None else ""
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
