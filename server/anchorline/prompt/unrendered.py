"""Parts of a request that the provider does not render, and that are no part of its prefix.

Its bytes are sent as they are, but it is no segment, or left out of its segment's digest and tokens: it identifies
nothing, counts nothing, and is never marked or moved.

Claude Code begins its system prompt with a line of attribution,
``x-anthropic-billing-header: cc_version=…; cc_entrypoint=…; cch=…;``, of which ``cch`` changes with every request.
Anthropic leaves it out of its cache key: with it the client's own requests would never hit
(https://github.com/anthropics/claude-code/issues/68900 shows what it does to providers that don't leave it out). A
relay that speaks OpenAI's chat to a Claude model hands the system message on to Anthropic, so there as well.
"""

import re

import msgspec

_LINE = rb'x-anthropic-billing-header:[^"\\]*(?:\\[rn])*'
_IN_BLOCK = re.compile(rb'"(?:text|content)"\s*:\s*"(' + _LINE + rb")")
_IN_STRING = re.compile(rb'\s*"(' + _LINE + rb")")
_HEAD = 400
"""Bytes of a block in which its text begins; other members of it are short."""
_BLOCKS = msgspec.json.Decoder(list[msgspec.Raw]).decode


def attribution(content: bytes) -> tuple[int, int] | None:
    """Returns where the attribution stands in a system block, a system message or a JSON string that begins with it."""
    match = _IN_BLOCK.search(content, 0, _HEAD) if content.startswith(b"{") else None
    match = match or _IN_STRING.match(content)
    return None if match is None else match.span(1)


def of_agent(content: bytes) -> bool:
    """Says whether the attribution says that a sub-agent asks."""
    span = attribution(content)
    return span is not None and content.find(b"cc_is_subagent=true", *span) >= 0


def without_attribution(content: bytes) -> bytes:
    """Returns what is rendered of one of these; nothing where the attribution is all it holds."""
    span = attribution(content)
    if span is None:
        return content
    start, end = span
    return b"" if content.startswith(b'"', end) else content[:start] + content[end:]


def blanked(content: bytes) -> bytes:
    """Returns the content with spaces for the attribution, so that places in it stay the same."""
    span = attribution(content)
    if span is None:
        return content
    start, end = span
    return content[:start] + b" " * (end - start) + content[end:]


def system(member: msgspec.Raw) -> list[bytes]:
    """Returns what is rendered of a body's ``system``: its blocks, or its one string."""
    content = bytes(member)
    blocks = list(map(bytes, _BLOCKS(content))) if content.startswith(b"[") else [content]
    return [shown for block in blocks if (shown := without_attribution(block))]
