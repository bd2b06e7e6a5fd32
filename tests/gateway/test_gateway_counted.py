"""A client that goes through the gateway and writes its session down: each request counts once, at what it was billed."""

import itertools
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.store.reader import Reader
from support.gateways import Gateway, call, gateway, settled
from support.session_logs import stamp
from support.upstream import Running, Upstream

WORDS = "Keep to the style of the file, and say why. "
PRICES = {"claude-sonnet-5": (2.0, 0.1, 1.25, 2.0, 10.0), "gpt-5.6-terra": (2.0, 0.1, 1.25, 1.25, 12.0)}
"""USD per million tokens of input, what reading, writing and writing for an hour are of it, and of output."""


class Named:
    """A provider that names its answers, or as a relay does gives them all one name."""

    def __init__(self, app: Upstream, *, relay: bool) -> None:
        self.app, self.relay = app, relay
        self.numbers = itertools.count(2)

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        number = 1 if self.relay else next(self.numbers)

        async def named(message: dict) -> None:
            if message["type"] == "http.response.start":
                headers = [(name, value) for name, value in message["headers"] if name != b"content-length"]
                message["headers"] = (
                    headers if self.relay else [*headers, (b"request-id", b"Req_%d" % number)]
                )
            elif "body" in message:
                body = message["body"].replace(b'"msg_1"', b'"msg_%d"' % number)
                message["body"] = body.replace(b'"resp_1"', b'"resp_%d"' % number)
            await send(message)

        await self.app(scope, receive, named)


class ClaudeCode:
    """Asks as it does, and writes a line for each block of an answer."""

    agent = "claude-code"

    def __init__(self, folder: Path) -> None:
        self.file, self.session = folder / "claude" / f"{uuid.uuid4()}.jsonl", str(uuid.uuid4())
        self.file.parent.mkdir()
        self.messages: list[dict] = []
        self.newest: str | None = None

    def write(self, type_: str, message: dict, **more: Any) -> None:
        line = {"parentUuid": self.newest, "isSidechain": False, "sessionId": self.session, "type": type_}
        self.newest = str(uuid.uuid4())
        line |= {"uuid": self.newest, "timestamp": stamp(time.time()), "message": message} | more
        with self.file.open("a") as file:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def ask(self, url: str, text: str) -> dict:
        mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
        content = [{"type": "text", "text": text}]
        self.write("user", {"role": "user", "content": content})
        self.messages.append({"role": "user", "content": content})
        marked = [*self.messages[:-1], {"role": "user", "content": [content[0] | mark]}]
        system = [{"type": "text", "text": WORDS * 400} | mark]
        body = {"model": "claude-sonnet-5", "max_tokens": 9, "system": system, "messages": marked}
        headers = {"x_claude_code_session_id": self.session}
        status, got, answer = call(url + "/anthropic/v1/messages", body=json.dumps(body).encode(), **headers)
        assert status == 200
        told = json.loads(answer)
        request = dict(got).get("request-id")
        for block in told["content"]:
            line = told | {"content": [block]}
            self.write("assistant", line, **({"requestId": request} if request else {}))
        self.messages.append({"role": "assistant", "content": told["content"]})
        usage = told["usage"]
        split = usage["cache_creation"]
        return {
            "model": body["model"],
            "input": usage["input_tokens"],
            "read": usage["cache_read_input_tokens"],
            "5m": split["ephemeral_5m_input_tokens"],
            "1h": split["ephemeral_1h_input_tokens"],
            "output": usage["output_tokens"],
        }


class Codex:
    """The same; `records`: it writes down the ids of responses, as it does since 0.171."""

    agent = "codex"

    def __init__(self, folder: Path, *, records: bool = True) -> None:
        self.file, self.session = folder / "codex" / f"rollout-{uuid.uuid4()}.jsonl", str(uuid.uuid4())
        self.file.parent.mkdir()
        self.records = records
        self.items: list[dict] = []
        self.total = dict.fromkeys(
            ("input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens"), 0
        )
        self.write("session_meta", {"id": self.session, "base_instructions": {"text": WORDS * 400}})

    def write(self, type_: str, payload: dict) -> None:
        line = {"timestamp": stamp(time.time()), "type": type_, "payload": payload}
        with self.file.open("a") as file:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def ask(self, url: str, text: str) -> dict:
        model = "gpt-5.6-terra"
        self.write("turn_context", {"model": model})
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        self.write("response_item", item)
        self.items.append(item)
        body = {
            "model": model,
            "instructions": WORDS * 400,
            "input": self.items,
            "prompt_cache_key": self.session,
        }
        status, _, answer = call(
            url + "/openai/v1/responses", body=json.dumps(body).encode(), thread_id=self.session
        )
        assert status == 200
        told = json.loads(answer)
        for one in told["output"]:
            made = {"type": "message", "role": "assistant", "content": one["content"]}
            self.write("response_item", made)
            self.items.append(made)
        usage, details = told["usage"], told["usage"]["input_tokens_details"]
        last = dict(
            zip(
                self.total,
                (
                    usage["input_tokens"],
                    details["cached_tokens"],
                    details["cache_write_tokens"],
                    usage["output_tokens"],
                ),
                strict=True,
            )
        )
        self.total = {name: count + last[name] for name, count in self.total.items()}
        if self.records:
            record = {"thread_id": self.session, "response_id": told["id"], "usage": last}
            self.write("token_usage_record", record | {"thread_token_usage": self.total})
        info = {"total_token_usage": self.total, "last_token_usage": last}
        self.write("event_msg", {"type": "token_count", "info": info})
        return {
            "model": model,
            "input": last["input_tokens"] - last["cached_input_tokens"] - last["cache_write_input_tokens"],
            "read": last["cached_input_tokens"],
            "5m": last["cache_write_input_tokens"],
            "1h": 0,
            "output": last["output_tokens"],
        }


def usd(billed: list[dict]) -> float:
    sums = 0.0
    for one in billed:
        price, read, short, long, output = PRICES[one["model"]]
        prompt = one["input"] + read * one["read"] + short * one["5m"] + long * one["1h"]
        sums += (price * prompt + output * one["output"]) / 1e6
    return sums


def told(*words: str) -> dict:
    done = CliRunner().invoke(cli, [*words, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def written(running: Gateway, requests: int) -> dict:
    """Return the state once so many requests are added up and on disk: that happens beside their way."""
    state = settled(running, requests)
    while True:
        counts = Reader(running.database).status().counts
        if counts.get("outcomes", 0) >= requests and counts.get("ledger"):
            return state


def summed(report: dict) -> tuple[int, float]:
    return report["requests"], sum(one["usd"] for one in report["costs"])


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> Iterator[tuple[Any, str, Any]]:
    """A provider behind a gateway; the commands use the gateway's database."""
    with (
        Running(Named(Upstream(), relay=request.param)) as behind,
        gateway(tmp_path / "g", behind.url) as running,
    ):
        monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(running.home / "data"))
        yield behind, running.anthropic.removesuffix("/anthropic"), running


CLIENTS = {
    "claude-code": ClaudeCode,
    "codex": Codex,
    "codex-before-0.171": lambda folder: Codex(folder, records=False),
}


@pytest.mark.parametrize("both", [False, True], indirect=True, ids=["named", "relay"])
@pytest.mark.parametrize("name", CLIENTS)
def test_gateway_import_and_both_in_any_order_agree_with_the_bill(name: str, both, tmp_path, monkeypatch):
    _, url, running = both
    client = CLIENTS[name](tmp_path)
    folder = str(client.file.parent)
    billed = [client.ask(url, f"Question {number}. {WORDS * 20}") for number in range(3)]
    written(running, 3)
    assert told("import", client.agent, folder)["requests"] == 3
    billed += [client.ask(url, f"Question {number}. {WORDS * 20}") for number in range(3, 6)]
    state = written(running, 6)
    assert summed(told("report")) == (6, pytest.approx(usd(billed), abs=1e-6))
    assert told("import", client.agent, folder)["requests"] == 3
    assert summed(told("report")) == (6, pytest.approx(usd(billed), abs=1e-6))
    assert state["usd"] == pytest.approx(usd(billed), abs=1e-6)
    monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(tmp_path / "alone"))
    assert told("import", client.agent, folder)["requests"] == 6
    assert summed(told("report")) == (6, pytest.approx(usd(billed), abs=1e-6))


@pytest.mark.parametrize("both", [False, True], indirect=True, ids=["named", "relay"])
@pytest.mark.parametrize("name", CLIENTS)
def test_equal_requests_of_several_sessions_stay_as_many_as_they_were(name: str, both, tmp_path):
    _, url, running = both
    billed = []
    for number in range(4):
        (tmp_path / str(number)).mkdir()
        client = CLIENTS[name](tmp_path / str(number))
        billed.append(client.ask(url, f"The same. {WORDS * 20}"))
    written(running, 4)
    assert len({tuple(one.values()) for one in billed}) == 2  # the first writes, the others read
    told("import", client.agent, str(tmp_path / "1"), str(tmp_path / "2"), str(tmp_path / "3"))
    assert summed(told("report")) == (4, pytest.approx(usd(billed), abs=1e-6))
    told("import", client.agent, str(tmp_path / "0"))
    assert summed(told("report")) == (4, pytest.approx(usd(billed), abs=1e-6))


@pytest.mark.parametrize("both", [False], indirect=True)
def test_one_conversation_is_warm_once_whoever_saw_it(both, tmp_path):
    _, url, running = both
    client = ClaudeCode(tmp_path)
    for number in range(3):
        client.ask(url, f"Question {number}. {WORDS * 20}")
    written(running, 3)
    (alone,) = told("warm")["warm"]
    assert told("import", "claude-code", str(client.file.parent))["requests"] == 3
    (one,) = told("warm")["warm"]
    assert one["ttl"] == alone["ttl"] == "1h"
    assert one["tokens"] >= alone["tokens"] > 3000
    assert len(settled(running, 3)["warm"]) == 1
