"""Writes an answer of the local model in each provider's API: whole, or event by event."""

import time
from typing import Literal, Protocol

import msgspec

from anchorline.prompt.model import Format

Json = dict[str, object]


class Ended(msgspec.Struct, frozen=True):
    """Why an answer ended, and its tokens; `input` is without those `read` from the model's own cache."""

    finish: Literal["stop", "length"]
    input: int = 0
    read: int = 0
    output: int = 0


class Speech(Protocol):
    """One answer in the making."""

    def begin(self, input_tokens: int, read: int) -> bytes:
        """Returns the events before its text, by the prompt's tokens: those that were read for it, and before it."""
        ...

    def piece(self, text: str) -> bytes:
        """Returns the event of a piece of its text."""
        ...

    def end(self, ended: Ended) -> bytes:
        """Returns the events after its text."""
        ...

    def error(self, message: str) -> bytes:
        """Returns the event of an answer that breaks off."""
        ...

    def whole(self, ended: Ended) -> bytes:
        """Returns it in one piece."""
        ...


def of(body_format: Format, model: str, *, include_usage: bool) -> Speech:
    """Returns an answer in the API of a request's format."""
    if body_format == "anthropic":
        return Messages(model)
    return Chat(model, include_usage=include_usage) if body_format == "openai-chat" else Responses(model)


def _name() -> str:
    return f"{time.time_ns():x}"


def _event(value: Json) -> bytes:
    return f"event: {value['type']}\n".encode() + _data(value)


def _data(value: Json) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


class Messages:
    """Anthropic Messages."""

    def __init__(self, model: str) -> None:
        self._text: list[str] = []
        self._base: Json = {"id": f"msg_{_name()}", "type": "message", "role": "assistant", "model": model}

    def begin(self, input_tokens: int, read: int) -> bytes:
        """Returns the events before its text, which tell what was read as well as the last ones."""
        usage = self._usage(Ended("stop", input_tokens, read))
        rest: Json = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
        block = {"type": "text", "text": ""}
        return _event({"type": "message_start", "message": self._base | rest}) + _event(
            {"type": "content_block_start", "index": 0, "content_block": block}
        )

    def piece(self, text: str) -> bytes:
        """Returns the event of a piece of its text."""
        self._text.append(text)
        delta = {"type": "text_delta", "text": text}
        return _event({"type": "content_block_delta", "index": 0, "delta": delta})

    def end(self, ended: Ended) -> bytes:
        """Returns the events after its text."""
        delta = {"stop_reason": self._reason(ended), "stop_sequence": None}
        return (
            _event({"type": "content_block_stop", "index": 0})
            + _event({"type": "message_delta", "delta": delta, "usage": self._usage(ended)})
            + _event({"type": "message_stop"})
        )

    def error(self, message: str) -> bytes:
        """Returns the event of an answer that breaks off."""
        return _event({"type": "error", "error": {"type": "api_error", "message": message}})

    def whole(self, ended: Ended) -> bytes:
        """Returns it in one piece."""
        content = [{"type": "text", "text": "".join(self._text)}]
        reason = self._reason(ended)
        rest = {"content": content, "stop_reason": reason, "stop_sequence": None, "usage": self._usage(ended)}
        return msgspec.json.encode(self._base | rest)

    @staticmethod
    def _reason(ended: Ended) -> str:
        return "end_turn" if ended.finish == "stop" else "max_tokens"

    @staticmethod
    def _usage(ended: Ended) -> Json:
        return {
            "input_tokens": ended.input,
            "cache_read_input_tokens": ended.read,
            "cache_creation_input_tokens": 0,
            "output_tokens": ended.output,
        }


class Chat:
    """OpenAI chat completions."""

    def __init__(self, model: str, *, include_usage: bool) -> None:
        self._text: list[str] = []
        self._include_usage = include_usage
        self._base: Json = {"id": f"chatcmpl-{_name()}", "created": int(time.time()), "model": model}

    def begin(self, input_tokens: int, read: int) -> bytes:  # noqa: ARG002  (told at the end)
        """Returns the events before its text."""
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, text: str) -> bytes:
        """Returns the event of a piece of its text."""
        self._text.append(text)
        return self._chunk({"content": text})

    def end(self, ended: Ended) -> bytes:
        """Returns the events after its text."""
        last = self._chunk({}, ended.finish)
        if self._include_usage:
            usage = {"object": "chat.completion.chunk", "choices": [], "usage": self._usage(ended)}
            last += _data(self._base | usage)
        return last + b"data: [DONE]\n\n"

    def error(self, message: str) -> bytes:
        """Returns the event of an answer that breaks off."""
        return _data({"error": {"type": "server_error", "message": message}})

    def whole(self, ended: Ended) -> bytes:
        """Returns it in one piece."""
        message = {"role": "assistant", "content": "".join(self._text)}
        choice = {"index": 0, "message": message, "finish_reason": ended.finish, "logprobs": None}
        rest = {"object": "chat.completion", "choices": [choice], "usage": self._usage(ended)}
        return msgspec.json.encode(self._base | rest)

    def _chunk(self, delta: Json, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return _data(self._base | {"object": "chat.completion.chunk", "choices": [choice]})

    @staticmethod
    def _usage(ended: Ended) -> Json:
        prompt = ended.input + ended.read
        return {
            "prompt_tokens": prompt,
            "completion_tokens": ended.output,
            "total_tokens": prompt + ended.output,
            "prompt_tokens_details": {"cached_tokens": ended.read},
        }


class Responses:
    """OpenAI Responses."""

    def __init__(self, model: str) -> None:
        self._text: list[str] = []
        self._number = -1
        self._item = f"msg_{_name()}"
        self._base: Json = {
            "id": f"resp_{_name()}",
            "object": "response",
            "created_at": int(time.time()),
            "model": model,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }

    def begin(self, input_tokens: int, read: int) -> bytes:  # noqa: ARG002  (told at the end)
        """Returns the events before its text."""
        started = self._base | {"status": "in_progress", "output": [], "usage": None}
        item = {
            "type": "message",
            "id": self._item,
            "role": "assistant",
            "status": "in_progress",
            "content": [],
        }
        return (
            self._event("response.created", response=started)
            + self._event("response.in_progress", response=started)
            + self._event("response.output_item.added", output_index=0, item=item)
            + self._part("response.content_part.added", part=self._content(""))
        )

    def piece(self, text: str) -> bytes:
        """Returns the event of a piece of its text."""
        self._text.append(text)
        return self._part("response.output_text.delta", delta=text, logprobs=[])

    def end(self, ended: Ended) -> bytes:
        """Returns the events after its text."""
        text = "".join(self._text)
        kind = "response.completed" if ended.finish == "stop" else "response.incomplete"
        return (
            self._part("response.output_text.done", text=text, logprobs=[])
            + self._part("response.content_part.done", part=self._content(text))
            + self._event("response.output_item.done", output_index=0, item=self._message(ended))
            + self._event(kind, response=self._response(ended))
        )

    def error(self, message: str) -> bytes:
        """Returns the event of an answer that breaks off."""
        return self._event("error", code="server_error", message=message, param=None)

    def whole(self, ended: Ended) -> bytes:
        """Returns it in one piece."""
        return msgspec.json.encode(self._response(ended))

    def _event(self, kind: str, **members: object) -> bytes:
        self._number += 1
        return _event({"type": kind, "sequence_number": self._number, **members})

    def _part(self, kind: str, **members: object) -> bytes:
        return self._event(kind, item_id=self._item, output_index=0, content_index=0, **members)

    def _response(self, ended: Ended) -> Json:
        details = None if ended.finish == "stop" else {"reason": "max_output_tokens"}
        prompt = ended.input + ended.read
        usage = {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": ended.read},
            "output_tokens": ended.output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + ended.output,
        }
        rest = {"output": [self._message(ended)], "incomplete_details": details, "usage": usage}
        return self._base | {"status": self._status(ended)} | rest

    def _message(self, ended: Ended) -> Json:
        content = [self._content("".join(self._text))]
        base = {"type": "message", "id": self._item, "role": "assistant", "status": self._status(ended)}
        return base | {"content": content}

    @staticmethod
    def _status(ended: Ended) -> str:
        return "completed" if ended.finish == "stop" else "incomplete"

    @staticmethod
    def _content(text: str) -> Json:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
