"""A provider that refuses what was changed: its client never notices, and only that change is left out, for a while."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from anchorline.config import Config, Mode, Route, Store
from anchorline.config import Gateway as Settings
from anchorline.gateway.refusals import FIRST_S, Change, Conversation, Refusal, Refusals
from support.gateways import FILE, Here, call, conversation, free_port
from support.upstream import RefusedError, Running, Upstream


class Picky(Upstream):
    """A provider that refuses some requests, with a status and words of its own."""

    def __init__(self, refuses: Callable[[dict], bool], status: int = 400, words: str = "invalid") -> None:
        super().__init__()
        self.refuses, self.status, self.words = refuses, status, words

    def bill(self, request: dict, now: float) -> dict[str, int]:
        if self.refuses(request):
            raise RefusedError(self.status, self.words)
        return super().bill(request, now)


def marked(request: dict) -> bool:
    return "cache_control" in json.dumps(request)


class Between:
    """A gateway whose clock a test sets. `now` is in epoch seconds."""

    def __init__(self, port: int, behind: Upstream) -> None:
        self.root = f"http://127.0.0.1:{port}/token"
        self.behind = behind
        self.now = time.time()

    def ask(self, sent: bytes, **headers: str) -> tuple[int, str, int]:
        """Return the status, why nothing was changed (empty where it was), and how often the provider was asked."""
        before = len(self.behind.seen)
        status, told, _ = call(f"{self.root}/anthropic/v1/messages", body=sent, **headers)
        named = dict(told)
        assert ("anchorline-plan" in named) != ("anchorline-unchanged" in named)
        return status, named.get("anchorline-unchanged", ""), len(self.behind.seen) - before

    def changed(self, sent: bytes, **headers: str) -> bool:
        """Tell whether a request goes on changed, and is accepted at once."""
        status, why, asked = self.ask(sent, **headers)
        assert (status, asked) == (200, 1)
        return not why

    @property
    def state(self) -> dict:
        return json.loads(call(f"{self.root}/status", "GET", b"")[2])


@contextmanager
def between(
    folder: Path, behind: Upstream, mode: Mode = "anchors", route: Route | None = None
) -> Iterator[Between]:
    with Running(behind) as upstream:
        port = free_port()
        made = Between(port, behind)
        config = Config(
            store=Store(path=str(folder / "a.db")),
            gateway=Settings(mode=mode, port=port),
            route=route or Route(),
        )
        with Running(Here(upstream.url, port, config, lambda: made.now), port):
            yield made


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_change_is_left_out_of_that_conversation_alone(status: int, tmp_path):
    with between(tmp_path, Picky(lambda one: marked(one) and "Go" in json.dumps(one), status)) as gate:
        answered, why, asked = gate.ask(conversation(), user_agent="one/1.0")
        assert (answered, asked) == (200, 2)
        assert gate.behind.seen[-1].body == conversation()
        assert "breakpoints" in why
        assert "10 minutes" in why

        assert not gate.changed(conversation(turns=1), user_agent="one/1.0"), (
            "it is not tried with each request"
        )
        assert not gate.changed(conversation(turns=2), user_agent="one/1.0")
        assert gate.changed(conversation("Another"), user_agent="one/1.0")
        assert gate.ask(conversation(model="claude-opus-5-5"), user_agent="one/1.0")[2] == 2, (
            "each model for itself"
        )
        assert gate.ask(conversation(), user_agent="two/1.0")[2] == 2, "and each client"

        state = gate.state
        assert state["mode"] == "anchors"
        assert state["counts"]["refused"] == 3
        assert [one["requests"] for one in state["held"]] == [1, 1, 1]
        assert "breakpoints" in state["held"][0]["what"]
        assert state["held"][0]["until"] == gate.now + FIRST_S


def test_a_stream_is_one_whichever_request_it_answers(tmp_path):
    with between(tmp_path, Picky(marked)) as gate:
        url = f"{gate.root}/anthropic/v1/messages"
        sent = conversation("Stream", stream=True)
        refused = call(url, body=sent)
        again = call(url, body=sent)
        assert refused[0] == again[0] == 200
        assert refused[2].count(b"event: message_stop") == again[2].count(b"event: message_stop") == 1
        assert len(gate.behind.billed) == 2, "what was refused is not billed"


def test_what_is_refused_changed_or_not_says_nothing_of_the_change(tmp_path):
    with between(tmp_path, Picky(lambda one: "too long" in json.dumps(one))) as gate:
        for turns in range(7):
            status, why, asked = gate.ask(conversation("too long", turns))
            assert (status, asked) == (400, 2)
            assert "changed or not" in why
            assert gate.behind.seen[-1].body == conversation("too long", turns)
        assert gate.changed(conversation())
        assert gate.changed(conversation("Another"))
        assert gate.state["counts"]["refused"] == 0
        assert gate.state["held"] == []


@pytest.mark.parametrize("status", [429, 500, 529])
def test_an_original_that_meets_another_error_says_nothing_either(status: int, tmp_path):
    class Busy(Picky):
        def bill(self, request: dict, now: float) -> dict[str, int]:
            if not marked(request):
                raise RefusedError(status, "later")
            return super().bill(request, now)

    with between(tmp_path, Busy(lambda _: True)) as gate:
        answered, _, asked = gate.ask(conversation())
        assert (answered, asked) == (status, 2)
        assert gate.state["counts"]["refused"] == 0


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 429, 500, 529])
def test_no_other_error_is_a_refusal_and_nothing_is_sent_twice(status: int, tmp_path):
    with between(tmp_path, Picky(lambda _: True, status)) as gate:
        assert gate.ask(conversation())[::2] == (status, 1)


def test_it_is_tried_again_later_and_later(tmp_path):
    provider = Picky(marked)
    with between(tmp_path, provider) as gate:
        assert gate.ask(conversation())[2] == 2
        gate.now += FIRST_S - 1
        assert not gate.changed(conversation(turns=1))
        gate.now += 2
        assert gate.ask(conversation(turns=2))[2] == 2
        gate.now += 2 * FIRST_S - 1
        assert not gate.changed(conversation(turns=3))
        gate.now += 2
        provider.refuses = lambda _: False
        assert gate.changed(conversation(turns=4))
        assert gate.changed(conversation(turns=5))
        assert gate.state["held"] == []


@pytest.mark.parametrize("words", ["messages.2.cache_control: Extra inputs are not permitted", "invalid"])
def test_only_what_was_refused_is_left_out(words: str, tmp_path):
    messages: list[Any] = [{"role": "user", "content": "Rename the values"}]
    for n in (1, 2):
        use = {"type": "tool_use", "id": f"toolu_{n}", "name": "read", "input": {"path": "a.py"}}
        result = {"type": "tool_result", "tool_use_id": use["id"], "content": FILE}
        messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    sent = json.dumps({"model": "claude-sonnet-5", "max_tokens": 9, "messages": messages}).encode()
    with between(tmp_path, Picky(marked, words=words), "trim") as gate:
        assert gate.ask(sent)[2] == 2
        named = words != "invalid"
        assert gate.changed(sent) == named, (
            "tool results are still shorter where the refusal names another change"
        )
        assert (len(gate.behind.seen[-1].body) < len(sent)) == named
        if not named:  # either may have been it: they come back one at a time, and the innocent one stays
            gate.now += FIRST_S + 1
            assert gate.ask(sent)[2] == 2
            assert gate.changed(sent)
            assert len(gate.behind.seen[-1].body) < len(sent)


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_model_that_can_t_be_had_is_passed_over(status: int, tmp_path):
    route = Route(success_usd=0.0, allow=("claude-haiku-5-5",))
    provider = Picky(lambda one: "haiku" in one["model"], status, "model: claude-haiku-5-5")
    with between(tmp_path, provider, "route", route) as gate:
        sent = conversation(model="claude-opus-5-5")
        answered, why, asked = gate.ask(sent)
        assert (answered, asked) == (200, 2)
        assert "another model" in why
        gate.changed(sent)
        last = json.loads(gate.behind.seen[-1].body)
        assert last["model"] == "claude-opus-5-5"
        assert marked(last), "the rest goes on"


def test_what_is_tried_is_never_more_than_what_may_be_done():
    refusals, whose = Refusals(), Conversation("c", "x", "m")
    every: frozenset[Change] = frozenset(("anchors", "trims", "route"))
    assert set(refusals.refused(whose, every, Refusal(400, b""), "", 0.0)) == every
    assert refusals.allowed(whose, every, 1.0) == frozenset()
    assert refusals.allowed(whose, frozenset(("trims",)), FIRST_S) == {"trims"}
    assert len(refusals.allowed(whose, every, FIRST_S)) == 1
    # A request that was under way meanwhile does not count once more.
    refusals.refused(whose, frozenset(("anchors",)), Refusal(400, b""), "", 1.0)
    assert refusals.allowed(whose, frozenset(("anchors",)), FIRST_S) == {"anchors"}
