"""Which conversation a request belongs to, as its client names it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.prompt import formats, session

ID = "7f3c2a10-5a8e-4c1b-9a57-0d2f6f1f9c11"
OTHER = "01a22bdc-b918-7401-93e0-51d330d11c27"


def headers(**named: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (headers(X_Claude_Code_Session_Id=ID, x_app="cli"), ID),
        (headers(x_claude_code_session_id=ID, x_claude_code_agent_id="a141773325453e37f"), f"{ID}/a141773325453e37f"),
        (headers(session_id=ID, thread_id=ID, originator="codex_exec"), ID),
        (headers(session_id=ID, thread_id=OTHER, x_openai_subagent="collab_spawn"), OTHER),
        ([(b"conversation_id", ID.encode()), (b"session_id", ID.encode())], ID),
        (headers(x_session_affinity="ses_4f1b", x_session_id="ses_4f1b", x_parent_session_id="ses_1"), "ses_4f1b"),
        ([(b"session_id", b"8b1f"), (b"x-client-request-id", b"8b1f")], "8b1f"),
        (headers(X_Task_ID="1796032214837"), "1796032214837"),
        (headers(x_claude_code_agent_id="a1"), None),
        (headers(x_session_id=" "), None),
        (headers(x_session_id="a b\x7f"), None),
        (headers(x_session_id="a" * 5000), None),
        (headers(authorization="Bearer x"), None),
    ],
)  # fmt: skip
def test_headers_name_the_conversation(sent: list[tuple[bytes, bytes]], name: str | None):
    assert session.of_headers(sent) == name


@given(st.lists(st.tuples(st.binary(max_size=40), st.binary(max_size=300))))
def test_any_headers_are_read(sent: list[tuple[bytes, bytes]]):
    session.of_headers(sent)


def read(format_: Any, **members: Any) -> str | None:
    said = [{"role": "user", "content": "Fix the parser."}]
    named = {"input" if format_ == "openai-responses" else "messages": said}
    return formats.read(
        json.dumps({"model": "m", "max_tokens": 9} | named | members).encode(), format=format_
    ).session


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"user_id": f"user_{'0a' * 32}_account__session_{ID}"}, ID),
        ({"user_id": json.dumps({"device_id": "56a8", "account_uuid": "", "session_id": ID})}, ID),
        ({"user_id": "alice@example.com"}, None),
        ({"user_id": "{not json"}, None),
        ({"user_id": 7}, None),
        ({}, None),
        (None, None),
        ("x", None),
    ],
)
def test_the_body_of_claude_code_names_the_conversation(metadata: Any, name: str | None):
    assert read("anthropic", metadata=metadata) == name


def test_a_sub_agent_is_told_by_the_attribution_where_no_header_names_it():
    attribution = "x-anthropic-billing-header: cc_version=2.1.300; cc_entrypoint=cli; cc_is_subagent=true;"
    user = {"user_id": json.dumps({"session_id": ID})}
    named = read("anthropic", metadata=user, system=[{"type": "text", "text": attribution}])
    assert named == f"{ID}/agent"
    assert session.chosen(ID, named) == named
    assert session.chosen(f"{ID}/a1", named) == f"{ID}/a1"
    assert session.chosen(ID, read("anthropic", metadata=user, system="Be brief.")) == ID
    assert session.chosen(None, named) == named
    assert session.chosen(ID, None) == ID


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"prompt_cache_key": ID}, ID),
        (
            {
                "prompt_cache_key": ID,
                "client_metadata": {"session_id": ID, "thread_id": OTHER, "turn_id": "t"},
            },
            OTHER,
        ),
        ({"metadata": {"sessionId": ID, "promptId": "p"}}, ID),
        ({"prompt_cache_key": "support-bot"}, None),
        ({"metadata": {"purpose": "test"}}, None),
    ],
)
def test_the_body_of_an_openai_client_names_the_conversation(members: dict[str, Any], name: str | None):
    assert read("openai-responses", **members) == read("openai-chat", **members) == name
