"""`anchorline limits`: what is used of a plan's windows, and what tokens cost of them."""

import json
import time

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.limits import kept
from anchorline.rate_limits import LimitSample
from anchorline.store.database import locate, worked_out_file
from anchorline.store.recorder import Recorder
from support import sessions_in_store
from support.sessions_in_store import START, request

HOUR = 3600.0
NOW = START + 3 * HOUR


@pytest.fixture(autouse=True)
def at_three(monkeypatch: pytest.MonkeyPatch, isolated_home) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)


def run(*words: str) -> str:
    done = CliRunner().invoke(cli, ["limits", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def record(*samples: LimitSample) -> None:
    recorder = Recorder(locate())
    recorder.limits(samples)
    assert recorder.close()


def sample(at: float, used: float, window: str = "five_hour", account: str = "") -> LimitSample:
    length = 5 * HOUR if window == "five_hour" else 168 * HOUR
    begins = START if window == "five_hour" else START - 24 * HOUR
    return LimitSample(at, "anthropic", window, used, begins + length, length, "headers", "", account)


def work(account: str = "") -> None:
    """Half a per cent of the short window a request: 100 000 tokens read and 2000 written for an hour."""
    requests = [
        request(number, 60.0 * number, input=10, read=100_000, write_1h=2000, output=500)
        for number in range(170)
    ]
    sessions_in_store.put(requests)
    record(
        *(
            sample(one.sent_at + 2, float(round(number / 2)), account=account)
            for number, one in enumerate(requests)
        )
    )


def test_without_a_sample_it_says_where_they_come_from() -> None:
    shown = run()
    assert "Nothing was told of a plan's limits yet." in shown
    assert "anchorline import codex" in shown
    assert json.loads(run("--json"))["windows"] == []


def test_it_shows_used_reset_pace_wall_and_costs_with_what_they_were_learnt_from() -> None:
    work()
    record(sample(NOW - 600, 12.0, "seven_day"))
    (short, long) = json.loads(run("--json"))["windows"]
    state = short["state"]
    assert (state["used"], state["resets_at"]) == (84.0, START + 5 * HOUR)
    assert 15 < state["pace"]["value"] < 31
    assert state["at_reset"]["high"] == 100
    assert NOW < state["wall"]["earliest"] < START + 5 * HOUR
    assert short["steps"] > 10
    read, *_, written, answered = short["costs"]
    assert (read["kind"], written["kind"], answered["kind"]) == ("read", "written for 1 h", "answered")
    request_cost = 1.0 * read["cost"]["percent"]["value"]
    assert 0.2 < request_cost < 0.5  # of the half per cent that such a request takes
    assert long["costs"] == []
    assert "0 steps of work were told so far" in long["missing"]
    shown = run()
    assert "5-hour window: 84% used" in shown
    assert "weekly window: 12% used" in shown
    assert "learnt from" in shown
    assert "What tokens cost is not known yet." in shown


def test_with_two_accounts_nothing_is_learnt_and_it_says_why() -> None:
    work("b2:one")
    record(sample(NOW, 5.0, account="b2:two"))
    shown = run()
    assert "Several accounts have such a window" in shown
    assert "100,000 tokens" not in shown


def test_what_was_learnt_is_kept_and_goes_with_a_purge() -> None:
    work()
    run()
    file = worked_out_file(locate(), "limits")
    assert file.exists()
    (window,) = kept.windows(locate(), NOW)
    assert (window.used, window.wall is not None) == (84.0, True)
    done = CliRunner().invoke(cli, ["store", "purge", "--all", "--yes"])
    assert done.exit_code == 0, done.output
    assert not file.exists()
    assert kept.windows(locate(), NOW) == ()


def test_the_price_is_the_scale_and_needed() -> None:
    from anchorline.limits.model import TokenCounts
    from anchorline.limits.state import limits
    from anchorline.route.target import load

    work()
    known = limits(locate(), load(), NOW)
    (cost,) = known.cost("claude-nobody-knows", TokenCounts(read=1000))
    assert cost.percent is None
    assert "price" in cost.missing
    (cost,) = known.cost("claude-opus-4-6", TokenCounts(input=10, read=100_000, write_1h=2000, output=500))
    assert cost.percent is not None
    assert cost.percent.low < 0.5 < cost.percent.high
    assert cost.percent.value == pytest.approx(0.5, rel=0.1)
