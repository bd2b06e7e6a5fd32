"""The response cache: what is answered again, to whom, and what never is."""

import http.client
import json
import sqlite3
import stat
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.gateway.response_cache import RequestKey, normal
from anchorline.gateway.upstream import Upstream as Provider
from support.gateways import Gateway, call, gateway, settled
from support.upstream import Running, Upstream

TEXT = rb"na\u00efve"
"""A word of every answer of the upstream, as it writes it."""
NEAR = '[answers]\nreuse = "near"'


def asking(text: str, **more: Any) -> bytes:
    messages = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A parser."}]
    messages.append({"role": "user", "content": text})
    value = {"model": "claude-sonnet-5", "max_tokens": 9, "temperature": 0, "messages": messages}
    return json.dumps(value | more).encode()


@pytest.fixture(scope="module")
def behind() -> Iterator[Running]:
    with Running(Upstream()) as running:
        yield running


@pytest.fixture(scope="module")
def through(behind: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("gateway"), behind.url, settings=NEAR) as running:
        yield running


@pytest.fixture
def ask(behind: Running, through: Gateway):
    """Return what sends a request: how it was answered, and the answer's bytes."""

    def ask(body: bytes, path: str = "/anthropic/v1/messages", **headers: str) -> tuple[str, bytes]:
        before = len(behind.app.seen)
        root = through.anthropic.removesuffix("/anthropic")
        status, answered, told = call(root + path, body=body, **{"x_api_key": "k", **headers})
        how = dict(answered).get("anchorline-cache", "")
        assert (len(behind.app.seen) == before) == bool(how)
        return how.partition(";")[0] or str(status), told

    return ask


def test_an_equal_request_is_answered_again_byte_for_byte(ask):
    for number, more in enumerate(({}, {"stream": True})):
        body = asking(f"Say it {number} times.", **more)
        first = ask(body)
        assert first[0] == "200"
        assert ask(body) == ("exact", first[1])
        assert ask(body, x_stainless_retry_count="1", user_agent="other") == ("exact", first[1])
        labelled = asking(f"Say it {number} times.", **more, metadata={"user_id": "me"})
        assert ask(labelled) == ("exact", first[1])


def test_the_providers_libraries_read_an_answer_given_again(through: Gateway):
    client = anthropic.Anthropic(base_url=through.anthropic, api_key="k", max_retries=0)
    wanted: Any = {"model": "claude-sonnet-5", "max_tokens": 9, "extra_body": {"temperature": 0.0}}
    wanted["messages"] = [{"role": "user", "content": "Which library?"}]
    streamed = []
    for _ in range(2):
        with client.messages.stream(**wanted) as stream:
            streamed.append("".join(stream.text_stream))
    whole = [client.messages.with_raw_response.create(**wanted) for _ in range(2)]
    client.close()
    assert streamed[0] == streamed[1] != ""
    assert whole[1].headers["anchorline-cache"].startswith("exact; age=")
    assert whole[0].parse() == whole[1].parse()
    chat = openai.OpenAI(base_url=through.openai, api_key="k", max_retries=0)
    asked: Any = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "Which?"}], "temperature": 0}
    answers = [chat.chat.completions.with_raw_response.create(**asked) for _ in range(2)]
    responses = [
        chat.responses.with_raw_response.create(model="gpt-5.5", input="Which?", temperature=0)
        for _ in range(2)
    ]
    chat.close()
    for first, again in (answers, responses):
        assert "anchorline-cache" not in first.headers
        assert again.headers["anchorline-cache"].startswith("exact")
        assert first.parse() == again.parse()


@pytest.mark.parametrize(
    "change",
    [
        {"x_api_key": "another"},
        {"authorization": "Bearer another"},
        {"anthropic_beta": "some-feature"},
        {"x_unknown": "1"},
        {"path": "/anthropic/v1/messages?beta=true"},
        {"body": asking("Say why.", max_tokens=10)},
        {"body": asking("Say why.", model="claude-haiku-4-5")},
        {"body": asking("Say why.", stream=True)},
        {"body": asking("Say why.", system="Be short.")},
        {"body": asking("Say why.").replace(b"A parser.", b"A lexer.")},
        {"body": asking("Say why not.")},
    ],
    ids=str,
)
def test_what_can_change_an_answer_does(change: dict, ask):
    ask(asking("Say why."))
    assert ask(asking("Say why."))[0] == "exact"
    again = {"body": asking("Say why."), **change}
    assert ask(**again)[0] == "200"


@pytest.mark.parametrize(
    "more",
    [
        {"temperature": 1},
        {"temperature": None},
        {"tools": [{"name": "read", "input_schema": {"type": "object"}}]},
    ],
    ids=str,
)
def test_only_what_would_be_answered_alike_is_kept_unless_the_client_says_so(more: dict, ask):
    body = asking("Say how.", **more)
    assert [ask(body)[0], ask(body)[0]] == ["200", "200"]
    assert ask(body, anchorline_cache="on")[0] == "200"
    assert ask(body, anchorline_cache="on")[0] == "exact"
    body = asking(f"Say how, {sorted(more)}.")
    ask(body)
    assert ask(body, anchorline_cache="off")[0] == "200"


def test_the_mark_is_not_passed_on(behind: Running, ask):
    ask(asking("Who sees it?"), anchorline_cache="on")
    assert b"anchorline-cache" not in {name for name, _ in behind.app.seen[-1].headers}


@pytest.mark.parametrize("fault", ["429", "500"])
def test_an_error_is_not_kept(fault: str, ask):
    body = asking("What if?", stream=True)
    assert [ask(body, x_fault=fault)[0] for _ in range(2)] == [fault, fault]


def test_a_stream_that_breaks_off_or_ends_in_an_error_is_not_kept(behind: Running, through: Gateway):
    url, body = through.anthropic + "/v1/messages", asking("What if it breaks?", stream=True)
    before = len(behind.app.seen)
    for _ in range(2):
        with pytest.raises(http.client.IncompleteRead):
            call(url, body=body, x_fault="die")
        _, headers, told = call(url, body=body, x_fault="error")
        assert b"overloaded_error" in told
        assert "anchorline-cache" not in dict(headers)
    assert len(behind.app.seen) == before + 4


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_a_compressed_answer_is_given_again_as_it_was(encoding: str, ask):
    for stream in (False, True):
        body = asking(f"And packed, {encoding}?", stream=stream)
        first = ask(body, x_encoding=encoding)
        assert ask(body, x_encoding=encoding) == ("exact", first[1])


def test_a_nearly_equal_request_gets_the_answer_and_a_different_one_does_not(ask):
    first = ask(asking("Explain the environment of `parse(x)` in a.py."))
    assert ask(asking(" Explain  the enviroment of `parse(x)` in a.py.\n")) == ("near", first[1])
    for other in ("b.py", "A.py"):
        assert ask(asking(f"Explain what `parse(x)` does in {other}."))[0] == "200"
    assert ask(asking("Explain what `Parse(x)` does in a.py."))[0] == "200"
    assert ask(asking("Explain what `parse(x)` never does in a.py."))[0] == "200"
    chat = {"model": "gpt-5.5", "temperature": 0}
    for path, one in (
        ("/openai/v1/chat/completions", lambda text: {"messages": [{"role": "user", "content": text}]}),
        ("/openai/v1/responses", lambda text: {"input": text}),
    ):
        made = [json.dumps(chat | one(text)).encode() for text in ("Explain  it.", "Explain it.")]
        first = ask(made[0], path)
        assert ask(made[1], path) == ("near", first[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Convert A to B.", "Convert B to A."),
        ("Use 3 retries.", "Use 30 retries."),
        ("Delete the tests.", "Don't delete the tests."),
        ('Print "Yes".', 'Print "yes".'),
        ("Is it done?", "It is done."),
        ("Rename foo_bar to x.", "Rename foobar to x."),
        ("Is C better than c", "Is c better than C"),
        ("Say just the word Please", "Say just the word"),
        ("List a-z", "List A-Z"),
        ("Polish the text", "polish the text"),
        ("Explain it!", "Explain it"),
        ("Is enviroment spelled right?", "Is environment spelled right?"),
        ("Print recieve, however", "Print receive, however"),
        ("no. stop", "no stop"),
        ("def f():\n  x", "def f():\n    x"),
        ("Print `a  b`", "Print `a b`"),
    ],
)
def test_what_says_something_else_has_another_normal_form(one: str, other: str):
    assert normal(one) != normal(other)


def test_of_two_keys_in_one_request_the_order_counts():
    upstream = Provider("anthropic", "https://api.example")
    keys = [(b"x-api-key", b"sk-a"), (b"X-API-Key", b"sk-b")]
    one, other = (
        RequestKey(b"k" * 32, upstream, "/v1/messages", told, {}).exact for told in (keys, keys[::-1])
    )
    assert one != other


def test_it_is_off_by_default_and_then_keeps_nothing(behind: Running, tmp_path):
    with gateway(tmp_path / "g", behind.url) as running:
        for _ in range(2):
            _, headers, _ = call(running.anthropic + "/v1/messages", body=asking("And now?"))
            assert "anchorline-cache" not in dict(headers)
        running.stop()
        assert not list((running.home / "data").glob("answers*"))


def test_the_file_is_the_owners_bounded_counted_and_cleared(behind: Running, tmp_path, monkeypatch):
    settings = '[answers]\nreuse = "exact"\nentries = 3\nmegabytes = 1'
    with gateway(tmp_path / "g", behind.url, settings=settings) as running:
        url = running.anthropic + "/v1/messages"
        for number in range(5):
            call(url, body=asking(f"Number {number}?", metadata={"user_id": "me"}), x_api_key="sk-CANARY")
        _, headers, _ = call(url, body=asking("Number 4?"), x_api_key="sk-CANARY")
        assert dict(headers)["anchorline-cache"].startswith("exact")
        _, headers, _ = call(url, body=asking("number 4"), x_api_key="sk-CANARY")
        assert "anchorline-cache" not in dict(headers)
        state = settled(running, 6)
        assert state["counts"]["reused"] == 1
        assert state["reused_usd"] > 0
        files = list((running.home / "data").glob("answers*"))
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        running.stop()
        file = running.home / "data" / "answers.db"
        assert TEXT in file.read_bytes()
        assert b"CANARY" not in file.read_bytes()
        monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(running.home / "data"))
        monkeypatch.setenv("ANCHORLINE_CONFIG", str(running.home / "anchorline.toml"))
        told = json.loads(CliRunner().invoke(cli, ["cache", "status", "--json"]).output)
        assert (told["entries"], told["uses"], told["reuse"]) == (3, 1, "exact")
        assert told["settings"]["entries"] == 3
        assert "3 of at most 3" in CliRunner().invoke(cli, ["cache", "status"]).output
        assert CliRunner().invoke(cli, ["cache", "clear", "--older-than", "1"]).exit_code == 1
        cleared = CliRunner().invoke(cli, ["cache", "clear"])
        assert (cleared.exit_code, cleared.output.split()[:2]) == (0, ["Removed", "3"])
        assert TEXT not in file.read_bytes()
        assert json.loads(CliRunner().invoke(cli, ["cache", "status", "--json"]).output)["entries"] == 0


def test_answers_expire_and_a_purge_of_the_store_takes_them(behind: Running, tmp_path, monkeypatch):
    settings = '[answers]\nreuse = "exact"\nhours = 1'
    with gateway(tmp_path / "g", behind.url, settings=settings) as running:
        call(running.anthropic + "/v1/messages", body=asking("Until when?"))
        running.stop()
    file = running.home / "data" / "answers.db"
    with sqlite3.connect(file) as database:  # an hour and a half passes
        database.execute("UPDATE answers SET kept_at = kept_at - 5400")
    database.close()
    with gateway(tmp_path / "g", behind.url, settings=settings) as running:
        _, headers, _ = call(running.anthropic + "/v1/messages", body=asking("Until when?"))
        assert "anchorline-cache" not in dict(headers)
        running.stop()
    monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(running.home / "data"))
    monkeypatch.setenv("ANCHORLINE_CONFIG", str(running.home / "anchorline.toml"))
    purged = CliRunner().invoke(cli, ["store", "purge", "--all", "--yes", "--json"])
    assert json.loads(purged.output)["answers"] == 1
    assert TEXT not in file.read_bytes()


def test_a_damaged_file_is_said_once_and_requests_go_on(behind: Running, tmp_path, monkeypatch):
    data = tmp_path / "g" / "data"
    data.mkdir(parents=True)
    (data / "answers.db").write_bytes(b"no database" * 1000)
    with gateway(tmp_path / "g", behind.url, settings='[answers]\nreuse = "exact"') as running:
        for _ in range(2):
            assert call(running.anthropic + "/v1/messages", body=asking("Still?"))[0] == 200
        running.stop()
        assert running.log(tmp_path / "g").count("the response cache can't be used") == 1
    monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(data))
    assert CliRunner().invoke(cli, ["cache", "status"]).exit_code == 2
    assert CliRunner().invoke(cli, ["cache", "clear"]).exit_code == 0
    assert CliRunner().invoke(cli, ["cache", "status"]).exit_code == 0
