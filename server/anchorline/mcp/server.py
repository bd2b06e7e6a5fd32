"""Serves the tools over standard input and output, by the official SDK (py.sdk.modelcontextprotocol.io)."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio
import mcp_types as types
import msgspec
from anyio.to_thread import run_sync
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from anchorline import __version__
from anchorline.live import logs
from anchorline.mcp.answers import schema
from anchorline.mcp.roots import Roots
from anchorline.mcp.tools import CallError, Tool, Tools

INSTRUCTIONS = (
    "Figures about prompts, prompt caches and cost on this machine. All tools only read: use `plan` before a large or "
    "expensive prompt, `ground` to find where in the workspace a task is, `warm` to see what is cached and until when, "
    "`cost` for what was spent."
)
log = logging.getLogger(__name__)


def serve(roots: Sequence[Path], log_level: str) -> None:
    """Serves until standard input ends. What is logged never holds prompt text."""
    logs.configure(log_level)
    anyio.run(_serve, Tools(Roots(roots)))


async def _serve(tools: Tools) -> None:
    server: Server[object] = Server(
        "anchorline",
        version=__version__,
        title="Anchorline",
        instructions=INSTRUCTIONS,
        on_list_tools=partial(_list, tools),
        on_call_tool=partial(_call, tools, anyio.CapacityLimiter(1)),
    )
    async with stdio_server() as (requests, answers):
        await server.run(requests, answers, server.create_initialization_options())


async def _list(
    tools: Tools, _: ServerRequestContext[object], __: types.PaginatedRequestParams | None
) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[_described(tool) for tool in tools.by_name.values()])


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=schema(tool.arguments),
        output_schema=schema(tool.answer),
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=True,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=False,
        ),
    )


async def _call(
    tools: Tools,
    limiter: anyio.CapacityLimiter,
    _: ServerRequestContext[object],
    call: types.CallToolRequestParams,
) -> types.CallToolResult:
    """Answers a call in a thread, one at a time. What breaks is said to the agent, without a word of its prompt."""
    tool = tools.by_name.get(call.name)
    if tool is None:
        raise MCPError(types.INVALID_PARAMS, f"there is no tool {call.name!r}")
    try:
        answer = await run_sync(tool.call, call.arguments or {}, limiter=limiter)
    except CallError as error:
        return _text(str(error), is_error=True)
    except Exception as error:  # noqa: BLE001  (fail open: the agent goes on without the answer)
        log.warning("%s failed: %s", tool.name, type(error).__name__)
        return _text(f"{tool.name} failed ({type(error).__name__}); go on without it", is_error=True)
    result = _text(answer.text)
    result.structured_content = msgspec.to_builtins(answer.value)
    return result


def _text(text: str, *, is_error: bool = False) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=is_error)
