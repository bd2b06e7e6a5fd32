"""Runs of `anchorline run` at the gateway: an address of their own, figures of their own, an upstream of their own."""

import http.client
import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.gateway import addresses
from anchorline.gateway.access import Access
from anchorline.gateway.app import App
from anchorline.gateway.upstream import Upstream as Provider
from anchorline.gateway.upstream import Upstreams
from support.gateways import BODY, MARKED_BODY, Gateway, call, gateway, settled
from support.upstream import Running, Upstream

OAUTH = {"authorization": "Bearer sk-ant-oat01-CANARYCANARY", "anthropic_beta": "oauth-2025-04-20"}


@contextmanager
def run(running: Gateway) -> Iterator[tuple[str, str]]:
    """Hold a run as `anchorline run` does; yield its id and its address."""
    base = running.anthropic.removesuffix("/anthropic")
    name = addresses.run_id()
    with closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)) as holding:
        holding.request("GET", f"/{running.token}/events/{name}")
        assert holding.getresponse().status == 200
        yield name, addresses.of_run(base, name)


def figures(running: Gateway, name: str) -> dict:
    status, _, body = call(f"{running.anthropic.removesuffix('/anthropic')}/status/{name}", "GET", b"")
    assert status == 200
    return json.loads(body)


def test_each_run_has_the_figures_of_its_own_requests(tmp_path):
    with (
        Running(Upstream()) as behind,
        gateway(tmp_path / "g", behind.url) as running,
        run(running) as (one, address),
        run(running) as (other, elsewhere),
    ):
        assert call(f"{address}/anthropic/v1/messages", body=MARKED_BODY)[0] == 200
        first = figures(running, one)  # it waits for what is being recorded
        assert first["requests"] == {"200": 1}
        assert call(f"{elsewhere}/anthropic/v1/messages", body=MARKED_BODY, **OAUTH)[0] == 200
        call(f"{address}/anthropic/v1/messages", body=MARKED_BODY, x_fault="429")
        call(running.anthropic + "/v1/messages", body=BODY)
        assert figures(running, one)["requests"] == {"200": 1, "429": 1}
        second = figures(running, other)
        written, read, _ = behind.app.billed
        assert first["tokens"]["write"] == sum(written.written.values()) > 0
        assert second["tokens"]["read"] == read.read > 0
        assert second["credentials"] == {"Claude plan": 1}
        assert [held["what"] for held in second["held"]] == ["requests on a Claude plan"]
        whole = settled(running, 4)
        assert whole["requests"] == {"200": 3, "429": 1}
        plain = whole["usd"] - first["usd"] - second["usd"]
        assert 0 < plain < second["usd"] < first["usd"]


def test_the_address_of_a_run_lets_in_only_while_it_is_held_and_only_to_the_upstreams(tmp_path):
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url) as running:
        base = running.anthropic.removesuffix("/anthropic")
        with run(running) as (name, address):
            assert running.token not in address
            for path in (f"status/{name}", "status", "metrics", "events", f"events/{name}"):
                assert call(f"{address}/{path}", "GET", b"")[0] == 404
            forged = address[:-1] + ("0" if address[-1] != "0" else "1")
            assert call(f"{forged}/anthropic/v1/messages")[0] == 404
            assert call(f"{base}/{name}/anthropic/v1/messages")[0] == 404
            assert call(f"{address}/anthropic/v1/messages")[0] == 200
        settled(running, 1)
        status = 200
        while status == 200:  # the gateway has yet to see that the connection is closed
            status, _, body = call(f"{address}/anthropic/v1/messages")
        assert status == 503
        assert b"is over" in body
        answered = len(behind.app.seen)
        assert settled(running, answered)["requests"] == {"200": answered}


def test_a_run_goes_on_to_the_upstream_that_its_address_names_with_the_clients_own_key(tmp_path, monkeypatch):
    settings = 'anthropic_key = "environment"'
    key = {"ANTHROPIC_API_KEY": "sk-the-gateways-own"}
    with (
        Running(Upstream()) as behind,
        Running(Upstream()) as relay,
        gateway(tmp_path / "g", behind.url, settings=settings, env=key) as running,
        run(running) as (name, address),
    ):
        own = f"{relay.url}/anthropic"
        relayed = addresses.instead(f"{address}/anthropic", address, own)
        call(f"{relayed}/v1/messages", x_api_key="sk-mine")
        (seen,) = relay.app.seen
        assert seen.path == b"/anthropic/v1/messages"
        assert dict(seen.headers)[b"x-api-key"] == b"sk-mine"
        assert not behind.app.seen
        call(f"{address}/anthropic/v1/messages", x_api_key="sk-mine")
        assert dict(behind.app.seen[0].headers)[b"x-api-key"] == b"sk-the-gateways-own"
        versioned = addresses.instead(f"{address}/anthropic/v1", address, f"{relay.url}/v1")
        call(f"{versioned}/messages", body=MARKED_BODY)
        assert relay.app.seen[1].path == b"/v1/messages"
        assert figures(running, name)["requests"] == {"200": 2, "404": 1}
        for wrong in ("anthropic.!", "anthropic.ZmlsZTovLy9ldGMvcGFzc3dk", "nobody.aHR0cDovL2E"):
            assert call(f"{address}/{wrong}/v1/messages")[0] == 404


@given(
    st.from_regex(
        r"https?://[a-z0-9.]{1,20}(?::[0-9]{1,4})?(?:/[a-zA-Z0-9_~%é-]{1,9}){0,3}/?", fullmatch=True
    )
)
def test_another_upstream_is_read_as_it_was_written(own: str):
    base = "http://127.0.0.1:8917/token"
    address = addresses.instead(f"{base}/openai/v1", base, own)
    assert re.fullmatch(rf"{base}/openai\.[\w-]+", address)
    assert addresses.upstream(address.rpartition(".")[2]) == own.rstrip("/")
    other = "http://127.0.0.1:1/0123456789ab-" + 40 * "a"
    assert addresses.instead(f"{other}/openai/v1", other, address) == other + address.removeprefix(base)


@pytest.mark.parametrize(
    ("base", "headers", "upstream"),
    [
        (
            "https://api.openai.com",
            {"chatgpt-account-id": "a"},
            "https://chatgpt.com/backend-api/codex/responses",
        ),
        ("https://api.openai.com", {"authorization": "Bearer sk-a"}, "https://api.openai.com/v1/responses"),
        ("https://relay.example", {"chatgpt-account-id": "a"}, "https://relay.example/v1/responses"),
    ],
)
async def test_a_chatgpt_login_goes_where_codex_sends_it(base: str, headers: dict[str, str], upstream: str):
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    host = [(b"host", b"127.0.0.1:1")]
    access = Access("token", 1)
    target = access.admit(b"/token/openai/v1/responses", b"", host)
    upstreams = Upstreams({"openai": Provider("openai", base)})
    try:
        app = App(access, upstreams, None)
        assert str(app._upstream(target, raw).url(target.path)) == upstream
    finally:
        await upstreams.close()
