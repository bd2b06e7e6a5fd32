"""Gemini's wire, as Google publishes it (ai.google.dev/api/generate-content): paths, answers, streams, errors.

`plain` gives a body the members that the upstream bills by, so that all formats are billed alike.
"""

import json
import re
from typing import Any
from urllib.parse import parse_qs

STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
THOUGHTS = 5
"""Of the output, tokens that are the model's thoughts."""
_PATH = re.compile(
    r"/v1(?:beta|alpha)?/models/([^/:]+):(generateContent|streamGenerateContent|countTokens)\Z"
)


def asked(path: str) -> tuple[str, str] | None:
    """Return the model and the method that a path names, None where it is another's."""
    match = _PATH.search(path)
    return (match[1], match[2]) if match else None


def key(headers: dict[str, str], query: str) -> str:
    """Return the key of a request: of its header, or of its query."""
    return headers.get("x-goog-api-key") or (parse_qs(query).get("key") or [""])[0]


def plain(request: dict, model: str, method: str) -> dict:
    """Return a body with its model, and with each part as a block of a message."""
    generation = request.get("generationConfig") or {}
    declared = [
        one for tool in request.get("tools") or () for one in tool.get("functionDeclarations") or [tool]
    ]
    system = request.get("systemInstruction") or request.get("system_instruction") or {}
    return {
        "model": model,
        "stream": method == "streamGenerateContent",
        "max_output_tokens": generation.get("maxOutputTokens"),
        "tools": [{"parameters": one.get("parametersJsonSchema"), **one} for one in declared],
        "system": system.get("parts") or (),
        "messages": [
            {
                "role": "assistant" if turn.get("role") == "model" else "user",
                "content": [{"type": _kind(part), **part} for part in turn["parts"]],
            }
            for turn in request["contents"]
        ],
    }


def _kind(part: dict) -> str:
    if "text" in part:
        return "thinking" if part.get("thought") else "text"
    if "functionCall" in part:
        return "tool_use"
    return "tool_result" if "functionResponse" in part else "image"


def refused(request: dict) -> str | None:
    """Return why a body is refused, None where it is not."""
    contents = request.get("contents")
    if not isinstance(contents, list) or not contents:
        return "* GenerateContentRequest.contents: contents is not specified"
    if contents[-1].get("role", "user") == "model":
        return "Please ensure that single turn requests end with a user role or the role field is empty."
    for turn in contents:
        if not turn.get("parts"):
            return "* GenerateContentRequest.contents.parts: contents.parts must not be empty."
    parts = [part for turn in contents for part in turn["parts"]]
    answered = {_call(part["functionResponse"]) for part in parts if "functionResponse" in part}
    # Whether a second result to one call is refused was not seen; Gemini CLI 0.61.0 sends one after --resume.
    if not answered.issuperset(_call(part["functionCall"]) for part in parts if "functionCall" in part):
        return "Please ensure that the number of function response parts is equal to the number of function call parts"
    return None


def _call(value: dict) -> tuple[str, str]:
    return value.get("id", ""), value["name"]


def error(status: int, message: str) -> dict:
    """Return the body of an error."""
    return {"error": {"code": status, "message": message, "status": STATUSES.get(status, "UNKNOWN")}}


def counts(usage: dict[str, int], output: int) -> dict[str, Any]:
    """Return the usage of an answer of so many tokens, thoughts included; what is 0 is left out."""
    told = {
        "promptTokenCount": usage["total"],
        "cachedContentTokenCount": usage["read"],
        "candidatesTokenCount": output - THOUGHTS,
        "thoughtsTokenCount": THOUGHTS,
        "totalTokenCount": usage["total"] + output,
    }
    details = [{"modality": "TEXT", "tokenCount": usage["total"]}]
    return {name: count for name, count in told.items() if count} | {"promptTokensDetails": details}


def answer(
    model: str, name: str, parts: list[dict], usage: dict[str, int], output: int
) -> tuple[dict, list[dict]]:
    """Return what is answered, whole and as the pieces of a stream, each with the usage so far."""
    base = {"modelVersion": model, "responseId": name}

    def piece(parts: list[dict], tokens: int, reason: str | None = None) -> dict:
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
        if reason:
            candidate["finishReason"] = reason
        return {"candidates": [candidate], "usageMetadata": counts(usage, tokens), **base}

    pieces = [piece([part], THOUGHTS + 1 + number) for number, part in enumerate(parts)]
    return piece(parts, output, "STOP"), [*pieces, piece([{"text": ""}], output, "STOP")]


def streamed(pieces: list[dict], query: str) -> tuple[str, list[bytes]]:
    """Return the type and the bytes of a stream: of events with ``alt=sse``, else of one JSON array."""
    texts = [json.dumps(piece).encode() for piece in pieces]
    if parse_qs(query).get("alt") == ["sse"]:
        return "text/event-stream", [b"data: %b\r\n\r\n" % text for text in texts]
    return "application/json", [
        b"%b%b" % (b",\r\n" if at else b"[", text) for at, text in enumerate(texts)
    ] + [b"]"]
