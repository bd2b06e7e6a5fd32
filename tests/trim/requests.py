"""Requests with the results of tools, in every form in which clients send them."""

import json
from typing import Any

from anchorline.cache import markers
from anchorline.gateway.splice import shortened
from anchorline.prompt import formats
from anchorline.prompt.model import Prompt
from anchorline.trim.results import Shortened, decoded, literals

FORMS = ("anthropic", "parts", "chat", "responses")
LONG = "".join(f"Rule {n}: keep x[{n}] and y({n}, {n * 7}) apart. " for n in range(2000))
"""A system prompt that makes a request long enough to be trimmed."""


def request(
    *outputs: str,
    form: str = "anthropic",
    tool: str = "read",
    given: dict[str, Any] | None = None,
    system: str = LONG,
    **members: Any,
) -> bytes:
    """A request with the answers to as many calls of one tool."""
    given = given or {}
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Do it"}]
    if form in ("chat", "responses"):
        messages.insert(0, {"role": "system", "content": system})
    for n, output in enumerate(outputs):
        name, arguments = f"call_{n}", json.dumps(given)
        if form in ("anthropic", "parts"):
            content: Any = output
            if form == "parts":
                content = [{"type": "text", "text": output}, {"type": "image", "source": {}}]
            use = {"type": "tool_use", "id": name, "name": tool, "input": given}
            result = {"type": "tool_result", "tool_use_id": name, "content": content}
            messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
        elif form == "chat":
            call = {"id": name, "type": "function", "function": {"name": tool, "arguments": arguments}}
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": name, "content": output})
        else:
            messages.append({"type": "function_call", "call_id": name, "name": tool, "arguments": arguments})
            messages.append({"type": "function_call_output", "call_id": name, "output": output})
    if form in ("anthropic", "parts"):
        members = {"model": "claude-sonnet-5", "system": system, "messages": messages} | members
    else:
        members = {"model": "gpt-5.6", "input" if form == "responses" else "messages": messages} | members
    return json.dumps(members).encode()


def sent(body: bytes, shorter: Shortened | None = None, warm: int = -1) -> bytes:
    """The request as it is sent, and that it is noted as sent."""
    shorter, prompt = shorter or Shortened(), formats.read(body)
    trims = shorter.shorten(prompt, warm)
    shorter.keep(prompt, trims)
    changes = shortened(prompt, trims)
    made = markers.apply(body, changes)
    assert markers.strip(made, changes) == body
    return made


def texts(prompt: Prompt) -> dict[int, list[str]]:
    """The texts of each tool result."""
    found = {}
    for index, segment in enumerate(prompt.segments):
        if segment.kind == "tool_result":
            content = prompt.load(segment.start, segment.end)
            found[index] = [decoded(content[start:end]) for start, end in literals(content)]
    return found
