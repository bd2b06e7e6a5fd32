"""Reads a prompt of any format: a request body, a session file, Markdown."""

import codecs
from contextlib import suppress
from pathlib import Path, PurePath

import msgspec
from msgspec import UNSET, Raw, UnsetType

from anchorline.prompt import half_pairs
from anchorline.prompt.formats import anthropic, body, claude_code, codex, gemini, markdown, openai
from anchorline.prompt.formats.dialect import Dialect
from anchorline.prompt.formats.memory import Memory
from anchorline.prompt.model import EmptyPromptError, Format, Prompt, PromptError
from anchorline.prompt.source import PACKED, first_lines, read_bytes

__all__ = ["FORMATS", "Memory", "detect", "read", "read_file"]

FORMATS: tuple[Format, ...] = (
    "markdown",
    "anthropic",
    "openai-chat",
    "openai-responses",
    "gemini",
    "claude-code",
    "codex",
)

_DIALECTS: dict[str, Dialect] = {
    dialect.format: dialect
    for dialect in (anthropic.Anthropic(), openai.Chat(), openai.Responses(), gemini.Gemini())
}
_MARKDOWN = (".md", ".markdown", ".mdx", ".txt", ".rules")


class _Shape(
    msgspec.Struct, rename={"model_id": "modelId", "inference": "inferenceConfig", "config": "toolConfig"}
):
    """The members that tell the bodies apart."""

    messages: Raw | UnsetType = UNSET
    input: Raw | UnsetType = UNSET
    system: Raw | UnsetType = UNSET
    cache_control: Raw | UnsetType = UNSET
    anthropic_version: str | UnsetType = UNSET
    max_completion_tokens: Raw | UnsetType = UNSET
    max_tokens: Raw | UnsetType = UNSET
    model: str | UnsetType | None = UNSET
    model_id: Raw | UnsetType = UNSET
    inference: Raw | UnsetType = UNSET
    config: Raw | UnsetType = UNSET
    contents: list[Raw] | Raw | UnsetType = UNSET

    @property
    def speakers(self) -> "list[_Speaker]":
        """The messages' roles and contents; none where they are no list of messages."""
        with suppress(msgspec.MsgspecError):
            return msgspec.json.decode(bytes(self.messages or b""), type=list[_Speaker])
        return []

    @property
    def converse(self) -> bool:
        """Whether it is Bedrock's Converse API's: its own members, or blocks that are told apart by their members.

        Source: docs.aws.amazon.com/bedrock, API_runtime_Converse (`{"text": …}`, `{"cachePoint": …}`).
        """
        own = (self.model_id, self.inference, self.config)
        if self.anthropic_version is UNSET and any(member is not UNSET for member in own):
            return True
        contents = [speaker.content for speaker in self.speakers[:_LOOKED_AT]]
        if isinstance(self.system, Raw):
            contents.append(self.system)
        for content in contents:
            with suppress(msgspec.MsgspecError):
                blocks = [set(block) for block in msgspec.json.decode(content, type=list[dict[str, Raw]])]
                if any("type" not in members and members & _CONVERSE for members in blocks):
                    return True
        return False

    @property
    def chat(self) -> bool:
        """Whether it can be no Messages body: these need `max_tokens`, and begin with a user's message.

        A model with its vendor is how OpenRouter and LiteLLM name it, which answer both.
        """
        if self.max_completion_tokens is not UNSET:
            return True
        roles = [speaker.role for speaker in self.speakers]
        if roles[:1] == ["system"] or not {"developer", "tool", "function"}.isdisjoint(roles):
            return True
        return self.max_tokens is UNSET and "/" in (self.model or "")


class _Speaker(msgspec.Struct):
    role: str | None = None
    content: Raw = Raw(b"")


_LOOKED_AT = 8
"""Messages whose blocks tell a body; the others are alike."""
_CONVERSE = {
    "text",
    "image",
    "document",
    "video",
    "cachePoint",
    "toolUse",
    "toolResult",
    "guardContent",
    "reasoningContent",
}
"""The members that a block of Bedrock's Converse API has one of, where others have a type."""


_shape = msgspec.json.Decoder(_Shape).decode


def detect(data: bytes, name: str | None = None) -> Format:
    """Tells the format of a body or document, by its name where that says enough, else by its shape.

    Session files are told by their first line (see `read_file`). Raises PromptError for JSON that is no known body.
    """
    suffix = PurePath(name).suffix.lower() if name else ""
    if suffix in _MARKDOWN or not data.lstrip().startswith(b"{"):
        if suffix in (".json", ".jsonc"):
            if not data.strip():
                raise EmptyPromptError
            raise PromptError("a request body is a JSON object", offset=0)
        return "markdown"
    try:
        with body.refusing(data):
            shape = half_pairs.decoded(_shape, data)
    except PromptError:
        if suffix in (".json", ".jsonc"):
            raise
        return "markdown"
    if shape.messages is not UNSET and shape.converse:
        raise PromptError("a body of Bedrock's Converse API (cachePoint, toolConfig) is not read", offset=0)
    if shape.messages is UNSET and shape.input is UNSET and isinstance(shape.contents, list):
        return "gemini"
    if shape.input is not UNSET and shape.messages is UNSET:
        return "openai-responses"
    if shape.messages is UNSET:
        if suffix in (".json", ".jsonc"):
            raise PromptError('no request body: it has none of "messages", "input", "contents"', offset=0)
        return "markdown"
    if shape.system is not UNSET or shape.anthropic_version is not UNSET:
        return "anthropic"
    if shape.chat:
        return "openai-chat"
    model = (shape.model or "").lower()
    if shape.cache_control is not UNSET or "claude" in model:
        return "anthropic"
    if model and "claude" not in model:
        return "openai-chat"
    return "anthropic" if _ANTHROPIC_BLOCK in bytes(shape.messages) else "openai-chat"


_ANTHROPIC_BLOCK = b'"tool_use_id"'


def read(
    data: bytes,
    *,
    name: str | None = None,
    format: Format | None = None,  # noqa: A002  (a prompt's format has no other name)
    memory: Memory | None = None,
    model: str | None = None,
) -> Prompt:
    """Reads a prompt document or request body. With a `memory` only what is new of a conversation is read.

    `name` is a file's name, or its path: some agents' rules are known by their folder. `model` is the one that a
    document, or a Gemini body, goes to where it names none.

    Raises PromptError naming what is wrong and where.
    """
    data = _unmarked(data)
    document_format = format or (memory and memory.format(data)) or detect(data, name)
    dialect = _DIALECTS.get(document_format)
    if dialect is not None:
        given = model if document_format == "gemini" else None  # whose model stands in the request's path
        try:
            return body.read(data, dialect, memory, given)
        except PromptError:
            mended = half_pairs.replaced(data)
            if mended == data:
                raise
            prompt = body.read(mended, dialect, memory, given)
            return msgspec.structs.replace(prompt, load=lambda start, end: data[start:end])
    if document_format == "markdown":
        return markdown.read(data, name, model)
    raise PromptError(f"{document_format} is read from a file: use read_file")


def _unmarked(data: bytes) -> bytes:
    """Returns a text without its byte order mark: as UTF-8, and where it is that already, with every byte in its place.

    In a body blanks stand for the mark, which JSON allows. A document keeps it: `markdown` begins behind it.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16").encode()
        except UnicodeError as error:
            raise PromptError(f"invalid UTF-16: {error}") from error
    if data.startswith(codecs.BOM_UTF8) and data[3:].lstrip().startswith(b"{"):
        return b"   " + data[3:]
    return data


def read_file(path: Path, *, format: Format | None = None, model: str | None = None) -> Prompt:  # noqa: A002
    """Reads a prompt from a file: any document or body, or a session file (JSON lines, plain or packed).

    Session files are streamed. `model` as in `read`. Raises PromptError, or OSError where the file can't be read.
    """
    name = path.name
    for suffix in PACKED:
        name = name.removesuffix(suffix)
    if format is None and name.endswith(".jsonl"):
        format = "codex" if any(map(codex.sniff, first_lines(path))) else "claude-code"  # noqa: A001
    if format == "claude-code":
        return claude_code.read(path)
    if format == "codex":
        return codex.read(path)
    return read(read_bytes(path), name=str(path.with_name(name).absolute()), format=format, model=model)
