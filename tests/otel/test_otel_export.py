"""What a collector gets: each request once, as it was billed, by the names of OpenTelemetry's conventions."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from anchorline.cli import otel
from anchorline.cli.main import cli
from anchorline.otel import exporting
from anchorline.otel.collector import Collector
from anchorline.outcome import Outcome, Usage
from anchorline.store.database import locate
from support import history
from support.otlp import Receiver
from support.session_logs import ClaudeLog

MODEL = "claude-sonnet-5"
DAY = 86_400
TOKENS = ("input", "output", "cache_read.input", "cache_write.input")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    for name in list(os.environ):
        if name.startswith("OTEL_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    with Receiver() as running:
        yield running


def invoke(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == code, done.output
    return done.output


def send(receiver: Receiver, *words: str, code: int = 0) -> str:
    return invoke("otel", "--endpoint", receiver.url, *words, code=code)


def report() -> Any:
    return json.loads(invoke("report", "--json"))


def billed_usd() -> float:
    return sum(cost["usd"] or 0.0 for cost in report()["costs"])


def tokens_in_the_database() -> tuple[int, ...]:
    """Tokens read, written, of prompts and of answers, where no request was seen twice."""
    imported = (
        "SELECT read_tokens, write_5m_tokens + write_1h_tokens, input_tokens + read_tokens + write_5m_tokens"
        " + write_1h_tokens, output_tokens FROM imported"
    )
    passed = "SELECT read_tokens, write_tokens, input_tokens + read_tokens + write_tokens, output_tokens FROM outcomes"
    with closing(sqlite3.connect(locate())) as connection:
        rows = [*connection.execute(imported), *connection.execute(passed)]
    return tuple(map(sum, zip(*rows, strict=True)))


def through_the_gateway(name: str, at: float, usage: Usage, answer: str | None = None) -> None:
    outcome = Outcome(
        name, target=MODEL, usage=usage, latency_ms=2500.0, signals={"status": 200}, sent_at=at, answer_id=answer
    )  # fmt: skip
    history.recorded((history.planned(name, at=at), outcome))


def recorded(folder: Path) -> int:
    """Two weeks of imported sessions, and two requests that only the gateway has seen."""
    requests = history.sessions(folder)
    invoke("import", "claude-code", str(folder))
    now = time.time()
    through_the_gateway(
        "g1", now - 3 * DAY, Usage(input=10, read=5000, write=700, write_1h=700, output=90), "msg_g1"
    )
    through_the_gateway("g2", now - 2 * DAY, Usage(input=2_000_000, output=1), None)
    return requests + 2


def test_sums_are_those_of_the_report_to_the_token_and_the_cent(receiver: Receiver, tmp_path: Path):
    requests = recorded(tmp_path / "sessions")
    assert f"traces: {requests} requests sent" in send(receiver)
    spans = receiver.spans
    assert len(spans) == len({span.trace_id for span in spans}) == report()["requests"] == requests
    usd = billed_usd()
    assert sum(span.attributes["anchorline.cost.usd"] for span in spans) == pytest.approx(usd, abs=1e-6)
    assert receiver.total("anchorline.cost") == pytest.approx(usd, abs=1e-6)
    uncached = sum(cost["uncached_usd"] for cost in report()["costs"])
    assert sum(span.attributes["anchorline.cost.uncached_usd"] for span in spans) == pytest.approx(uncached)
    for kind in TOKENS:
        of_spans = sum(span.attributes[f"gen_ai.usage.{kind}_tokens"] for span in spans)
        assert receiver.total(f"gen_ai.client.inference.usage.{kind}_tokens") == of_spans > 0
    read, written, prompts, answers = tokens_in_the_database()
    assert receiver.total("gen_ai.client.inference.usage.cache_read.input_tokens") == read
    assert receiver.total("gen_ai.client.inference.usage.cache_write.input_tokens") == written
    assert receiver.total("gen_ai.client.inference.usage.input_tokens") == prompts
    assert receiver.total("gen_ai.client.inference.usage.output_tokens") == answers
    for kind in ("input", "output"):
        of_spans = sum(span.attributes[f"gen_ai.usage.{kind}_tokens"] for span in spans)
        assert receiver.total("gen_ai.client.token.usage", gen_ai__token__type=kind) == of_spans
        assert receiver.total(f"gen_ai.client.inference.operation.{kind}_tokens") == of_spans
    models = {cost["model"]: 0.0 for cost in report()["costs"]}
    for model in models:
        expected = sum(cost["usd"] for cost in report()["costs"] if cost["model"] == model)
        assert receiver.total("anchorline.cost", gen_ai__request__model=model) == pytest.approx(
            expected, abs=1e-6
        )


def test_a_span_has_what_the_conventions_ask_for(receiver: Receiver):
    at = time.time() - DAY
    through_the_gateway("g1", at, Usage(input=10, read=5000, write=700, write_1h=300, output=90), "msg_g1")
    send(receiver)
    (span,) = receiver.spans
    assert (span.name, span.kind) == (f"chat {MODEL}", 3)  # a client's
    assert (span.start, span.end) == (pytest.approx(at), pytest.approx(at + 2.5))
    assert {name: value for name, value in span.attributes.items() if name.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": MODEL,
        "gen_ai.conversation.id": span.attributes["gen_ai.conversation.id"],
        "gen_ai.usage.input_tokens": 5710,
        "gen_ai.usage.output_tokens": 90,
        "gen_ai.usage.cache_read.input_tokens": 5000,
        "gen_ai.usage.cache_write.input_tokens": 700,
        "gen_ai.usage.cache_creation.input_tokens": 700,
    }
    assert span.attributes["gen_ai.conversation.id"].startswith("b2:")  # a hash
    assert span.attributes["anchorline.usage.cache_write_1h.input_tokens"] == 300
    (resource,) = receiver.traces[0].resource_spans
    assert {pair.key: pair.value.string_value for pair in resource.resource.attributes}[
        "service.name"
    ] == "anchorline"


@pytest.mark.parametrize(
    ("model", "provider", "operation"),
    [
        ("gpt-5.5", "openai", "chat"),
        ("gemini-3-pro-preview", "gcp.gemini", "generate_content"),
        ("grok-4.5", "x_ai", "chat"),
        ("mistral-large-latest", "mistral_ai", "chat"),
        ("bedrock/anthropic.claude-opus-4-6-v1:0", "aws.bedrock", "chat"),
        ("nobody-knows-1", "unknown", "chat"),
    ],
)
def test_providers_have_the_names_of_the_conventions(
    receiver: Receiver, model: str, provider: str, operation: str
):
    at = time.time() - DAY
    usage = Usage(input=100, output=10)
    outcome = Outcome("g1", target=model, usage=usage, signals={"status": 200}, sent_at=at)
    history.recorded((history.planned("g1", at=at), outcome))
    send(receiver, "--signal", "traces")
    (span,) = receiver.spans
    assert (span.attributes["gen_ai.provider.name"], span.name) == (provider, f"{operation} {model}")


def test_metrics_are_differences_by_the_hour_in_the_conventions_buckets(receiver: Receiver):
    hour = (time.time() - DAY) // 3600 * 3600
    for number, minute in enumerate((5, 20, 61)):
        through_the_gateway(f"g{number}", hour + 60 * minute, Usage(input=4 ** (number + 1), output=5))
    send(receiver, "--signal", "metrics")
    assert receiver.traces == []
    usage = [
        point for point in receiver.points if point.metric == "gen_ai.client.inference.usage.input_tokens"
    ]
    assert [(point.start, point.end, point.value) for point in usage] == [
        (hour, pytest.approx(hour + 1202.5), 20),
        (hour + 3600, pytest.approx(hour + 3662.5), 64),
    ]
    assert all(point.delta and point.attributes["gen_ai.token.modality"] == "unknown" for point in usage)
    (first, _) = [p for p in receiver.points if p.metric == "gen_ai.client.inference.operation.input_tokens"]
    assert first.bounds == (
        1,
        4,
        16,
        64,
        256,
        1024,
        4096,
        16384,
        65536,
        262144,
        1048576,
        4194304,
        16777216,
        67108864,
    )
    assert (first.count, first.buckets[:4]) == (2, (0, 1, 1, 0))  # a bucket holds its upper bound
    for name in ("gen_ai.client.inference.duration", "gen_ai.client.operation.duration"):
        (seconds, _) = [point for point in receiver.points if point.metric == name]
        assert (seconds.unit, seconds.count, seconds.value) == ("s", 2, 5.0)
        assert seconds.bounds[:3] == (0.01, 0.02, 0.04)


def test_a_second_run_sends_what_is_new_and_nothing_else(receiver: Receiver, tmp_path: Path):
    requests = recorded(tmp_path / "sessions")
    send(receiver)
    assert send(receiver).count("0 requests sent") == 2
    through_the_gateway("g3", time.time() - 3600, Usage(input=100, output=10))
    assert "traces: 1 requests sent" in send(receiver)
    assert len(receiver.spans) == len({span.span_id for span in receiver.spans}) == requests + 1
    assert receiver.total("anchorline.cost") == pytest.approx(billed_usd(), abs=1e-6)


@pytest.mark.parametrize("gateway_first", [True, False])
def test_a_request_of_gateway_and_session_file_goes_once_whoever_came_first(
    receiver: Receiver, tmp_path: Path, gateway_first: bool
):
    folder = tmp_path / "sessions"
    folder.mkdir()
    log = ClaudeLog("both", time.time() - DAY)
    log.user("first")
    log.answer("msg_1", read=20_000, write=(100, 400), output=7, model=MODEL)
    (folder / "both.jsonl").write_bytes(log.bytes())
    seen = "g1", time.time() - DAY, Usage(input=3, read=20_000, write=500, write_1h=400, output=7), "msg_1"
    if gateway_first:
        through_the_gateway(*seen)
    else:
        invoke("import", "claude-code", str(folder))
    send(receiver)
    if gateway_first:
        invoke("import", "claude-code", str(folder))
    else:
        through_the_gateway(*seen)
    assert report()["requests"] == 1
    send(receiver)
    invoke("store", "purge", "--all", "--yes")
    invoke("import", "claude-code", str(folder))  # alone now, under its other name
    send(receiver)
    assert len(receiver.spans) == 1
    assert receiver.total("anchorline.cost") == pytest.approx(billed_usd(), abs=1e-6)


def test_what_was_just_answered_waits_until_it_is_written_down(receiver: Receiver, tmp_path: Path):
    now = time.time()
    through_the_gateway("g1", now - 30, Usage(input=100, output=10))
    through_the_gateway("g2", now - 70, Usage(input=100, output=10))
    (tmp_path / "sessions").mkdir()
    for name, age in (("s1", 500), ("s2", 700)):
        log = ClaudeLog(name, now - age)
        log.user("first")
        log.answer(name, read=20_000, write=(0, age))
        (tmp_path / "sessions" / f"{name}.jsonl").write_bytes(log.bytes())
    invoke("import", "claude-code", str(tmp_path / "sessions"))
    send(receiver)
    settled = {
        (span.attributes["gen_ai.usage.cache_write.input_tokens"], round(now - span.start))
        for span in receiver.spans
    }
    assert settled == {(0, 70), (700, 700)}


def test_another_collector_gets_everything_and_since_is_heeded(receiver: Receiver, tmp_path: Path):
    requests = recorded(tmp_path / "sessions")
    send(receiver, "--signal", "traces")
    with Receiver() as other:
        send(other, "--since", "4d", "--signal", "traces")
        assert 2 <= len(other.spans) < requests
        send(other, "--signal", "traces")
        assert len(other.spans) == len({span.span_id for span in other.spans}) == requests


@pytest.mark.parametrize("names", [True, False])
def test_names_go_only_where_the_settings_keep_them_and_never_a_text(
    receiver: Receiver, tmp_path: Path, isolated_home: Path, names: bool
):
    folder = tmp_path / "sessions"
    folder.mkdir()
    log = ClaudeLog("named", time.time() - DAY)
    log.user("my canary question", cwd="/src/canary-project", gitBranch="canary-branch")
    log.answer("a", "my canary answer", cwd="/src/canary-project", gitBranch="canary-branch")
    (folder / "named.jsonl").write_bytes(log.bytes())
    invoke("import", "claude-code", str(folder))
    (isolated_home / "anchorline.toml").write_text(f"[store]\nnames = {str(names).lower()}\n")
    send(receiver)
    (span,) = receiver.spans
    told = {name: value for name, value in span.attributes.items() if "canary" in str(value)}
    assert told == (
        {"anchorline.project": "/src/canary-project", "anchorline.branch": "canary-branch"} if names else {}
    )
    assert span.attributes["gen_ai.agent.name"] == "claude-code"
    sent = b"".join(receiver.raw)
    assert (b"canary question" in sent, b"canary answer" in sent) == (False, False)
    assert (b"canary" in sent) == names


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500])
def test_what_a_collector_refuses_is_said_and_sent_next_time(receiver: Receiver, status: int, tmp_path: Path):
    requests = recorded(tmp_path / "sessions")
    receiver.statuses = [status, status]
    said = send(receiver, code=1)
    assert f"it answers {status}" in said
    assert "no such place" in said
    assert receiver.asked == {"/v1/traces": 1, "/v1/metrics": 1}  # not tried again and again
    send(receiver)
    assert len(receiver.spans) == requests
    assert receiver.total("anchorline.cost") == pytest.approx(billed_usd(), abs=1e-6)


def test_signals_stand_by_themselves(receiver: Receiver, tmp_path: Path):
    requests = recorded(tmp_path / "sessions")
    receiver.statuses = [404]
    send(receiver, code=1)
    assert (len(receiver.spans), receiver.total("anchorline.cost")) == (
        0,
        pytest.approx(billed_usd(), abs=1e-6),
    )
    send(receiver)
    assert len(receiver.spans) == requests
    assert receiver.total("anchorline.cost") == pytest.approx(billed_usd(), abs=1e-6)


def test_a_collector_that_is_down_is_said(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recorded(tmp_path / "sessions")
    monkeypatch.setattr("anchorline.otel.collector.TIMEOUT_S", 0.3)
    with Receiver() as gone:
        pass
    assert "can't be reached" in send(gone, "--signal", "traces", code=1)


def test_a_collector_that_stalls_is_given_up_and_loses_nothing(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    requests = recorded(tmp_path / "sessions")
    monkeypatch.setattr("anchorline.otel.collector.TIMEOUT_S", 0.3)
    receiver.stall_s = 2.0
    assert "does not answer" in send(receiver, "--signal", "traces", code=1)
    receiver.stall_s = 0.0
    send(receiver, "--signal", "traces")
    assert len({span.span_id for span in receiver.spans}) == requests


def test_what_the_collector_dropped_is_said_and_not_sent_again(receiver: Receiver, tmp_path: Path):
    requests = recorded(tmp_path / "sessions")
    receiver.rejects = 3
    assert "the collector dropped 3" in send(receiver, "--signal", "traces")
    send(receiver, "--signal", "traces")
    assert len(receiver.spans) == requests


def test_a_backlog_goes_in_batches_and_goes_on_where_it_broke_off(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    history.months(tmp_path / "sessions", count=20, turns=30)
    invoke("import", "claude-code", str(tmp_path / "sessions"))
    monkeypatch.setattr(exporting, "BATCH", 64)
    monkeypatch.setattr(exporting, "MOST", 256)
    receiver.statuses = [200, 200, 200, 200, 400]
    assert "traces: 256 requests sent" in send(receiver, "--signal", "traces", code=1)
    send(receiver, "--signal", "traces")
    assert len(receiver.spans) == len({span.span_id for span in receiver.spans}) == 600
    oldest_first = [span.start for span in receiver.spans]
    assert oldest_first == sorted(oldest_first)


def test_killed_between_batches_it_repeats_and_loses_nothing(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    requests = recorded(tmp_path / "sessions")
    monkeypatch.setattr(exporting, "BATCH", 10)
    whole, batches = Collector.send, []

    def dies(self: Collector, records: Any) -> None:
        batches.append(len(records))
        if len(batches) == 4:
            raise SystemExit(137)
        whole(self, records)

    monkeypatch.setattr(Collector, "send", dies)
    send(receiver, "--signal", "traces", code=137)
    send(receiver, "--signal", "traces")
    assert Counter(span.span_id for span in receiver.spans).most_common(1)[0][1] == 1
    assert len(receiver.spans) == requests


def test_headers_of_the_standard_variable_are_sent(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=abc")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    through_the_gateway("g1", time.time() - DAY, Usage(input=100, output=10))
    send(receiver)
    assert receiver.headers[0]["api-key"] == "abc"
    assert len(receiver.spans) == 1


def test_the_endpoint_is_that_of_the_command_then_the_setting_then_the_variable(
    receiver: Receiver, isolated_home: Path, monkeypatch: pytest.MonkeyPatch
):
    assert "name a collector" in invoke("otel", code=2)
    assert "not the URL" in invoke("otel", "--endpoint", "localhost:4318", code=2)
    through_the_gateway("g1", time.time() - DAY, Usage(input=100, output=10))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    invoke("otel", "--signal", "traces")
    assert len(receiver.spans) == 1
    with Receiver() as other:
        (isolated_home / "anchorline.toml").write_text(f'[otel]\nendpoint = "{other.url}/"\n')
        invoke("otel", "--signal", "traces")
        assert (len(receiver.spans), len(other.spans)) == (1, 1)


def test_a_password_in_the_endpoint_is_not_shown(receiver: Receiver):
    said = invoke("otel", "--endpoint", receiver.url.replace("//", "//me:canary@"), "--signal", "traces")
    assert "canary" not in said
    assert receiver.url in said


def test_nothing_recorded_and_a_damaged_database(receiver: Receiver):
    assert "0 requests sent" in send(receiver)
    locate().write_bytes(b"no database" * 1000)
    assert "anchorline.db" in send(receiver, code=2)


@pytest.mark.process
def test_follow_sends_what_is_new_and_ends_by_an_interrupt(receiver: Receiver, tmp_path: Path):
    history.imported(tmp_path / "sessions")
    command = [sys.executable, "-m", "anchorline", "otel", "--endpoint", receiver.url, "--follow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert receiver.arrived.wait(60)
        assert "another `anchorline otel` is running" in send(receiver, code=1)
        assert any("metrics" in line for line in process.stdout)  # type: ignore[union-attr]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""  # type: ignore[union-attr]
    assert len(receiver.spans) == 2


def test_follow_goes_on_when_the_collector_comes_back_and_says_its_trouble_once(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    through_the_gateway("g1", time.time() - DAY, Usage(input=100, output=10))
    receiver.statuses = [401] * 3
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 4:
            through_the_gateway("g2", time.time() - 3600, Usage(input=100, output=10))
        if len(pauses) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(otel, "sleep", pause)
    said = send(receiver, "--follow", "--signal", "traces")
    assert said.count("401") == 1
    assert pauses == [60, 120, 240, 30, 30]
    assert len(receiver.spans) == 2
