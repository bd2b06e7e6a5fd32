"""What the report says of a history whose figures are known."""

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache import hits
from anchorline.cli.main import cli
from anchorline.outcome import Feedback, Outcome, Usage
from anchorline.plan import Miss, Refinement
from anchorline.report import sums
from anchorline.sessions import importing
from anchorline.sessions.request import RecordedRequest
from anchorline.store import database, imports, rows
from support.history import MODEL, billed, imported, plan_limits, planned, recorded


def report(*words: str) -> dict:
    done = CliRunner().invoke(cli, ["report", "--json", *words])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_without_a_history_it_says_how_to_get_one():
    found = report()
    assert (found["requests"], found["costs"], found["calibration"]) == (0, [], [])
    assert "anchorline import claude-code" in CliRunner().invoke(cli, ["report"]).stdout


def test_imported_requests_are_billed_by_their_usage(tmp_path):
    imported(tmp_path / "sessions")
    found = report()
    assert found["requests"] == 2
    (cost,) = (one for one in found["costs"] if one["requests"])
    # claude-opus-4-6: 5 and 25 dollars a million; reading costs 0.1, writing 1.25 and 2.
    input_ = 0.1 * (20_000 + 20_500) + 2 * (100 * 1.25 + 400 * 2 + 3)
    assert cost["usd"] == pytest.approx(input_ * 5e-6 + 2 * 7 * 25e-6, abs=2e-6)
    whole = 20_000 + 20_500 + 2 * (500 + 3)
    assert cost["uncached_usd"] == pytest.approx(whole * 5e-6 + 2 * 7 * 25e-6, abs=2e-6)
    hits = found["hits"]
    assert (hits["first"], hits["returns"], hits["hits"], hits["misses"]) == (1, 1, 1, [])
    (curve,) = found["calibration"]
    assert curve["source"] == "imported"
    assert sum(bin_["requests"] for bin_ in curve["bins"]) == 1


def test_a_first_message_after_what_no_person_wrote_is_believed_in_as_the_planner_does():
    """A conversation that begins with a compaction: the next message is not the second turn of a person."""
    now = time.time() - 1000.0
    known = {
        "session": "s", "chain": "main", "branch": 0, "model": "claude-opus-4-6", "switched": False, "blocks": 1,
        "input": 10, "read": 20_000, "write_5m": 0, "write_1h": 100, "output": 5, "ttl": "1h",
    }  # fmt: skip
    requests = [
        RecordedRequest(id=name, sent_at=at, first_at=at + 1, trigger=trigger, prefix=name.encode(), **known)
        for name, at, trigger in (("a", now, "compact"), ("b", now + 60, "user"))
    ]
    mark = importing.ReadPosition(1, 1, 1, 1, b"", b"", None)
    with imports.opened(database.locate()) as store:
        piece = importing.FilePart(requests, mark, [], anew=True, bytes=1)
        store.put([imports.ImportedFile(Path("a"), "claude-code", requests, piece, [])])
    expected = hits.probability(hits.returning("1h", 3600.0, 60.0, hits.PersonMessage(turns=0)))
    (curve,) = report()["calibration"]
    assert [bin_["predicted"] for bin_ in curve["bins"]] == [round(expected, 4)]


def test_a_prefix_that_has_expired_is_a_miss_with_its_price(tmp_path):
    imported(tmp_path / "sessions", gap=7200)
    hits = report()["hits"]
    assert (hits["returns"], hits["hits"]) == (1, 0)
    (miss,) = hits["misses"]
    assert (miss["cause"], miss["requests"]) == ("expired", 1)
    paid = 4100 * 1.25 + 16_400 * 2 + 3  # what the tokens cost that were not read
    assert miss["usd"] == pytest.approx((paid - 20_503 * 0.1) * 5e-6, abs=2e-6)


def test_plans_are_compared_with_what_became_of_them():
    recorded(
        (planned("hit", p_hit=0.97), billed("hit")),
        (planned("late", p_hit=0.93), billed("late", read=0, write=4200)),
        (planned("unsent"), None),
    )
    found = report()
    assert found["requests"] == 2
    (cost,) = (one for one in found["costs"] if one["requests"])
    assert (cost["model"], cost["plans"]) == (MODEL, 3)
    assert cost["planned_usd"] == pytest.approx(3 * 0.02)
    assert cost["without_plan_usd"] == pytest.approx(3 * 0.05)
    assert (found["hits"]["returns"], found["hits"]["hits"]) == (2, 1)
    assert [miss["cause"] for miss in found["hits"]["misses"]] == ["dropped"]
    (curve,) = found["calibration"]
    assert curve["source"] == "plans"
    seen = {(bin_["low"], bin_["high"]): bin_["observed"] for bin_ in curve["bins"]}
    assert seen == {(0.95, 0.98): 1.0, (0.9, 0.95): 0.0}
    assert found["routes"] == [{"target": MODEL, "tier": "strong", "plans": 3, "sticky": 3, "answered": 2}]
    (arm,) = found["arms"]
    assert (arm["policy"], arm["arm"], arm["propensity"], arm["plans"]) == ("heuristic", "b", 0.25, 3)


@pytest.mark.parametrize(
    ("code", "returns"), [("never_sent", 0), ("below_minimum", 0), ("expired", 1), ("model_changed", 1)]
)
def test_a_miss_that_was_foretold_counts_where_there_was_something_to_read(code, returns):
    made = planned("p", warm=0)
    cache = msgspec.structs.replace(made.cache, miss_reasons=(Miss(code, "", 4000),))
    recorded((msgspec.structs.replace(made, cache=cache), billed("p", read=0)))
    hits = report()["hits"]
    assert (hits["returns"], hits["first"]) == (returns, 1 - returns)
    assert [miss["cause"] for miss in hits["misses"]] == [code] * returns


def test_the_steps_of_experiments_are_told_newest_first(isolated_home):
    assert report()["steps"] == []
    opened = database.open_for_writing(database.locate())
    for at, event in ((1.0, "started"), (2.0, "advanced")):
        row = {"at": at, "event": event, "version": "net-1", "instead_of": "heuristic", "experiment": "e1",
               "stage": "ab", "share": 0.5, "by": "developer", "reason": "asked"}  # fmt: skip
        rows.insert(opened.database, "policy_events", row)
    opened.database.conn.commit()
    database.close(opened.database)
    newest, oldest = report()["steps"]
    assert (newest["event"], newest["share"], oldest["event"]) == ("advanced", 0.5, "started")


def test_decisions_and_thumbs_are_counted_once_each():
    recorded(
        (planned("a"), Outcome("a", decision="accepted")),
        (planned("b"), Outcome("b", decision="modified", edit_distance=12)),
        (planned("c"), Outcome("c", decision="rejected")),
        (planned("d"), None),
        (planned("a"), Outcome("a", decision="accepted")),  # told twice
        feedback=(Feedback("a", 1), Feedback("c", -1)),
    )
    found = report()["refinements"]
    assert found == {
        "proposed": 4,
        "accepted": 1,
        "modified": 1,
        "rejected": 1,
        "edit_distance": 12,
        "thumbs_up": 1,
        "thumbs_down": 1,
    }


def test_a_request_that_was_planned_and_imported_counts_once(tmp_path):
    imported(tmp_path / "sessions", days_ago=0.5, gap=100)
    at = time.time() - 0.5 * 86_400
    usage = Usage(input=3, read=20_000, write=500, output=7)
    recorded((planned("p", at=at), Outcome("p", usage=usage, sent_at=at)))
    assert report()["requests"] == 2


def test_a_ping_stands_for_no_request_and_is_added_up_apart():
    ping = Outcome("p0", usage=Usage(read=4200, output=1), signals={"status": 200}, ping=1)
    recorded((planned("p0"), billed("p0")), (planned("p1"), ping))
    found = report()
    assert (found["requests"], found["pings"]) == (1, 1)
    assert found["pings_usd"] == pytest.approx((0.1 * 4200 * 2 + 10) / 1e6, abs=1e-6)
    shown = CliRunner().invoke(cli, ["report"]).output
    assert "1 request: $" in shown
    assert "1 keep-alive pings, not included, cost $0.00" in shown


def test_what_an_editor_tells_of_a_request_that_passed_the_gateway_counts_once():
    passed = msgspec.structs.replace(
        billed("p0"), signals={"status": 200}, latency_ms=2000.0, answer_id="msg_1", request_id="req_1"
    )
    told = msgspec.structs.replace(billed("p1"), answer_id="msg_1")
    another = msgspec.structs.replace(billed("p2"), answer_id="msg_2")
    recorded((planned("p0"), passed), (planned("p1"), told), (planned("p2"), another))
    assert report()["requests"] == 2


def test_since_leaves_out_what_is_older_but_knows_what_it_left(tmp_path):
    imported(tmp_path / "sessions", days_ago=1.0, gap=1200)
    between = datetime.fromtimestamp(time.time() - 86_400 + 600, UTC).isoformat()
    found = report("--since", between)
    assert found["requests"] == 1
    assert found["hits"]["hits"] == 1, "the request before is not counted, but it left the prefix"


def test_a_decision_counts_where_a_draft_was_proposed():
    unchanged = msgspec.structs.replace(planned("kept"), refinement=Refinement("unchanged", "nothing to do"))
    recorded(
        (planned("a"), Outcome("a", decision="accepted")),
        (unchanged, Outcome("kept", decision="accepted")),
        (planned("b"), Outcome("PLAN_ID", decision="accepted")),
        feedback=(Feedback("PLAN_ID", 1),),
    )
    decided = report()["refinements"]
    assert (decided["proposed"], decided["accepted"], decided["thumbs_up"]) == (2, 1, 0)


@pytest.mark.parametrize(
    ("first", "period", "rows"),
    [
        ("2026-01-05", "day", ["2026-01-05", "2026-01-07"]),
        ("2025-12-22", "week of", ["2025-12-22", "2026-01-05"]),
        ("2025-06-30", "month", ["2025-06", "2026-01"]),
    ],
)
def test_costs_are_shown_by_day_week_or_month(first, period, rows):
    moments = [datetime.fromisoformat(f"{day}T12:00+00:00").timestamp() for day in (first, "2026-01-07")]
    recorded(
        *(
            (planned(f"p{day}-{n}", at=at), billed(f"p{day}-{n}"))
            for day, at in enumerate(moments)
            for n in range(day + 1)
        )
    )
    lines = CliRunner().invoke(cli, ["report"]).stdout.splitlines()
    (head,) = (number for number, line in enumerate(lines) if re.match(rf"{period} +requests", line))
    cells = [line.split() for line in lines[head + 1 : head + 3]]
    assert [row[:2] for row in cells] == [[rows[0], "1"], [rows[1], "2"]]
    assert all(row[2].startswith("$") for row in cells)


def test_each_cause_of_a_miss_says_what_to_do_about_it(tmp_path):
    imported(tmp_path / "sessions", gap=7200)
    lines = CliRunner().invoke(cli, ["report"]).stdout.splitlines()
    (expired,) = (line for line in lines if line.startswith("│ Cache expired before you returned"))
    assert "1 return" in expired
    assert any(line.startswith("│ (no finding)") for line in lines)


def test_the_findings_of_the_report_are_its_bill(tmp_path):
    imported(tmp_path / "sessions", gap=7200)
    found = report()
    billed_usd = sum(cost["usd"] for cost in found["costs"] if cost["requests"])
    overview = found["overview"]
    assert [finding["code"] for finding in overview["findings"]] == ["expired"]
    assert sum(one["usd"] for one in overview["findings"]) + overview["rest"] == pytest.approx(
        billed_usd, abs=1e-5
    )
    later = report("--since", "1h")["overview"]
    assert (later["requests"], later["findings"]) == (0, [])


def test_a_model_without_a_price_is_counted_and_told(tmp_path):
    recorded((planned("p"), Outcome("p", target="somebody/unknown", usage=billed("p").usage)))
    found = report()
    assert (found["requests"], found["unpriced"]) == (1, 1)
    assert found["unknown"] == {"price of somebody/unknown not known": 1}
    (cost,) = (one for one in found["costs"] if one["requests"])
    assert (cost["usd"], cost["uncached_usd"], cost["unpriced"]) == (None, None, 1)
    shown = CliRunner().invoke(cli, ["report"]).stdout
    assert "price of somebody/unknown not known" in shown
    assert "$0.00" not in shown


def test_an_answer_that_told_no_usage_was_billed_as_well(tmp_path):
    recorded(
        (planned("left"), Outcome("left", signals={"status": 200, "broken_off": True})),
        (planned("silent"), Outcome("silent", signals={"status": 200})),
        (planned("refused"), Outcome("refused", signals={"status": 429})),
        (planned("told"), billed("told")),
    )
    found = report()
    assert (found["requests"], found["unpriced"]) == (3, 2)
    assert found["unknown"] == {
        "usage of an answer that broke off not known": 1,
        "usage, which the answer does not tell, is not known": 1,
    }
    (cost,) = found["costs"]
    assert cost["usd"] > 0
    assert (cost["requests"], cost["unpriced"]) == (3, 2)


def test_the_summary_names_what_a_developer_asks_for(tmp_path):
    imported(tmp_path / "sessions", gap=7200)
    shown = CliRunner().invoke(cli, ["report"]).stdout
    for words in ("claude-opus-4-6", "expired", "without a cache", "0 of 1 follow-up requests"):
        assert words in shown


def test_a_database_that_cannot_be_read_is_named(isolated_home):
    (isolated_home / "data").mkdir()
    (isolated_home / "data" / "anchorline.db").write_bytes(
        b"no database at all, but long enough to be read as one" * 30
    )
    done = CliRunner().invoke(cli, ["report"])
    assert done.exit_code == 2
    assert "anchorline.db" in done.output


def shares():
    return st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(shares())
def test_an_interval_holds_its_share(counts):
    hits, n = counts
    low, high = sums.wilson(hits / n, n)
    assert 0 <= low <= hits / n + 1e-9
    assert hits / n - 1e-9 <= high <= 1


def test_a_plan_s_windows_and_budgets_are_those_of_the_first_screen(tmp_path, monkeypatch):
    settings = tmp_path / "own.toml"
    settings.write_text("[budget]\nfive_hour_percent = 60\n")
    monkeypatch.setenv("ANCHORLINE_CONFIG", str(settings))
    imported(tmp_path / "sessions")
    plan_limits(51.0)
    found = report("--since", "1h")
    assert [(one["window"], one["used"]) for one in found["windows"]] == [
        ("five_hour", 51.0),
        ("seven_day", 41.0),
    ]
    assert [(one["used_percent"], one["limit_percent"]) for one in found["window_budgets"]] == [(51.0, 60.0)]
    text = CliRunner().invoke(cli, ["report"]).stdout
    assert "Budget: 51% of Claude's 5-hour window used, of the 60% that you allow" in text
    assert re.search(r"^Your 5-hour window: 51% used, resets \d\d:\d\d", text, re.MULTILINE)
