"""What providers refuse of a body's cache markers, as they publish it. Reads bodies as `json` decodes them.

Anthropic: platform.claude.com prompt-caching (four, order of lifetimes, thinking, empty text, the automatic breakpoint),
tool-use-with-prompt-caching and tool-search-tool (deferred tools); the words are those of its answers. Calls from code:
langchain-ai/langchain#34542. OpenRouter: openrouter.ai/docs, prompt-caching. OpenAI knows no `cache_control`.
"""

from collections.abc import Iterator
from typing import Any

SECONDS = {"5m": 300, "1h": 3600}
MOST = 4
INNER = ("content", "source", "tool_references", "tool_changes")


def within(block: Any, at: str) -> Iterator[tuple[str, dict]]:
    """Yield the blocks within a block, then the block, each with its place."""
    if not isinstance(block, dict):
        return
    for key in INNER:
        inner = block.get(key)
        for index, one in enumerate(inner if isinstance(inner, list) else [inner]):
            yield from within(one, f"{at}.{key}.{index}")
    yield at, block


def rendered(request: dict) -> Iterator[tuple[str, dict]]:
    """Yield all blocks of a Messages body in render order, each with its place."""
    for index, tool in enumerate(request.get("tools") or ()):
        yield f"tools.{index}", tool
    system = request.get("system")
    for index, one in enumerate(system if isinstance(system, list) else ()):
        yield from within(one, f"system.{index}")
    for number, message in enumerate(request.get("messages") or ()):
        content = message.get("content")
        for index, one in enumerate(content if isinstance(content, list) else ()):
            yield from within(one, f"messages.{number}.content.{index}")


def deferred(tool: dict) -> bool:
    """Tell whether a tool is not sent to the model before it is found."""
    if tool.get("type") != "mcp_toolset":
        return tool.get("defer_loading") is True
    configs = (tool.get("configs") or {}).values()
    default = (tool.get("default_config") or {}).get("defer_loading") is True
    return default and not any(one.get("defer_loading") is False for one in configs if one)


def from_code(request: dict) -> set[str]:
    """Return the ids of the tool calls that code made, not the model itself."""
    return {
        block.get("id", "")
        for _, block in rendered(request)
        if block.get("type") == "tool_use" and (block.get("caller") or {}).get("type", "direct") != "direct"
    }


def anthropic(request: dict) -> str | None:
    """Return why the Messages API refuses a body, None where it does not."""
    tools = request.get("tools") or []
    if tools and all(map(deferred, tools)):
        return "All tools have defer_loading set. At least one tool must be non-deferred."
    named = {tool.get("name") for tool in tools}
    code = from_code(request)
    lifetimes: list[tuple[str, str]] = []
    last = None
    for at, block in rendered(request):
        kind, mark = block.get("type", ""), block.get("cache_control")
        if kind == "tool_reference" and block.get("tool_name") not in named and "tool_name" in block:
            return f"{at}: Tool reference {block['tool_name']!r} has no corresponding tool definition"
        last = (at, mark) if at.count(".") == 3 and kind not in ("thinking", "redacted_thinking") else last
        if not mark:
            continue
        if at.startswith("tools.") and deferred(block):
            return f"{at}: Tools with defer_loading cannot use prompt caching."
        if kind in ("thinking", "redacted_thinking"):
            return f"{at}.cache_control: Extra inputs are not permitted"
        if kind == "text" and not block.get("text", "").strip():
            return f"{at}: cache_control cannot be set for empty text blocks"
        if (block.get("id") if kind == "tool_use" else block.get("tool_use_id")) in code:
            return f"{at}: cache_control cannot be set for tool calls from code"
        lifetimes.append((at, mark.get("ttl") or "5m"))
    automatic = request.get("cache_control")
    if automatic:
        ttl = automatic.get("ttl") or "5m"
        if last and last[1] and (last[1].get("ttl") or "5m") != ttl:
            return f"{last[0]}: the automatic breakpoint falls here with another ttl"
        lifetimes.append(("cache_control", ttl))
    return _refused(lifetimes)


def chat(request: dict) -> str | None:
    """Return why a chat body is refused for its `cache_control`: what OpenRouter and LiteLLM know, OpenAI does not."""
    lifetimes: list[tuple[str, str]] = []
    for number, message in enumerate(request.get("messages") or ()):
        content = message.get("content")
        parts = content if isinstance(content, list) else []
        places = [(f"messages.{number}.content.{index}", part) for index, part in enumerate(parts)]
        for at, block in [*places, (f"messages.{number}", message)]:
            mark = block.get("cache_control")
            if not mark:
                continue
            if not request["model"].startswith(("anthropic/", "qwen/", "google/", "claude")):
                return f"Unknown parameter: '{at}.cache_control'"
            if block is not message and (block.get("type") != "text" or not block.get("text", "").strip()):
                return f"{at}: cache_control cannot be set for empty text blocks"
            lifetimes.append((at, mark.get("ttl") or "5m"))
    automatic = request.get("cache_control")
    if automatic and "claude" in request["model"]:
        lifetimes.append(("cache_control", automatic.get("ttl") or "5m"))
    return _refused(lifetimes)


def _refused(lifetimes: list[tuple[str, str]]) -> str | None:
    if len(lifetimes) > MOST:
        return f"A maximum of {MOST} blocks with cache_control may be provided. Found {len(lifetimes)}."
    shortest = max(SECONDS.values())
    for at, ttl in lifetimes:
        if ttl not in SECONDS:
            return f"{at}.ttl: Input should be '5m' or '1h'"
        if SECONDS[ttl] > shortest:
            return (
                f"{at}.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block"
            )
        shortest = SECONDS[ttl]
    return None


REFUSED = {"/v1/messages": anthropic, "/v1/chat/completions": chat}
"""By the endpoint."""
