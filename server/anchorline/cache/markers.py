"""Writes anchors into a request body by splicing bytes, and takes them out again.

A body is never parsed and serialised again: that would change bytes that the provider has cached. A splice says
which bytes go and which come at an offset of the original, so that `strip` gives back exactly what was there.
"""

import re
from collections.abc import Sequence

import msgspec

from anchorline.cache.rules import Provider, load
from anchorline.plan import Anchor
from anchorline.prompt import half_pairs, layout
from anchorline.prompt.model import Marker, Prompt, Segment
from anchorline.prompt.unrendered import attribution


class Splice(msgspec.Struct, frozen=True):
    """At `offset` of the original, `removed` is replaced by `inserted`."""

    offset: int
    removed: bytes
    inserted: bytes


class UnmarkableError(ValueError):
    """A segment that can't carry a marker in its format."""


def marking(prompt: Prompt) -> Provider:
    """Returns the provider whose marker a body of this format, for this model, carries."""
    rules = load()
    if prompt.format == "openai-chat":
        own = rules.for_model(prompt.model or "")
        if own.marker is not None and own.marker.member == CACHE_CONTROL:
            return own
    return rules.provider("anthropic" if prompt.format == "anthropic" else "openai")


def accepted(prompt: Prompt, provider: Provider) -> bool:
    """Says whether a request takes the markers of the provider that it goes to, by its format.

    A chat body takes `cache_control` where OpenRouter or LiteLLM answers it: these name a model with its vendor
    (openrouter.ai/docs, prompt-caching). For another name its client has to have set one itself.
    """
    marker = marking(prompt).marker
    if provider.mode != "explicit" or provider.marker is None or provider.marker != marker:
        return False
    if prompt.format != "openai-chat" or marker.member != CACHE_CONTROL:
        return True
    own = [mark for mark in prompt.markers if mark.acts and member(prompt, mark) == CACHE_CONTROL]
    return "/" in (prompt.model or "") or bool(own)


def marker(provider: Provider, ttl: str) -> bytes:
    """Returns the member that marks a block, without a comma. The provider's first lifetime is its default."""
    syntax = provider.marker
    if syntax is None:
        raise UnmarkableError(f"{provider.name} has no marker")
    value = dict(syntax.value)
    if syntax.ttl_key and ttl not in ("default", provider.lifetimes[0].name):
        value[syntax.ttl_key] = ttl
    return msgspec.json.encode(syntax.member) + b":" + msgspec.json.encode(value)


def lifetime(prompt: Prompt, mark: Marker) -> str:
    """Returns the lifetime that a client's marker asks for; without a `ttl` the default of its provider."""
    if mark.ttl != "default":
        return mark.ttl
    name = member(prompt, mark)
    owner = next(
        provider
        for provider in load().providers.values()
        if provider.marker is not None and provider.marker.member == name
    )
    return owner.lifetimes[0].name


def member(prompt: Prompt, mark: Marker) -> str:
    """Returns the name of the member that a client's marker is."""
    text = prompt.load(mark.start, mark.end)
    return CACHE_CONTROL if b'"cache_control"' in text else "prompt_cache_breakpoint"


CACHE_CONTROL = "cache_control"


def markable(prompt: Prompt, index: int) -> bool:
    """Says whether a segment may carry a marker. What a prompt document becomes is the client's to say.

    Anthropic refuses it on thinking and on empty text (platform.claude.com, prompt-caching), and on calls of tools from
    code, with their results (langchain-ai/langchain#34542). Of a toolset of which some tools are deferred nobody knows
    which is the last one. OpenAI takes it on parts of messages that are not the model's. OpenRouter and LiteLLM take it
    on text, and on a tool's message as a whole (OpenRouterTeam/ai-sdk-provider, convert-to-openrouter-chat-messages).
    What holds the client's attribution stays as it is.
    """
    segment = prompt.segments[index]
    if (
        segment.role == "system"
        and segment.section != "tools"
        and attribution(_content(prompt, segment)) is not None
    ):
        return False
    if prompt.format in ("anthropic", "claude-code"):
        if segment.kind in ("thinking", "other") or blank(prompt, segment):
            return False
        if segment.kind == "tool":
            return b'"defer_loading"' not in (content := _content(prompt, segment)) or not _TOOLSET.search(
                content
            )
        return segment.kind not in ("tool_use", "tool_result") or not from_code(prompt, index)
    if prompt.format == "markdown":
        return True
    if segment.section != "messages" or segment.role == "assistant":
        return False
    if prompt.format == "openai-chat" and marking(prompt).name != "openai":
        return segment.role == "tool" or _text(prompt, segment) is not None
    return segment.block >= 0 and segment.role in ("user", "system")


def blank(prompt: Prompt, segment: Segment) -> bool:
    """Says whether a text block, or a message's string, holds only white space: no provider takes a marker there."""
    return segment.kind in ("text", "system") and is_blank(_content(prompt, segment))


def is_blank(content: bytes) -> bool:
    """Says whether a block of text, or a JSON string, holds only white space."""
    start, end = _words(content, b'"text"') if content.startswith(b"{") else (0, len(content))
    return (
        content.startswith(b'"', start)
        and _PLAIN.match(content, start + 1) is None
        and not _filled(content[start:end])
    )


def _words(content: bytes, name: bytes) -> tuple[int, int]:
    """Returns where the value of an object's member stands, the last one's of that name; (-1, -1) without one."""
    span = (-1, -1)
    for part in layout.members(content, 0):
        if part.key == name:
            span = (part.start, part.end)
    return span


def _filled(literal: bytes) -> bool:
    return bool(half_pairs.decoded(_string, literal).strip())


_string = msgspec.json.Decoder(str).decode


_PLAIN = re.compile(rb'[^\s\\"\x80-\xff]')
"""What can be no white space, in any spelling: most texts begin with it, and need no decoding."""
_TOOLSET = re.compile(rb'"type"\s*:\s*"mcp_toolset"')
_CALLER = re.compile(rb'"caller"\s*:\s*\{[^{}]*"type"\s*:\s*"(?!direct")')
_CALL = re.compile(rb'"tool_use_id"\s*:\s*("[^"\\]*")')
_EMPTY = re.compile(rb"\{\s*\}\Z")


def _content(prompt: Prompt, segment: Segment) -> bytes:
    return prompt.load(segment.start, segment.end)


def from_code(prompt: Prompt, index: int) -> bool:
    """Says whether a block is the call of a tool from code that the model wrote, or such a call's result."""
    segment = prompt.segments[index]
    content = _content(prompt, segment)
    if segment.kind == "tool_use":
        return b'"caller"' in content and _CALLER.search(content) is not None
    call = _CALL.search(content)
    for earlier in reversed(prompt.segments[:index]) if call is not None else ():
        if earlier.section != "messages" or earlier.message < segment.message - 1:
            break
        if earlier.kind == "tool_use" and call is not None and call[1] in (use := _content(prompt, earlier)):
            return b'"caller"' in use and _CALLER.search(use) is not None
    return False


def _text(prompt: Prompt, segment: Segment) -> tuple[int, int] | None:
    """Returns where the text stands that a chat message of the user's or the system's is marked by.

    It is a text part, or a string as the message's content. None: there is no such text, or it is empty.
    """
    content = _content(prompt, segment)
    if segment.block >= 0:
        return (segment.start, segment.end) if _IS_TEXT.search(content) and not is_blank(content) else None
    start, end = _words(content, b'"content"')
    if not content.startswith(b'"', start) or is_blank(content[start:end]):
        return None
    return segment.start + start, segment.start + end


_IS_TEXT = re.compile(rb'"type"\s*:\s*"text"')


def splices(prompt: Prompt, anchors: Sequence[Anchor]) -> tuple[Splice, ...]:
    """Returns the splices that make a body carry exactly `anchors`.

    The client's markers that are among them (origin ``client``) stay untouched, and one on what is not rendered; its
    others are removed, those that mark nothing along with another change only. Raises UnmarkableError for a segment
    that can't carry a marker, or a prompt that is no request body.
    """
    if prompt.format not in ("anthropic", "openai-chat", "openai-responses"):
        raise UnmarkableError(f"{prompt.format} is not a request body")
    kept = {anchor.segment for anchor in anchors if anchor.origin == "client"}
    added = [anchor for anchor in anchors if anchor.origin == "plan"]
    removed = [
        mark
        for mark in prompt.markers
        if mark.standing != "unrendered" and not (mark.acts and mark.segment in kept)
    ]
    if not added and not any(mark.acts for mark in removed):
        return ()
    changes = [Splice(mark.start, prompt.load(mark.start, mark.end), b"") for mark in removed]
    for anchor in added:
        changes += _insert(prompt, anchor.segment, anchor.ttl)
    return tuple(sorted(changes, key=lambda splice: (splice.offset, len(splice.removed))))


def _insert(prompt: Prompt, index: int, ttl: str) -> list[Splice]:
    segment = prompt.segments[index]
    if not markable(prompt, index):
        raise UnmarkableError(f"a {segment.kind} segment can't carry a cache marker")
    provider = marking(prompt)
    mark = marker(provider, ttl)
    start, end = segment.start, segment.end
    if prompt.format == "openai-chat" and segment.role != "tool":
        start, end = _text(prompt, segment) or (start, end)
    if prompt.load(start, start + 1) == b'"':
        # Content given as one string becomes a list of one text block, which the provider renders alike.
        return [
            Splice(start, b"", b'[{"type":"text","text":'),
            Splice(end, b"", b"," + mark + b"}]"),
        ]
    alone = _EMPTY.match(prompt.load(start, end)) is not None
    return [Splice(end - 1, b"", mark if alone else b"," + mark)]


def apply(body: bytes, changes: Sequence[Splice]) -> bytes:
    """Returns the body with the splices made. Raises ValueError if they don't belong to it."""
    parts: list[bytes] = []
    position = 0
    for change in changes:
        end = change.offset + len(change.removed)
        if change.offset < position or body[change.offset : end] != change.removed:
            raise ValueError(f"the splice at byte {change.offset} does not fit the body")
        parts += (body[position : change.offset], change.inserted)
        position = end
    parts.append(body[position:])
    return b"".join(parts)


def strip(body: bytes, changes: Sequence[Splice]) -> bytes:
    """Returns the body as it was before the splices were made. Raises ValueError if they were not."""
    shift = 0
    inverse = []
    for change in changes:
        inverse.append(Splice(change.offset + shift, change.inserted, change.removed))
        shift += len(change.inserted) - len(change.removed)
    return apply(body, inverse)
