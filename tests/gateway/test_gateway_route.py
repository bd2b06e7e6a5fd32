"""Mode `route`: another model answers where that is worth more, the same one for the whole conversation."""

import json
from typing import Any

from gateway.conformance import RefusedError, Running, Upstream
from gateway.running import gateway
from gateway.test_gateway_faults import call

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
