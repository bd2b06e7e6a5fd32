"""The bill by project, branch, pull request, agent, sub-agent, model, tool, day, week, session and five-hour block."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anchorline.cli.main import cli
from anchorline.report.groups import GROUPS, grouped
from anchorline.report.tool_costs import ATTACHED, REST
from anchorline.route.target import load as load_targets
from anchorline.sessions import importing
from anchorline.sessions.facts import Checkout, ToolResult
from anchorline.sessions.request import RecordedRequest
from anchorline.store import database, imports
from support.history import MODEL, billed, planned, recorded

START = 1_790_000_000.0  # 2026-09-21 14:13:20 UTC, a Monday
DAY = 86_400.0
TARGETS = load_targets()
SHOP = Checkout("~/src/shop", "fix/cart")


def request(number: int, **given: object) -> RecordedRequest:
    """Return a request a minute after the one of the number before."""
    at = START + 60 * number
    values: dict = {
        "id": f"r{number}", "session": "s1", "chain": "main", "branch": 0, "model": "claude-opus-4-6",
        "sent_at": at, "first_at": given.get("sent_at", at) + 1, "trigger": "tool", "switched": False, "blocks": 1,
        "prefix": bytes(16), "input": 100, "read": 20_000, "write_5m": 1000, "write_1h": 0, "output": 300,
        "ttl": "5m", "checkout": SHOP,
    }  # fmt: skip
    return RecordedRequest(**(values | given))


def put(*requests: RecordedRequest, agent: str = "claude-code") -> None:
    """Import the requests, each session's as a file of its own."""
    mark = importing.ReadPosition(1, 1, 1, 1, b"", b"", None)
    files: dict[str, list[RecordedRequest]] = {}
    for one in requests:
        files.setdefault(f"{agent}-{one.session}-{one.chain}", []).append(one)
    with imports.opened(database.locate()) as store:
        for name, own in files.items():
            piece = importing.FilePart(own, mark, [], anew=True, bytes=1)
            store.put([imports.ImportedFile(Path(name), agent, own, piece, [])])


def by(kind: str, *words: str) -> dict:
    done = CliRunner().invoke(cli, ["report", "--by", kind, "--json", *words])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def names(grouping: dict) -> list[tuple]:
    return [(row["project"], row["name"], row["requests"]) for row in grouping["rows"]]


RESULTS = st.builds(
    ToolResult,
    tool=st.sampled_from(["Bash", "Read", "mcp__linear__get_issue", ""]),
    kind=st.sampled_from(["text", "image", "pdf"]),
    tokens=st.integers(0, 60_000),
)
STEPS = st.fixed_dictionaries(
    {
        "session": st.sampled_from(["s1", "s2", "s3"]),
        "chain": st.sampled_from(["main", "main", "agent-1"]),
        "branch": st.sampled_from([0, 0, 0, 1]),
        "model": st.sampled_from(["claude-opus-4-6", "claude-haiku-4-5", "nobody/unknown"]),
        "trigger": st.sampled_from(["user", "tool", "compact"]),
        "input": st.integers(0, 50_000),
        "read": st.integers(0, 150_000),
        "write_5m": st.integers(0, 50_000),
        "write_1h": st.integers(0, 50_000),
        "output": st.integers(0, 20_000),
        "subagent": st.sampled_from([None, "", "Explore"]),
        "checkout": st.sampled_from([None, SHOP, Checkout("~/src/shop", "main", "acme/shop#1"), Checkout("", "x")]),
        "results": st.lists(RESULTS, max_size=3).map(tuple),
        "gap": st.floats(0.0, 2 * DAY),
    }
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=25), live=st.integers(0, 2))
def test_each_grouping_adds_up_to_the_bill_to_the_cent(isolated_home: Path, steps: list[dict], live: int):
    shutil.rmtree(isolated_home / "data", ignore_errors=True)
    at = START
    requests = []
    for number, step in enumerate(steps):
        at += step.pop("gap")
        requests.append(request(number, sent_at=at, **step))
    put(*requests)
    recorded(*((planned(f"p{number}"), billed(f"p{number}")) for number in range(live)))
    report = json.loads(CliRunner().invoke(cli, ["report", "--json"]).stdout)
    usd = sum(cost["usd"] or 0.0 for cost in report["costs"])
    uncached = sum(cost["uncached_usd"] or 0.0 for cost in report["costs"])
    groupings = [by(kind) for kind in GROUPS] + report["groupings"]
    for grouping in groupings:
        assert grouping["requests"] == report["requests"]
        assert grouping["unpriced"] == report["unpriced"]
        assert (grouping["usd"] or 0.0) == pytest.approx(usd, abs=0.005)
        assert sum(row["usd"] or 0.0 for row in grouping["rows"]) == pytest.approx(usd, abs=0.005)
        assert sum(row["uncached_usd"] or 0.0 for row in grouping["rows"]) == pytest.approx(
            uncached, abs=0.005
        )
        if grouping["by"] != "tool":
            assert sum(row["requests"] for row in grouping["rows"]) == report["requests"]
            assert sum(row["unpriced"] for row in grouping["rows"]) == report["unpriced"]
        assert all((row["usd"] or 0.0) > -1e-6 for row in grouping["rows"])


def test_what_the_gateway_alone_saw_is_in_it_and_says_that_its_project_is_unknown():
    put(request(1))
    recorded((planned("p1"), billed("p1")))
    assert names(by("project")) == [(None, "~/src/shop", 1), (None, None, 1)]
    assert names(by("agent")) == [(None, "claude-code", 1), (None, "gateway", 1)]
    assert {row["name"] for row in by("model")["rows"]} == {"claude-opus-4-6", MODEL}
    shown = CliRunner().invoke(cli, ["report", "--by", "project"]).stdout
    assert "unknown project" in shown
    assert shown.splitlines()[-1].split()[:2] == ["all", "2"]


def test_a_branch_belongs_to_its_project():
    put(
        request(1, checkout=Checkout("~/a", "main")),
        request(2, checkout=Checkout("~/b", "main")),
        request(3, checkout=Checkout("~/b", "main")),
    )
    assert names(by("branch")) == [("~/b", "main", 2), ("~/a", "main", 1)]


def test_a_pull_request_has_what_was_sent_on_its_branch_before_it_and_by_sub_agents():
    put(
        request(1),
        request(2, checkout=Checkout("~/src/shop", "fix/cart", "acme/shop#12")),
        request(3, chain="agent-1", subagent="Explore"),
        request(4, checkout=Checkout("~/src/shop", "main")),
    )
    assert names(by("pr")) == [(None, "acme/shop#12", 3), (None, None, 1)]


def test_sub_agents_stand_beside_the_main_conversation():
    put(
        request(1),
        request(2, chain="agent-1", subagent="Explore"),
        request(3, chain="agent-2", subagent=""),
    )
    assert {row["name"] for row in by("subagent")["rows"]} == {"main", "Explore", None}
    shown = CliRunner().invoke(cli, ["report", "--by", "subagent"]).stdout
    assert "main conversation" in shown
    assert "sub-agent of unknown type" in shown


def test_a_week_begins_on_monday_and_times_stand_in_their_order():
    put(request(1, sent_at=START + 6 * DAY), request(2, sent_at=START), request(3, sent_at=START + 7 * DAY))
    assert names(by("week")) == [(None, "2026-09-21", 2), (None, "2026-09-28", 1)]
    assert [row["name"] for row in by("day")["rows"]] == ["2026-09-21", "2026-09-27", "2026-09-28"]


@pytest.mark.parametrize(
    ("offsets", "blocks"),
    [
        # The block begins at 14:00, the full hour of its first answer.
        ([0, 3600], {"2026-09-21 14:00": 2}),
        ([0, 4.75 * 3600], {"2026-09-21 14:00": 2}),
        ([0, 4.8 * 3600], {"2026-09-21 14:00": 1, "2026-09-21 19:00": 1}),
        ([0, 2 * 3600, 7.5 * 3600], {"2026-09-21 14:00": 2, "2026-09-21 21:00": 1}),
    ],
)
def test_a_block_is_five_hours_from_the_full_hour_of_its_first_answer(offsets: list[float], blocks: dict):
    put(*(request(number, sent_at=START + offset) for number, offset in enumerate(offsets)))
    assert {row["name"]: row["requests"] for row in by("block")["rows"]} == blocks


def test_each_agent_has_blocks_of_its_own():
    put(request(1))
    put(request(2, session="c1", model="gpt-5.5"), agent="codex")
    assert {row["name"] for row in by("block")["rows"]} == {
        "2026-09-21 14:00 claude-code",
        "2026-09-21 14:00 codex",
    }


def test_a_tool_costs_what_its_results_cost_to_write_and_then_to_read():
    """claude-opus-4-6: 5 dollars a million; reading costs 0.1 of it, writing for five minutes 1.25."""
    put(
        request(1, input=0, read=0, write_5m=10_000),
        request(2, input=0, read=10_000, write_5m=4000, results=(ToolResult("Read", "text", 2000),)),
        request(3, input=0, read=14_000, write_5m=1000),
        request(4, input=0, read=0, write_5m=15_000, trigger="compact"),
    )
    rows = {row["name"]: row for row in by("tool")["rows"]}
    written, read = 2000 * 1.25 * 5e-6, 2000 * 0.1 * 5e-6
    assert rows["Read"]["usd"] == pytest.approx(written + read, abs=1e-7)
    assert rows["Read"]["uncached_usd"] == pytest.approx(2 * 2000 * 5e-6, abs=1e-7)
    assert (rows["Read"]["requests"], rows["Read"]["results"]) == (1, 1)
    assert rows[REST]["requests"] == 4


def test_results_that_are_written_anew_cost_what_was_written():
    put(
        request(1, input=0, read=0, write_5m=10_000, results=(ToolResult("", "image", 1000),)),
        request(2, input=0, read=0, write_5m=10_000),
    )
    rows = {row["name"]: row for row in by("tool")["rows"]}
    assert rows[ATTACHED]["usd"] == pytest.approx(2 * 1000 * 1.25 * 5e-6, abs=1e-7)


def test_since_leaves_out_what_was_before():
    put(request(1, sent_at=START), request(2, sent_at=START + 2 * DAY))
    assert by("day", "--since", "2026-09-22")["requests"] == 1


def test_the_name_of_a_long_branch_is_shortened_and_no_figure_is(monkeypatch: pytest.MonkeyPatch):
    branch = "feature/a-very-long-name-" + "x" * 60 + "-end"
    put(request(1, checkout=Checkout("~/src/shop", branch)))
    monkeypatch.setenv("COLUMNS", "60")
    lines = CliRunner().invoke(cli, ["report", "--by", "branch"]).stdout.splitlines()
    assert max(map(len, lines)) <= 60
    assert "feature/a-very" in lines[1]
    assert "-end" in lines[1]
    assert lines[1].rstrip().endswith("$0.02")


def test_without_a_database_it_says_how_to_get_one(isolated_home: Path):
    assert "anchorline import" in CliRunner().invoke(cli, ["report", "--by", "branch"]).stdout
    assert by("branch")["rows"] == []
    assert CliRunner().invoke(cli, ["report", "--by", "branch", "--html", "x.html"]).exit_code == 2
    assert not (isolated_home / "data").exists()


def test_the_sample_sessions_by_each_kind(data: Path):
    for agent in ("claude-code", "codex"):
        done = CliRunner().invoke(cli, ["import", agent, str(data / "transcripts" / agent), "--json"])
        assert done.exit_code == 0, done.output
    groupings = [grouped(database.locate(), TARGETS, kind) for kind in GROUPS]
    (usd,) = {grouping.usd for grouping in groupings}
    for grouping in groupings:
        assert sum(row.usd or 0.0 for row in grouping.rows) == pytest.approx(usd, abs=0.005)
    tools = {row.name for row in groupings[GROUPS.index("tool")].rows}
    assert {"Read", "Bash", "exec_command"} < tools
