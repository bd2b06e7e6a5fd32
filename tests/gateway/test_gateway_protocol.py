"""What Claude Code's published gateway protocol asks for, and what its requests look like on the wire.

https://code.claude.com/docs/en/llm-gateway-protocol: headers and blocks to forward unchanged, the startup probe, counting
tokens, model discovery (within three seconds, and a redirect is a failure), and what answers tell of limits.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.gateways import Gateway, call, gateway
from support.upstream import Running, Upstream

HEADERS = {
    "accept": "application/json",
    "anthropic_beta": "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27",
    "anthropic_dangerous_direct_browser_access": "true",
    "anthropic_version": "2023-06-01",
    "anthropic_workspace_id": "wrkspc_1",
    "accept_encoding": "gzip, deflate, br, zstd",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "user_agent": "claude-cli/2.1.332 (external, cli)",
    "x_api_key": "sk-ant-api03-a",
    "x_app": "cli",
    "x_claude_code_session_id": "5f0c6e3e-0000-4000-8000-000000000001",
    "x_claude_code_agent_id": "a1b2c3",
    "x_client_request_id": "0d9c",
    "x_custom": ' a,b;  c="d"',
    "x_stainless_arch": "x64",
    "x_stainless_helper_method": "stream",
    "x_stainless_lang": "js",
    "x_stainless_package_version": "0.74.0",
    "x_stainless_retry_count": "0",
    "x_stainless_runtime_version": "v24.3.0",
    "x_stainless_timeout": "600",
}
LINE = "x-anthropic-billing-header: cc_version=2.1.332.f3a; cc_entrypoint=cli; cch=00a1b;"
BODY = json.dumps(
    {
        "model": "claude-sonnet-5",
        "max_tokens": 32000,
        "stream": True,
        "system": [
            {"type": "text", "text": LINE},
            {"type": "text", "text": "You are Claude Code. " * 900, "cache_control": {"type": "ephemeral"}},
        ],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi — there"}]}],
        "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
        "metadata": {"user_id": '{"session_id":"5f0c6e3e-0000-4000-8000-000000000001"}'},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
        "some_field_of_tomorrow": [None, 1.50, "é"],
    }
).encode()
LIMITS = [
    (b"anthropic-ratelimit-unified-5h-utilization", b"0.42"),
    (b"anthropic-ratelimit-unified-status", b"allowed_warning"),
    (b"anthropic-ratelimit-requests-remaining", b"49"),
    (b"anthropic-organization-id", b"org-1"),
    (b"retry-after", b"17"),
    (b"x-should-retry", b"true"),
    (b"cf-ray", b"9a-FRA"),
]


class Provider(Upstream):
    """A provider that tells its limits, and whose list of models has moved."""

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        async def told(message: dict) -> None:
            if message["type"] == "http.response.start":
                message = message | {"headers": [*message["headers"], *LIMITS]}
                if scope["path"] == "/v1/models" and b"moved" in scope["query_string"]:
                    moved = (b"location", b"https://elsewhere.example/v1/models")
                    message = message | {"status": 307, "headers": [*message["headers"], moved]}
            await send(message)

        await super().__call__(scope, receive, told)


@pytest.fixture(scope="module")
def behind() -> Iterator[Running]:
    with Running(Provider()) as running:
        yield running


@pytest.fixture(scope="module", params=["observe", "anchors"])
def through(
    request: pytest.FixtureRequest, behind: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    with gateway(folder, behind.url, settings=f'mode = "{request.param}"') as running:
        yield running


def headers(behind: Running, number: int) -> list[tuple[bytes, bytes]]:
    """Return a request's headers but those of its connection, in their order."""
    return [one for one in behind.app.seen[number].headers if one[0] not in (b"host", b"content-length")]


@pytest.mark.parametrize("path", ["/v1/messages?beta=true", "/v1/messages/count_tokens?beta=true"])
def test_headers_arrive_as_they_were_sent_and_answers_as_they_were_given(
    path: str, behind: Running, through: Gateway
):
    direct = call(behind.url + path, body=BODY, **HEADERS)
    status, told, _ = call(through.anthropic + path, body=BODY, **HEADERS)
    assert headers(behind, -1) == headers(behind, -2)
    assert behind.app.seen[-1].path == behind.app.seen[-2].path
    own = [one for one in told if not one[0].startswith("anchorline")]
    assert (status, own) == (direct[0], direct[1])
    assert {(name.decode(), value.decode()) for name, value in LIMITS} <= set(told)
    assert "request-id" in dict(told)


def test_what_the_client_reads_first_stays_where_it_is(behind: Running, through: Gateway):
    call(through.anthropic + "/v1/messages?beta=true", body=BODY, **HEADERS)
    sent = behind.app.seen[-1].body
    assert json.dumps(LINE).encode() in sent
    assert b'"some_field_of_tomorrow": [null, 1.5, "\\u00e9"]' in sent
    assert json.loads(sent)["system"][0] == {"type": "text", "text": LINE}


@pytest.mark.parametrize("query", ["limit=1000", "limit=1000&moved"])
def test_models_are_the_provider_s(query: str, behind: Running, through: Gateway):
    asked = {name: value for name, value in HEADERS.items() if name != "accept_encoding"}
    direct = call(f"{behind.url}/v1/models?{query}", "GET", b"", **asked)
    assert call(f"{through.anthropic}/v1/models?{query}", "GET", b"", **asked) == direct
    assert direct[0] == (307 if "moved" in query else 200), "a redirect is the client's to follow, or not"
    assert headers(behind, -1) == headers(behind, -2)


@pytest.mark.parametrize("path", ["", "/", "/api/hello"])
def test_the_probe_at_the_start_is_answered_by_the_provider(path: str, behind: Running, through: Gateway):
    direct = call(behind.url + (path or "/"), "HEAD", b"")
    assert call(through.anthropic + path, "HEAD", b"") == direct


@pytest.mark.parametrize("fault", ["429", "529", "401"])
def test_a_limit_is_told_with_its_headers_and_nothing_is_tried_again(
    fault: str, behind: Running, through: Gateway
):
    direct = call(behind.url + "/v1/messages", body=BODY, x_fault=fault, **HEADERS)
    before = len(behind.app.seen)
    status, told, answer = call(through.anthropic + "/v1/messages", body=BODY, x_fault=fault, **HEADERS)
    assert (status, answer) == (int(fault), direct[2])
    assert [one for one in told if not one[0].startswith("anchorline")] == direct[1]
    assert len(behind.app.seen) == before + 1
