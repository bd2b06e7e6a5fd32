"""Conversations that a provider's rules of `cache_control` bear on, through a gateway: none is refused, and all are read."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from support.gateways import call, gateway
from support.upstream import Running, Upstream

RULES = "Keep to the style of the file, and say why. " * 800
MARK = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
MODES = [("observe", "replace")] + [
    (mode, anchors) for mode in ("anchors", "trim", "route") for anchors in ("replace", "extend", "respect")
]


def text(words: str, **members: Any) -> dict:
    return {"type": "text", "text": words, **members}


def said(role: str, *blocks: dict) -> dict:
    return {"role": role, "content": list(blocks)}


def tool(name: str, **members: Any) -> dict:
    return {
        "name": name,
        "description": f"What {name} does. " * 90,
        "input_schema": {"type": "object"},
        **members,
    }


def searching() -> list[dict]:
    """A client that searches for tools: from its second request on some of them are deferred."""
    use = {"type": "tool_use", "id": "t1", "name": "ToolSearch", "input": {"query": "releases"}}
    found = [{"type": "tool_reference", "tool_name": "releases"}]
    tools = [tool("Read"), tool("ToolSearch")]
    later = [*tools, tool("tags", defer_loading=True), tool("releases", defer_loading=True)]
    ask = said("user", text("Which release broke it? " * 200))
    turns = [
        said("assistant", use),
        said("user", {"type": "tool_result", "tool_use_id": "t1", "content": found}, text("Go on.", **MARK)),
        said("assistant", text("It was 4.2.")),
        said("user", text("Fix it.", **MARK)),
    ]
    bodies = [{"messages": [ask], "tools": tools}]
    bodies += [{"messages": [ask, *turns[:2]], "tools": later}, {"messages": [ask, *turns], "tools": later}]
    return bodies


def marking() -> list[dict]:
    """A client that marks blocks within its tool results."""
    messages: list[dict] = [said("user", text("Read them all. " * 200, **MARK))]
    bodies = []
    for turn in range(3):
        uses = [
            {"type": "tool_use", "id": f"t{turn}", "name": "Read", "input": {"cache_control": {"ttl": "1h"}}}
        ]
        parts = [text(f"part {n} of {turn}. " * 80, **(MARK if n < 2 else {})) for n in range(3)]
        result = {"type": "tool_result", "tool_use_id": f"t{turn}", "content": parts}
        before = json.loads(json.dumps(messages).replace(', "cache_control": {"type": "ephemeral"}', ""))
        messages = [*before, said("assistant", *uses), said("user", result)]
        bodies.append({"messages": messages, "tools": [tool("Read")]})
    return bodies


def by_itself() -> list[dict]:
    """A client with the automatic breakpoint, of an hour."""
    messages = [said("user", text("Explain it. " * 200))]
    bodies = []
    for turn in range(3):
        bodies.append({"messages": list(messages), "tools": [tool("Read")], **HOUR})
        messages += [
            said("assistant", text(f"It is {turn}. " * 50)),
            said("user", text(f"And {turn}? " * 50)),
        ]
    return bodies


def compacting() -> list[dict]:
    """A client whose conversation was compacted."""
    old = [
        said("user", text("An old question. " * 900, **MARK)),
        said("assistant", text("An old answer. " * 900)),
    ]
    messages = [
        *old,
        said("assistant", {"type": "compaction", "content": "It was asked. " * 300}),
        said("user", text("On.")),
    ]
    then = [*messages, said("assistant", text("Done.")), said("user", text("Thanks. " * 40))]
    return [{"messages": messages, "tools": [tool("Read")]}, {"messages": then, "tools": [tool("Read")]}]


@pytest.mark.parametrize(("mode", "anchors"), MODES)
def test_nothing_is_refused_and_a_conversation_stays_one(mode: str, anchors: str, tmp_path: Path):
    settings = f'mode = "{mode}"\n[cache]\nanchors = "{anchors}"'
    client = {"model": "claude-sonnet-4-5", "max_tokens": 50, "system": RULES}
    scripts = [searching(), marking(), by_itself(), compacting()]
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url, settings=settings) as running:
        for script in scripts:
            for body in script:
                data = json.dumps(client | body, separators=(",", ":")).encode()
                seen = len(behind.app.seen)
                assert call(running.anthropic + "/v1/messages", body=data)[0] == 200
                assert len(behind.app.seen) == seen + 1, "the request was refused as planned"
                if mode == "observe":
                    assert behind.app.seen[-1].body == data
        running.stop()
        with sqlite3.connect(running.database) as database:
            rows = database.execute(
                "SELECT p.session, p.p_hit, o.read_tokens FROM plans p JOIN outcomes o ON o.plan = p.id ORDER BY o.sent_at"
            ).fetchall()
        database.close()
    assert [len({session for session, _, _ in rows[at : at + 3]}) for at in (0, 3, 6)] == [1, 1, 1]
    if mode != "observe":
        later = [row for index, row in enumerate(rows[:9]) if index % 3]
        assert all(p_hit > 0.5 and read > 5000 for _, p_hit, read in later)


@pytest.mark.parametrize("anchors", ["replace", "extend"])
def test_a_chat_with_claude_by_openrouter_is_marked_and_read(anchors: str, tmp_path: Path):
    settings = f'mode = "anchors"\n[cache]\nanchors = "{anchors}"'
    messages: list[dict] = [
        {"role": "system", "content": RULES},
        {"role": "user", "content": "Read it. " * 300},
    ]
    read = []
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url, settings=settings) as running:
        for turn in range(3):
            body = {"model": "anthropic/claude-sonnet-4.5", "messages": messages}
            data = json.dumps(body, separators=(",", ":")).encode()
            status, headers, answer = call(running.openai + "/chat/completions", body=data)
            assert (status, "anchorline-unchanged" in dict(headers)) == (200, False)
            read.append(json.loads(answer)["usage"]["prompt_tokens_details"]["cached_tokens"])
            calls = [{"id": f"c{turn}", "type": "function", "function": {"name": "read", "arguments": "{}"}}]
            messages += [
                {"role": "assistant", "content": None, "tool_calls": calls},
                {"role": "tool", "tool_call_id": f"c{turn}", "content": f"line {turn}\n" * 400},
            ]
        assert b'"role":"tool","tool_call_id":"c1","content":"line 1' in behind.app.seen[-1].body
        plain = json.dumps({"model": "gpt-6.1-terra", "messages": messages}, separators=(",", ":")).encode()
        assert call(running.openai + "/chat/completions", body=plain)[0] == 200
        assert b"cache_control" not in behind.app.seen[-1].body
    assert read[0] == 0
    assert 5000 < read[1] < read[2]
