"""Mode `route`: another model answers where that is worth more, the same one for the whole conversation."""

import json
from typing import Any

import pytest

from support.gateways import call, gateway
from support.upstream import RefusedError, Running, Upstream

RULES = "Keep to the style of the file, and say why. " * 400
SETTINGS = 'mode = "route"\n[route]\nsuccess_usd = 0.0\nallow = ["claude-haiku-5-5"]'


def body(turns: int, model: str = "claude-opus-5-5") -> bytes:
    messages: list[Any] = [{"role": "user", "content": "Rename it"}]
    for n in range(turns):
        messages.append({"role": "assistant", "content": f"Done {n}."})
        messages.append({"role": "user", "content": f"And the next one, number {n}"})
    return json.dumps({"max_tokens": 9, "system": RULES, "messages": messages, "model": model}).encode()


def models(upstream: Upstream) -> list[str]:
    return [json.loads(seen.body)["model"] for seen in upstream.seen]


def test_a_conversation_goes_to_the_model_that_is_worth_most_and_stays_there(tmp_path):
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url, settings=SETTINGS) as running:
        read = []
        for turn in range(4):
            status, headers, answer = call(running.anthropic + "/v1/messages", body=body(turn))
            assert status == 200
            assert dict(headers)["anchorline-route"] == "claude-haiku-5-5"
            read.append(json.loads(answer)["usage"]["cache_read_input_tokens"])
        assert models(behind.app) == ["claude-haiku-5-5"] * 4
        assert read[0] == 0 < read[1] < read[2] < read[3]
        # What was asked for is left as it is where it is that model already.
        _, headers, _ = call(running.anthropic + "/v1/messages", body=body(0, "claude-haiku-5-5"))
        assert "anchorline-route" not in dict(headers)


def test_a_model_that_refuses_the_request_is_passed_over(tmp_path):
    class Choosy(Upstream):
        """Its small model knows no system prompts."""

        def bill(self, request: dict, now: float) -> dict[str, int]:
            if "haiku" in request["model"]:
                raise RefusedError(400, "system: not supported by this model")
            return super().bill(request, now)

    with Running(Choosy()) as behind, gateway(tmp_path / "g", behind.url, settings=SETTINGS) as running:
        status, headers, _ = call(running.anthropic + "/v1/messages", body=body(0))
        assert status == 200
        assert "refused" in dict(headers)["anchorline-unchanged"]
        assert behind.app.seen[-1].body == body(0)


def test_no_other_mode_changes_the_model(tmp_path):
    settings = SETTINGS.replace('"route"', '"trim"')
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url, settings=settings) as running:
        assert call(running.anthropic + "/v1/messages", body=body(0))[0] == 200
        assert models(behind.app) == ["claude-opus-5-5"]


TOOLS = [{"name": "read", "description": "Read a file. " * 60, "input_schema": {"type": "object"}}]
HARD = "Refactor the scheduler so that workers steal from each other without a global lock. " * 40


class Agent:
    """A client's conversation: each call sends all of it, with the answers and tool results that came before."""

    def __init__(self, url: str, model: str, system: str = RULES) -> None:
        self._url, self._model, self._system = url, model, system
        self._messages: list[Any] = []

    def ask(self, text: str) -> str:
        """Send an instruction; return the model that the gateway says it went to, empty for the client's own."""
        self._messages.append({"role": "user", "content": [{"type": "text", "text": text}]})
        return self._send()

    def returned(self) -> str:
        """Send the result of a tool call."""
        id_ = f"toolu_{len(self._messages)}"
        use = {"type": "tool_use", "id": id_, "name": "read", "input": {"path": "a.py"}}
        self._messages[-1] = {"role": "assistant", "content": [use]}
        result = {"type": "tool_result", "tool_use_id": id_, "content": "x = 1\n" * 500}
        self._messages.append({"role": "user", "content": [result]})
        return self._send()

    def _send(self) -> str:
        asked = {"model": self._model, "max_tokens": 9, "system": self._system, "tools": TOOLS}
        sent = json.dumps(asked | {"messages": self._messages}).encode()
        status, headers, _ = call(self._url, body=sent)
        assert status == 200
        self._messages.append({"role": "assistant", "content": "Done."})
        return dict(headers).get("anchorline-route", "")


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"])
def test_a_conversation_stays_from_its_first_request_on(model: str, tmp_path):
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url, settings='mode = "route"') as g:
        agent = Agent(g.anthropic + "/v1/messages", model)
        first = agent.ask("Fix the typo in README.md")
        later = [agent.returned(), agent.returned(), agent.ask("And in CHANGES.md, please"), agent.returned()]
        assert later == [first] * 4
        # Another conversation's first request, whose system prompt is warm by now, is judged as the first one's was.
        assert Agent(g.anthropic + "/v1/messages", model).ask("Fix the typo in README.md") == first
        assert first or model == "claude-haiku-5-5"


def test_a_harder_instruction_may_move_it_and_its_own_tool_results_do_not(tmp_path):
    settings = 'mode = "route"\n[route]\nallow = ["claude-haiku-5-5"]'
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url, settings=settings) as running:
        agent = Agent(running.anthropic + "/v1/messages", "claude-opus-5-5", "Be brief.")
        assert (agent.ask("Fix the typo"), agent.ask(HARD)) == ("claude-haiku-5-5", "")
        assert [agent.returned(), agent.ask("Go on"), agent.returned()] == [""] * 3


@pytest.mark.parametrize(
    "allow", ["", 'allow = ["claude-haiku-4-5", "claude-sonnet-5-5", "claude-opus-5-5"]']
)
def test_a_request_beside_the_conversation_is_never_made_dearer(allow: str, tmp_path):
    settings = f'mode = "route"\n[route]\nsuccess_usd = 100.0\n{allow}'
    asked = {"model": "claude-haiku-4-5", "max_tokens": 9, "system": "Say what it is about in five words."}
    messages = [{"role": "user", "content": HARD}]
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url, settings=settings) as running:
        url = running.anthropic + "/v1/messages"
        for further in ({}, {"tools": TOOLS}):
            sent = json.dumps(asked | {"messages": messages} | further).encode()
            assert call(url, body=sent)[0] == 200
        title, agent = ("sonnet" in one or "opus" in one for one in models(behind.app))
        assert not title
        assert agent == bool(allow), "a dearer model only where the user's list names it"


def test_a_route_says_that_its_client_may_go_on_with_it(tmp_path):
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url, settings=SETTINGS) as running:
        _, headers, _ = call(running.anthropic + "/v1/messages", body=body(0))
        assert "go on with it" in dict(headers)["anchorline-route-note"]
        _, headers, _ = call(running.anthropic + "/v1/messages", body=body(0, "claude-haiku-5-5"))
        assert "anchorline-route-note" not in dict(headers)
