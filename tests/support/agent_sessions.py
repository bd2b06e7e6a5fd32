"""What agents write down, made by hand after what the programs themselves wrote: one conversation of three requests.

A person asks, the model reads a file, commits, and answers. Each has the tokens of `COUNTS`.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

START = 1_796_000_000.0
"""2026-11-30, 00:53 UTC."""
COUNTS = ((10, 0, 5000, 50), (0, 5010, 700, 60), (20, 5710, 30, 70))
"""Of each request: uncached, read, written, output."""
TOOLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("read", {"filePath": "/src/app/a.py", "path": "/src/app/a.py", "offset": 5, "limit": 20}),
    ("bash", {"command": "git commit -m done"}),
)
FOLDER = "/src/app"


def milliseconds(after: float) -> int:
    """Epoch milliseconds, so many seconds after `START`."""
    return int((START + after) * 1000)


def timestamp(after: float) -> str:
    """The same as a timestamp, on the first minute."""
    return f"2026-11-30T00:53:{20 + after:06.3f}Z"


class OpenCodeDatabase:
    """An OpenCode database, with the columns that are read and some that are not. `log`: in WAL mode."""

    def __init__(self, path: Path, *, log: bool = True) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None)
        if log:
            self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.executescript(
            """
            CREATE TABLE IF NOT EXISTS session (id text PRIMARY KEY, project_id text, parent_id text, directory text NOT NULL,
                title text, agent text, time_created integer NOT NULL, time_updated integer NOT NULL);
            CREATE TABLE IF NOT EXISTS message (id text PRIMARY KEY, session_id text NOT NULL, time_created integer NOT NULL,
                time_updated integer NOT NULL, data text NOT NULL);
            CREATE TABLE IF NOT EXISTS part (id text PRIMARY KEY, message_id text NOT NULL, session_id text NOT NULL,
                time_created integer NOT NULL, time_updated integer NOT NULL, data text NOT NULL);
            CREATE INDEX IF NOT EXISTS message_session ON message (session_id, time_created, id);
            CREATE INDEX IF NOT EXISTS part_message ON part (message_id, id);
            """
        )
        self._parts = self.connection.execute("SELECT count(*) FROM part").fetchone()[0]

    def close(self) -> None:
        """Closes it, as the agent does: the log goes into the file."""
        self.connection.close()

    def session(self, name: str = "ses_1", parent: str | None = None, agent: str = "build") -> None:
        """Adds a session."""
        values = (name, "global", parent, FOLDER, "a title", agent, milliseconds(0), milliseconds(0))
        self.connection.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def message(
        self, session: str, name: str, after: float, parts: list[dict[str, Any]], **data: Any
    ) -> None:
        """Adds a message with its parts, a tenth of a second each."""
        at = milliseconds(after)
        values = (name, session, at, at + 900, json.dumps(data))
        self.connection.execute("INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?)", values)
        for number, part in enumerate(parts):
            self._parts += 1
            row = (
                f"prt_{self._parts:04}",
                name,
                session,
                at + 100 * number,
                at + 100 * number,
                json.dumps(part),
            )
            self.connection.execute("INSERT INTO part VALUES (?, ?, ?, ?, ?, ?)", row)

    def ask(self, session: str, name: str, after: float, words: str = "fix it") -> None:
        """Adds a person's message."""
        self.message(session, name, after, [{"type": "text", "text": words}], role="user")

    def answer(
        self,
        session: str,
        name: str,
        after: float,
        counts: tuple[int, int, int, int],
        tool: tuple[str, dict[str, Any]] | None = None,
        provider: str = "anthropic",
        model: str = "claude-sonnet-5-5",
        **data: Any,
    ) -> None:
        """Adds an answer of one step, which calls a tool or not. Ten of the output tokens are reasoning."""
        uncached, read, written, output = counts
        cache = {"read": read, "write": written}
        told = {"input": uncached, "output": output - 10, "reasoning": 10, "cache": cache}
        parts: list[dict[str, Any]] = [{"type": "step-start"}, {"type": "reasoning", "text": "hm"}]
        if tool is not None:
            state = {"status": "completed", "input": tool[1], "output": "x = 1\n" * 50}
            parts.append({"type": "tool", "tool": tool[0], "callID": f"call_{name}", "state": state})
        parts.append({"type": "step-finish", "reason": "stop", "tokens": told, "cost": 0})
        data = {"role": "assistant", "modelID": model, "providerID": provider, "tokens": told, **data}
        self.message(session, name, after, parts, **data)

    def conversation(self, session: str = "ses_1", prefix: str = "") -> None:
        """Adds the conversation of three requests."""
        self.ask(session, f"msg_{prefix}1", 0)
        for number, counts in enumerate(COUNTS):
            tool = TOOLS[number] if number < len(TOOLS) else None
            self.answer(session, f"msg_{prefix}{number + 2}", 2.0 * number + 1, counts, tool)


def opencode(path: Path, *, log: bool = False) -> Path:
    """Writes a database with one session."""
    with closing(OpenCodeDatabase(path, log=log)) as database:
        database.session()
        database.conversation()
    return path


class PiLog:
    """A session file of Pi."""

    def __init__(self, session: str = "pi-1") -> None:
        self.entries: list[dict[str, Any]] = [
            {
                "type": "session",
                "version": 3,
                "id": session,
                "timestamp": "2026-11-30T00:53:20Z",
                "cwd": FOLDER,
            }
        ]
        self.leaf: str | None = None

    def add(self, kind: str, **more: Any) -> str:
        """Adds an entry behind the newest one; returns its id."""
        name = f"{len(self.entries):08x}"
        self.entries.append({"type": kind, "id": name, "parentId": self.leaf, **more})
        self.leaf = name
        return name

    def ask(self, after: float, words: str = "fix it") -> str:
        """Adds a person's message."""
        content = [{"type": "text", "text": words}]
        return self.add(
            "message", message={"role": "user", "content": content, "timestamp": milliseconds(after)}
        )

    def answer(
        self,
        after: float,
        counts: tuple[int, int, int, int],
        tool: tuple[str, dict[str, Any]] | None = None,
        response: str = "msg_1",
        **more: Any,
    ) -> str:
        """Adds an answer, and what the tool that it calls returned."""
        content: list[dict[str, Any]] = [
            {"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": "I look."},
        ]
        if tool is not None:
            content.append(
                {"type": "toolCall", "id": f"call_{response}", "name": tool[0], "arguments": tool[1]}
            )
        usage = dict(zip(("input", "cacheRead", "cacheWrite", "output"), counts, strict=True))
        name = self.add(
            "message",
            message={
                "role": "assistant",
                "content": content,
                "provider": "anthropic",
                "model": "claude-sonnet-4-6",
                "usage": {**usage, "totalTokens": sum(counts)},
                "stopReason": "stop",
                "timestamp": milliseconds(after),
                "responseId": response,
                **more,
            },
        )
        if tool is not None:
            result = {"role": "toolResult", "toolCallId": f"call_{response}", "toolName": tool[0]}
            text = [{"type": "text", "text": "x = 1\n" * 50}]
            self.add(
                "message",
                message={
                    **result,
                    "content": text,
                    "isError": False,
                    "timestamp": milliseconds(after + 0.5),
                },
            )
        return name

    def bytes(self) -> bytes:
        """The file."""
        return "".join(json.dumps(entry) + "\n" for entry in self.entries).encode()


def pi() -> PiLog:
    """The conversation of three requests."""
    log = PiLog()
    log.ask(0)
    for number, counts in enumerate(COUNTS):
        tool = TOOLS[number] if number < len(TOOLS) else None
        log.answer(2.0 * number + 1, counts, tool, f"msg_{number + 1}")
    return log


def cline() -> dict[str, Any]:
    """The document of the conversation of three requests."""
    messages: list[dict[str, Any]] = [
        {
            "id": "u1",
            "role": "user",
            "ts": milliseconds(0),
            "content": [{"type": "text", "text": "<user_input>fix it</user_input>"}],
        }
    ]
    calls: tuple[tuple[str, dict[str, Any]], ...] = (
        ("read_files", {"files": [{"path": "/src/app/a.py"}]}),
        ("run_commands", {"commands": ["git commit -m done"]}),
    )
    for number, (uncached, read, written, output) in enumerate(COUNTS):
        content: list[dict[str, Any]] = [{"type": "text", "text": "I look."}]
        if number < len(calls):
            name, given = calls[number]
            content.append({"type": "tool_use", "id": f"c{number}", "name": name, "input": given})
        metrics = {
            "inputTokens": uncached + read + written,
            "outputTokens": output,
            "cacheReadTokens": read,
            "cacheWriteTokens": written,
        }
        model = {"id": "claude-sonnet-5-5", "provider": "anthropic"}
        at = milliseconds(2.0 * number + 1)
        answer = {"id": f"a{number}", "role": "assistant", "ts": at, "content": content}
        messages.append({**answer, "modelInfo": model, "metrics": metrics})
        if number < len(calls):
            result = {"type": "tool_result", "tool_use_id": f"c{number}", "content": "x = 1\n" * 50}
            messages.append({"id": f"r{number}", "role": "user", "ts": at + 500, "content": [result]})
    return {"version": 1, "agent": "lead", "sessionId": "s1", "messages": messages}


def lay_cline(folder: Path, document: dict[str, Any], name: str = "s1") -> Path:
    """Writes a document of the session s1, with its manifest; returns the document's path."""
    session = folder / "s1"
    session.mkdir(parents=True, exist_ok=True)
    (session / "s1.json").write_text(json.dumps({"version": 1, "session_id": "s1", "cwd": FOLDER}))
    path = session / f"{name}.messages.json"
    path.write_text(json.dumps(document, indent=2))
    return path


class CopilotLog:
    """An events file of Copilot CLI."""

    def __init__(self, session: str = "c0ffee") -> None:
        self.session = session
        self.events: list[dict[str, Any]] = []
        self._sequence = 0
        context = {"cwd": FOLDER, "gitRoot": FOLDER, "branch": "main"}
        self.add("session.start", 0, sessionId=session, context=context)

    def add(self, kind: str, after: float, agent: str | None = None, **data: Any) -> None:
        """Adds an event."""
        event = {"type": kind, "data": data, "id": str(len(self.events)), "timestamp": timestamp(after)}
        self.events.append(event | ({"agentId": agent} if agent else {}))

    def answer(
        self,
        after: float,
        counts: tuple[int, int, int, int],
        tool: tuple[str, dict[str, Any]] | None = None,
        agent: str | None = None,
        **more: Any,
    ) -> None:
        """Adds a request that took a second, what was answered, and what the tool returned."""
        uncached, read, written, output = counts
        self._sequence += 1
        name = f"msg_{self._sequence}"
        usage = {
            "model": "claude-sonnet-4.5",
            "inputTokens": uncached + read + written,
            "outputTokens": output,
            "cacheReadTokens": read,
            "cacheWriteTokens": written,
            "duration": 1000,
            "timeToFirstTokenMs": 250.0,
            "isByok": True,
            "apiCallId": name,
            "providerCallId": f"req_{self._sequence}",
            "accounting": {
                "sourceSessionId": self.session,
                "sequence": self._sequence,
                "usageId": name,
            },
            **more,
        }
        self.add("session.usage_record", after + 1, agent, usage=usage)
        calls = [{"toolCallId": f"c{name}", "name": tool[0], "arguments": tool[1]}] if tool else []
        self.add("assistant.message", after + 1, agent, content="I look.", toolRequests=calls)
        if tool:
            result = {"content": "x = 1\n" * 50}
            self.add(
                "tool.execution_complete",
                after + 1.5,
                agent,
                toolCallId=f"c{name}",
                success=True,
                result=result,
            )

    def bytes(self) -> bytes:
        """The file."""
        return "".join(json.dumps(event) + "\n" for event in self.events).encode()


def copilot() -> CopilotLog:
    """The conversation of three requests."""
    log = CopilotLog()
    log.add("user.message", 0.5, content="fix it", transformedContent="<now/>fix it")
    for number, counts in enumerate(COUNTS):
        log.answer(2.0 * number + 1, counts, TOOLS[number] if number < len(TOOLS) else None)
    return log


def _gemini_call(number: int) -> dict[str, Any]:
    name, arguments = TOOLS[number]
    return {"id": f"c{number}", "name": name, "args": arguments}


def _gemini_result(number: int) -> dict[str, Any]:
    response = {"output": "x = 1\n" * 50}
    return {"functionResponse": {"id": f"c{number}", "name": TOOLS[number][0], "response": response}}


def gemini_cli() -> list[dict[str, Any]]:
    """The conversation of three requests, in lines of Gemini CLI's; what was written is input there."""
    lines: list[dict[str, Any]] = [
        {"sessionId": "s1", "projectHash": "8", "startTime": timestamp(0), "kind": "main"},
        {"id": "u", "timestamp": timestamp(0.5), "type": "user", "content": [{"text": "fix it"}]},
    ]
    for number, (uncached, read, written, output) in enumerate(COUNTS):
        after = 2.0 * number + 1
        tokens = {
            "input": uncached + read + written,
            "output": output - 5,
            "cached": read,
            "thoughts": 5,
            "tool": 0,
        }
        line = {"id": f"g{number}", "timestamp": timestamp(after + 1), "type": "gemini", "content": "I look."}
        line |= {"tokens": tokens, "model": "gemini-3.1-pro-preview"}
        lines.append(line)
        if number < len(TOOLS):
            lines.append(line | {"toolCalls": [_gemini_call(number)]})
            result = {"id": f"r{number}", "timestamp": timestamp(after + 1.5), "type": "user"}
            lines.append(result | {"content": [_gemini_result(number)]})
    return lines


def qwen_code() -> list[dict[str, Any]]:
    """The conversation of three requests, in records of Qwen Code's; what was written is input there."""
    lines: list[dict[str, Any]] = []

    def add(kind: str, after: float, **more: Any) -> None:
        parent = lines[-1]["uuid"] if lines else None
        record = {
            "uuid": f"r{len(lines)}",
            "parentUuid": parent,
            "sessionId": "s1",
            "timestamp": timestamp(after),
        }
        lines.append(record | {"type": kind, "cwd": FOLDER, "version": "0.24.4"} | more)

    add("user", 0.5, message={"role": "user", "parts": [{"text": "fix it"}]})
    for number, (uncached, read, written, output) in enumerate(COUNTS):
        after = 2.0 * number + 1
        event = {"event.name": "qwen-code.api_response", "event.timestamp": timestamp(after + 1)}
        event |= {
            "response_id": f"chatcmpl-{number}",
            "model": "qwen3-coder-plus",
            "duration_ms": 1000,
            "ttft_ms": 250,
        }
        event |= {"input_token_count": uncached + read + written, "output_token_count": output}
        event |= {"cached_content_token_count": read, "total_token_count": uncached + read + written + output}
        add(
            "system",
            after + 1,
            subtype="ui_telemetry",
            systemPayload={"uiEvent": event | {"prompt_id": "s1########0"}},
        )
        parts: list[dict[str, Any]] = [{"text": "I look."}]
        if number < len(TOOLS):
            parts.append({"functionCall": _gemini_call(number)})
        add("assistant", after + 1, model="qwen3-coder-plus", message={"role": "model", "parts": parts})
        if number < len(TOOLS):
            add("tool_result", after + 1.5, message={"role": "user", "parts": [_gemini_result(number)]})
    return lines


def write(agent: str, folder: Path) -> Path:
    """Writes the conversation of three requests as an agent does; returns the session file."""
    if agent in ("gemini-cli", "qwen-code"):
        path = folder / "p" / "chats" / "session-1.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = gemini_cli() if agent == "gemini-cli" else qwen_code()
        path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        (folder / "p" / ".project_root").write_text(FOLDER)
        return path
    folder.mkdir(parents=True, exist_ok=True)
    if agent == "opencode":
        return opencode(folder / "opencode.db")
    if agent == "cline":
        return lay_cline(folder, cline())
    path = folder / ("pi.jsonl" if agent == "pi" else "events.jsonl")
    path.write_bytes(pi().bytes() if agent == "pi" else copilot().bytes())
    return path
