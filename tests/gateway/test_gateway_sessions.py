"""Whose conversation a request is, as the gateway records it: the client's own, by the name its session files have."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from anchorline.gateway.conversations import Conversations
from anchorline.prompt import formats
from anchorline.prompt.model import Sent
from anchorline.store import privacy
from support.gateways import call, gateway, settled
from support.upstream import Running, Upstream

SESSIONS = [f"{number}f3c2a10-5a8e-4c1b-9a57-0d2f6f1f9c11" for number in range(4)]


def asked(question: str = "What does the parser drop?", tools: int = 1, **members: object) -> bytes:
    tool = {"description": "Looks it up.", "input_schema": {"type": "object"}}
    body = {
        "model": "claude-sonnet-5",
        "max_tokens": 9,
        "tools": [tool | {"name": f"lookup_{number}"} for number in range(tools)],
        "messages": [{"role": "user", "content": question}],
    }
    return json.dumps(body | members).encode()


def recorded(tmp_path: Path, bodies: list[tuple[bytes, dict[str, str]]]) -> list[str]:
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url) as running:
        for body, headers in bodies:
            status, _, _ = call(running.anthropic + "/v1/messages", body=body, **headers)
            assert status == 200
        settled(running, len(bodies))
        assert running.stop() == 0
        with closing(sqlite3.connect(running.database)) as db:
            return [one for (one,) in db.execute("SELECT session FROM plans ORDER BY created_at, id")]


def test_each_session_of_claude_code_is_one_whatever_is_asked_in_it(tmp_path):
    bodies = [(asked(), {"x_claude_code_session_id": name}) for name in SESSIONS]
    bodies += [(asked(tools=3), {"x_claude_code_session_id": SESSIONS[0]})]
    user = json.dumps({"device_id": "d", "account_uuid": "", "session_id": SESSIONS[0]})
    bodies += [(asked("And now?", metadata={"user_id": user}), {})]
    found = recorded(tmp_path, bodies)
    assert found[:4] == [privacy.session(name) for name in SESSIONS]
    assert found[4:] == found[:1] * 2


def test_a_sub_agent_is_a_conversation_of_its_own(tmp_path):
    named = {"x_claude_code_session_id": SESSIONS[0]}
    agents = [named | {"x_claude_code_agent_id": agent} for agent in ("a1", "a2")]
    found = recorded(tmp_path, [(asked(), headers) for headers in (named, *agents, named, agents[0])])
    assert len(set(found)) == 3
    assert found[3:] == found[:2]


def test_hits_are_told_by_the_bill_where_the_estimates_are_off(tmp_path):
    """The upstream counts four characters a token, which for digits is a third of what is estimated."""
    system = [{"type": "text", "text": "0918273645;" * 3000, "cache_control": {"type": "ephemeral"}}]
    messages: list[dict] = []
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url) as running:
        for turn in range(4):
            last = {"type": "text", "text": f"Step {turn}."}
            asked = {"role": "user", "content": [last | {"cache_control": {"type": "ephemeral"}}]}
            body = {
                "model": "claude-sonnet-5",
                "max_tokens": 9,
                "system": system,
                "messages": [*messages, asked],
            }
            status, _, answer = call(running.anthropic + "/v1/messages", body=json.dumps(body).encode())
            assert status == 200
            usage = json.loads(answer)["usage"]
            messages += [
                {"role": "user", "content": [last]},
                {"role": "assistant", "content": f"Done {turn}."},
            ]
            settled(running, turn + 1)
        state = settled(running, 4)
        assert (state["predicted"], state["hits"]) == (3, 3)
        assert running.stop() == 0
        with closing(sqlite3.connect(running.database)) as db:
            told = db.execute("SELECT p_hit, tokens, warm_tokens FROM plans ORDER BY created_at").fetchall()
    billed = usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
    assert abs(told[0][1] - billed) > 0.2 * billed  # nothing was known yet
    for p_hit, tokens, warm in told[1:]:
        assert p_hit > 0.8
        assert abs(tokens - billed) < 0.02 * billed
        assert warm <= tokens


def test_the_same_question_in_another_session_is_no_further_request_of_the_first():
    known = Conversations()
    body = asked()
    prompts = [
        msgspec.structs.replace(formats.read(body), session=name) for name in (SESSIONS[0], SESSIONS[1], None)
    ]
    last = prompts[0].segments[-1].prefix
    known.note(prompts[0], Sent(1000.0, "claude-sonnet-5", last, len(prompts[0].segments), 0, 0, 5000, "5m"))
    assert [len(known.recall(prompt).sent) for prompt in prompts] == [1, 0, 0]


def test_a_marker_that_wanders_over_the_results_is_foretold(tmp_path):
    """As LiteLLM's clients send it: a result is one block while it carries the marker, and a string afterwards."""
    words = "It looks for the parser and reads what it drops. " * 60
    messages: list[dict] = [{"role": "user", "content": words}]
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url) as running:
        for turn in range(4):
            use = {"type": "tool_use", "id": f"t{turn}", "name": "bash", "input": {"command": f"ls {turn}"}}
            marked = {"type": "text", "text": words, "cache_control": {"type": "ephemeral"}}
            result = {"type": "tool_result", "tool_use_id": f"t{turn}"}
            messages.append({"role": "assistant", "content": [use]})
            asking = [*messages, {"role": "user", "content": [result | {"content": [marked]}]}]
            body = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": asking}
            status, _, _ = call(running.anthropic + "/v1/messages", body=json.dumps(body).encode())
            assert status == 200
            messages.append({"role": "user", "content": [result | {"content": words}]})
            state = settled(running, turn + 1)
        assert (state["predicted"], state["hits"]) == (3, 3)
        assert state["expected_hits"] > 2.5
