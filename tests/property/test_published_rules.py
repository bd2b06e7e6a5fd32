"""What a provider takes from the client it takes as planned, whatever the body holds, in every setting."""

import json
from typing import Any

from hypothesis import assume, event, given
from hypothesis import strategies as st

from anchorline.cache import markers
from anchorline.cache.ledger import Entry, MemoryLedger
from anchorline.config import Cache, Config, Route
from anchorline.gateway.splice import planned
from anchorline.planner import Planner
from anchorline.prompt import formats
from support import published
from support.examples import examples
from support.upstream import Upstream, blocks

WORDS = "a rule that everybody follows, and why it is one. "
NOW = 1_000_000.0
modes = st.sampled_from(["replace", "extend", "respect"])
lifetimes = st.sampled_from(["5m", "1h", None])


@st.composite
def marks(draw: st.DrawFn, often: int = 4) -> dict[str, Any]:
    """A marker, in one of `often` draws; sometimes a member without a value."""
    drawn = draw(st.integers(0, often))
    if drawn == 1:
        return {"cache_control": None}
    if drawn:
        return {}
    ttl = draw(lifetimes)
    return {"cache_control": {"type": "ephemeral"} | ({"ttl": ttl} if ttl else {})}


@st.composite
def texts(draw: st.DrawFn, kind: str = "text") -> dict[str, Any]:
    words = draw(st.sampled_from(["", " \n", "go on", WORDS * 60, WORDS * 500]))
    return {"type": kind, "text": words, **draw(marks())}


@st.composite
def tools(draw: st.DrawFn) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["own", "own", "deferred", "search", "toolset"]))
        if kind == "search":
            one = {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}
        elif kind == "toolset":
            one = {"type": "mcp_toolset", "mcp_server_name": "registry"}
            one |= draw(st.sampled_from([{}, {"default_config": {"defer_loading": True}}]))
            one |= draw(st.sampled_from([{}, {"configs": {"find": {"defer_loading": False}}}]))
        else:
            one = {"name": f"tool_{number}", "description": WORDS * 30, "input_schema": {"type": "object"}}
            one |= {"defer_loading": True} if kind == "deferred" else {}
        found.append(one | draw(marks(8)))
    return found


@st.composite
def results(draw: st.DrawFn, call: str, names: list[str]) -> dict[str, Any]:
    inner: Any = draw(st.lists(texts(), max_size=3))
    if names and draw(st.booleans()):
        inner.append({"type": "tool_reference", "tool_name": draw(st.sampled_from(names))})
    if draw(st.integers(0, 3)) == 0:
        source = {"type": "content", "content": draw(st.lists(texts(), max_size=2))}
        inner.append({"type": "document", "source": source, **draw(marks())})
    content = draw(st.sampled_from([inner, "plain " * 400]))
    return {"type": "tool_result", "tool_use_id": call, "content": content, **draw(marks())}


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    given_tools = draw(tools())
    names = [tool["name"] for tool in given_tools if "name" in tool]
    messages: list[dict[str, Any]] = []
    for turn in range(draw(st.integers(1, 4))):
        asked: list[dict[str, Any]] = []
        if messages:
            for number in range(draw(st.integers(0, 2))):
                caller = draw(st.sampled_from([{}, {"type": "direct"}, {"type": "code_execution_20250825"}]))
                call = {
                    "type": "tool_use",
                    "id": f"t{turn}{number}",
                    "name": "x",
                    "input": {"cache_control": {}},
                }
                messages[-1]["content"].append(call | ({"caller": caller} if caller else {}) | draw(marks(8)))
                asked.append(draw(results(call["id"], names)))
        asked += draw(st.lists(texts(), min_size=0 if asked else 1, max_size=2))
        plain = len(asked) == 1 and asked[0]["type"] == "text" and draw(st.booleans())
        messages.append({"role": "user", "content": asked[0]["text"] if plain else asked})
        answer = [{"type": "thinking", "thinking": "hm", "signature": "s", **draw(marks(20))}] * draw(
            st.integers(0, 1)
        )
        answer += [
            {"type": "compaction", "content": draw(st.sampled_from([None, WORDS * 40])), **draw(marks())}
        ] * (draw(st.integers(0, 5)) == 0)
        messages.append(
            {"role": "assistant", "content": [*answer, *draw(st.lists(texts(), min_size=1, max_size=2))]}
        )
    body: dict[str, Any] = {
        "model": draw(st.sampled_from(["claude-sonnet-4-5", "claude-opus-5", "claude-sonnet-4-6"]))
    }
    body["max_tokens"] = 100
    if given_tools:
        body["tools"] = given_tools
    body["system"] = draw(st.one_of(st.lists(texts(), max_size=3), st.sampled_from(["", WORDS * 300])))
    body["messages"] = messages[:-1] if draw(st.booleans()) else messages
    if draw(st.integers(0, 2)) == 0:
        body |= draw(marks(0))
    items = list(body.items())
    spaced = draw(st.booleans())
    return json.dumps(
        dict(items[:: draw(st.sampled_from([1, -1]))]), separators=(", ", ": ") if spaced else (",", ":")
    ).encode()


@st.composite
def chats(draw: st.DrawFn) -> bytes:
    messages: list[dict[str, Any]] = []
    for role in draw(
        st.lists(st.sampled_from(["system", "user", "assistant", "tool"]), min_size=1, max_size=6)
    ):
        content = draw(
            st.one_of(st.lists(texts(), min_size=1, max_size=3), st.sampled_from(["", WORDS * 200]))
        )
        whole = isinstance(content, str) and content and draw(st.integers(0, 3)) == 0
        messages.append({"role": role, "content": content, **(draw(marks(2)) if whole else {})})
    names = [
        "anthropic/claude-sonnet-4.5",
        "claude-sonnet-4-5",
        "gpt-6.1-terra",
        "openai/gpt-6.1-terra",
        "gpt-4o",
    ]
    automatic = draw(marks(0)) if draw(st.integers(0, 3)) == 0 else {}
    return json.dumps({"model": draw(st.sampled_from(names)), "messages": messages, **automatic}).encode()


def warm(data: bytes, form: Any, which: int) -> MemoryLedger:
    """A ledger that holds one of the body's prefixes, for another lifetime each time."""
    prompt = formats.read(data, format=form)
    if which < 0 or not prompt.segments:
        return MemoryLedger()
    segment = prompt.segments[which % len(prompt.segments)]
    ttl, seconds = ("1h", 3600.0) if which % 2 else ("5m", 300.0)
    held = Entry(
        "anthropic", "default", prompt.model or "", segment.prefix, 5000, ttl, NOW - 60, NOW - 60 + seconds
    )
    return MemoryLedger([held])


def sent(data: bytes, form: Any, mode: Any, ttl: str, which: int) -> dict[str, Any]:
    prompt = formats.read(data, format=form)
    config = Config(cache=Cache(anchors=mode, ttl=ttl), route=Route(enabled=False))  # type: ignore[arg-type]
    planner = Planner(config, warm(data, form, which))
    plan = planner.plan(prompt, now=NOW)
    assert plan.failure is None
    changed = planned(data, prompt, plan, planner.targets)
    assert not changed.splices or changed.reason == ""
    assert markers.strip(changed.body, changed.splices) == data
    event(f"{sum(anchor.origin == 'plan' for anchor in changed.anchors)} anchors of the plan")
    return json.loads(changed.body)


@examples(300)
@given(bodies(), modes, st.sampled_from(["auto", "5m", "1h"]), st.integers(-1, 30))
def test_messages_that_are_accepted_are_accepted_as_planned(data: bytes, mode: Any, ttl: str, which: int):
    given_body = json.loads(data)
    accepted = published.anthropic(given_body) is None
    body = sent(data, "anthropic", mode, ttl, which)
    if accepted:
        assert published.anthropic(body) is None
        Upstream().bill(body, NOW)  # nor does the simulated cache refuse it
    elif mode == "replace" and "cache_control" not in given_body:
        event("mended" if published.anthropic(body) is None else "refused in any case")


@examples(150)
@given(chats(), modes, st.sampled_from(["auto", "1h"]), st.integers(-1, 30))
def test_chats_that_are_accepted_are_accepted_as_planned(data: bytes, mode: Any, ttl: str, which: int):
    assume(published.chat(json.loads(data)) is None)
    body = sent(data, "openai-chat", mode, ttl, which)
    assert published.chat(body) is None
    marked = b'"cache_control": {' in data  # which shows that whoever answers takes them
    if not marked and not body["model"].startswith("anthropic/"):
        assert "cache_control" not in json.dumps(body).replace('"cache_control": null', "")


@examples(150)
@given(st.one_of(bodies(), chats()), modes, st.integers(-1, 30))
def test_the_model_is_sent_the_same(data: bytes, mode: Any, which: int):
    form = "anthropic" if b'"max_tokens"' in data else "openai-chat"
    assert blocks(sent(data, form, mode, "auto", which))[0] == blocks(json.loads(data))[0]
