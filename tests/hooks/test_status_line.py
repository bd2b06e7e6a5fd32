"""The status line as the helper makes it: true of the session that asks, whatever else is open or broken."""

import json
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from anchorline import files
from anchorline.config import Config
from anchorline.hooks import client, status_line
from anchorline.hooks.events import DISPLAY, Display
from anchorline.hooks.status_line import StatusLine
from anchorline.limits.model import Estimate, TokenCounts, Wall, WindowCost, WindowState
from anchorline.outcome import Usage
from anchorline.rate_limits import LimitSample
from anchorline.route import target
from anchorline.route.pricing import Pricing
from anchorline.store.database import locate
from anchorline.store.reader import Reader
from anchorline.store.recorder import Recorder
from support.hook_helpers import HookHelper

MODEL = "claude-opus-4-5-20251101"
RESET_S = 9000


@pytest.fixture(autouse=True)
def claude(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Claude Code's folder."""
    folder = tmp_path / "claude"
    (folder / "projects" / "p").mkdir(parents=True)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(folder))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


def transcript(claude: Path, session: str = "s") -> Path:
    return claude / "projects" / "p" / f"{session}.jsonl"


def write_turn(
    path: Path, number: int, ago_s: float, model: str = MODEL, ttl: str = "1h", read: int = 100_000
) -> None:
    """Write a turn down as Claude Code does."""
    at = datetime.fromtimestamp(time.time() - ago_s, UTC).isoformat().replace("+00:00", "Z")
    creation = {
        "ephemeral_1h_input_tokens": 0,
        "ephemeral_5m_input_tokens": 0,
        f"ephemeral_{ttl}_input_tokens": 1000,
    }
    usage = {"input_tokens": 3, "output_tokens": 50, "cache_read_input_tokens": read}
    usage |= {"cache_creation_input_tokens": 1000, "cache_creation": creation}
    user = {"type": "user", "uuid": f"u{number}", "parentUuid": f"a{number - 1}" if number > 1 else None}
    user["message"] = {"role": "user", "content": "go on"}
    answer = {
        "type": "assistant",
        "uuid": f"a{number}",
        "parentUuid": f"u{number}",
        "requestId": f"r{number}",
    }
    answer["message"] = {
        "id": f"m{number}",
        "role": "assistant",
        "model": model,
        "usage": usage,
        "content": [{"type": "text", "text": "done"}],
    }
    base = {"sessionId": path.stem, "cwd": "/w", "version": "2.1.332", "timestamp": at}
    with path.open("a") as file:
        file.writelines(json.dumps({**base, **line}) + "\n" for line in (user, answer))


def told(left_s: float, tokens: int = 101_000, ttl: str = "1h", requests: int = 1) -> dict[str, Any]:
    """What Claude Code tells of the cache."""
    until = int(time.time() + left_s)
    return {"ttl": ttl, "expires_at": until, "requests": requests, "recache_tokens_if_cold": tokens}


def status(claude: Path, session: str = "s", model: str = MODEL, **more: Any) -> dict[str, Any]:
    return {
        "session_id": session,
        "transcript_path": str(transcript(claude, session)),
        "cwd": "/",
        "model": {"id": model, "display_name": "Opus"},
        **more,
    }


def plan(five: float, seven: float = 12, reset_s: float = RESET_S) -> dict[str, Any]:
    """What Claude Code tells of a plan's limits."""
    now = time.time() // 600 * 600
    return {
        "five_hour": {"used_percentage": five, "resets_at": now + reset_s},
        "seven_day": {"used_percentage": seven, "resets_at": now + 300_000},
    }


def price(tokens: int, kind: str, model: str = MODEL) -> float:
    """What tokens cost by the same catalogue, as a bill."""
    usage = {
        "read": Usage(read=tokens),
        "1h": Usage(write=tokens, write_1h=tokens),
        "5m": Usage(write=tokens),
    }
    bill = Pricing(target.load()).bill(usage[kind], model, time.time())
    return bill.usd


@pytest.fixture
def shown():
    """A status line of this process, and what it shows."""
    made = StatusLine()

    def line(given: dict[str, Any], columns: int = 120) -> str:
        return made.line({**given, DISPLAY: Display(columns), "environment": dict(os.environ)})

    line.made = made
    yield line
    made.close()


def settle(shown) -> None:
    """Return when what is made in the background is there."""
    shown.made._background.submit(lambda: None).result()


def test_the_helper_prices_what_is_at_stake(helper: HookHelper, claude: Path):
    asked = status(claude, prompt_cache=told(1830), cost={"total_cost_usd": 2})
    first = helper.run("status-line", asked)
    assert first == "Opus · cache 30m · 101k at stake · $2.00", "without a helper, what Claude Code tells"
    assert helper.run("claude-code", {}) == ""  # waits for it
    stake = price(101_000, "1h") - price(101_000, "read")
    assert helper.run("status-line", asked) == f"Opus · cache 30m · 101k ${stake:.2f} at stake · $2.00"
    assert helper.run("status-line", status(claude, prompt_cache=told(-1, ttl="5m"))) == (
        f"Opus · cache cold · 101k ${price(101_000, '5m'):.2f} to write"
    )


def test_each_session_is_told_its_own(helper: HookHelper, claude: Path):
    helper.run("claude-code", {})
    lines = {
        left: helper.run(
            "status-line", status(claude, f"worktree-{left}", prompt_cache=told(60 * left + 30, 1000 * left))
        )
        for left in (2, 9, 45)
    }
    for left, line in lines.items():
        assert f"cache {left}m · {left}k $" in line


def test_it_fits_the_terminal_and_knows_colors(helper: HookHelper, claude: Path):
    helper.run("claude-code", {})
    asked = status(claude, prompt_cache=told(1800))
    narrow = helper.run("status-line", asked, COLUMNS="30")
    assert len(narrow) <= 26
    assert "\033[32mcache" in helper.run("status-line", asked, NO_COLOR="")
    assert "\033" not in helper.run("status-line", asked, NO_COLOR="", TERM="dumb")


def test_a_session_that_goes_on_is_read_from_its_file(shown, claude: Path):
    write_turn(transcript(claude), 1, ago_s=600.5)
    assert "cache 49m · 101k $" in shown(status(claude))
    write_turn(transcript(claude), 2, ago_s=0.5, read=200_000)
    assert "cache 59m · 201k $" in shown(status(claude))


def test_a_session_that_went_cold_says_what_its_next_prompt_costs(shown, claude: Path):
    write_turn(transcript(claude), 1, ago_s=4000)
    usd = price(101_000, "1h")
    assert shown(status(claude)) == f"Opus · cache cold · 101k ${usd:.2f} to write"


def test_another_model_has_nothing_cached(shown, claude: Path):
    asked = status(claude, prompt_cache=told(1800))
    assert "cache 29m" in shown(asked)
    other = status(claude, model="claude-sonnet-4-5-20250929", prompt_cache=asked["prompt_cache"])
    usd = price(101_000, "1h", "claude-sonnet-4-5-20250929")
    assert f"cache cold: other model · 101k ${usd:.2f} to write" in shown(other)
    answered = status(claude, model="claude-sonnet-4-5-20250929", prompt_cache=told(1800, requests=2))
    assert "cache 29m" in shown(answered)
    assert "cache 29m" in shown(status(claude, "another", prompt_cache=told(1800)))


def test_a_file_outside_of_the_agents_folder_is_not_read(shown, claude: Path, tmp_path: Path):
    write_turn(tmp_path / "s.jsonl", 1, ago_s=10)
    assert shown({**status(claude), "transcript_path": str(tmp_path / "s.jsonl")}) == "Opus"


def samples() -> list[LimitSample]:
    return Reader(locate("")).limit_samples(0)


def test_limits_are_recorded_when_they_change(shown, claude: Path):
    write_turn(transcript(claude), 1, ago_s=900)
    os.utime(transcript(claude), (time.time() - 900,) * 2)
    began = time.time()
    for five in (30, 30, 30, 31, 31):
        shown(status(claude, rate_limits=plan(five)))
    shown.made.close()
    told_ = [(sample.window, sample.used, began - sample.at) for sample in samples()]
    assert [(window, used) for window, used, _ in told_ if window == "five_hour"] == [
        ("five_hour", 30.0),
        ("five_hour", 31.0),
    ]
    ages = [age for window, _, age in told_ if window == "five_hour"]
    assert 890 < ages[0] < 910, "what a session tells first is as old as its last answer"
    assert ages[1] < 5


def test_an_idle_session_sets_no_figure_back(shown, claude: Path):
    for session in ("busy", "idle"):
        write_turn(transcript(claude, session), 1, ago_s=0)
    os.utime(transcript(claude, "idle"), (time.time() - 3600,) * 2)
    shown(status(claude, "busy", rate_limits=plan(40)))
    for five in (41, 42):
        shown(status(claude, "idle", rate_limits=plan(10)))
        shown(status(claude, "busy", rate_limits=plan(five)))
    shown.made.close()
    recorded = sorted((sample.at, sample.used) for sample in samples() if sample.window == "five_hour")
    assert [used for _, used in recorded] == [10.0, 40.0, 41.0, 42.0]
    assert recorded[0][0] < time.time() - 3500


def test_nothing_is_recorded_where_recording_is_off(shown, claude: Path, isolated_home: Path):
    (isolated_home / "anchorline.toml").write_text("[store]\nenabled = false\n")
    assert "5h 30%" in shown(status(claude, rate_limits=plan(30)))
    shown.made.close()
    assert not locate("").exists()


class KnownLimits:
    """Limits of which everything is known."""

    def __init__(self, *windows: WindowState) -> None:
        self.windows = windows

    def cost(self, model: str, tokens: TokenCounts) -> tuple[WindowCost, ...]:
        percent = (20 * tokens.write_1h + tokens.read) / 1_000_000
        return (WindowCost("anthropic", "five_hour", Estimate(percent, percent, percent)),)


def test_on_a_plan_the_stake_is_in_per_cent_of_the_window(
    shown, claude: Path, monkeypatch: pytest.MonkeyPatch
):
    given = plan(40)
    five = WindowState("anthropic", "five_hour", 55.0, time.time(), given["five_hour"]["resets_at"], 18_000.0)
    wall = Wall(0.9, None, time.time() + 60, None)
    known = KnownLimits(
        WindowState(*[getattr(five, name) for name in five.__struct_fields__[:6]], wall=wall),
        WindowState("anthropic", "seven_day", 90.0, time.time(), time.time() - 10, 604_800.0),
    )
    monkeypatch.setattr(status_line, "limits", lambda *_: known)
    asked = status(claude, rate_limits=given, prompt_cache=told(1800))
    shown(asked)  # asks what the model's tokens cost, which the next look finds out
    settle(shown)
    shown.made._next_forecast_at = 0
    shown(asked)
    settle(shown)
    line = shown(asked)
    full = datetime.fromtimestamp(wall.at, UTC).astimezone().strftime("%H:%M")
    assert line.split(" · ")[1:] == [
        "cache 29m",
        "101k 1.9% of 5h at stake",
        f"5h 55%, full {full}",
        "7d 12%",
    ]
    cold = shown(status(claude, rate_limits=given, prompt_cache=told(-1)))
    assert "101k 2.0% of 5h to write" in cold


def test_a_window_of_another_account_has_no_say(shown, claude: Path, monkeypatch: pytest.MonkeyPatch):
    other = WindowState("anthropic", "five_hour", 95.0, time.time(), time.time() + 1000, 18_000.0)
    monkeypatch.setattr(status_line, "limits", lambda *_: KnownLimits(other))
    asked = status(claude, rate_limits=plan(40))
    shown(asked)
    settle(shown)
    assert "5h 40%" in shown(asked)


def test_recorded_limits_are_forecast(shown, claude: Path):
    given, now = plan(50), time.time()
    recorder = Recorder(locate(""))
    recorder.limits(
        LimitSample(
            now - 60 * ago,
            "anthropic",
            "five_hour",
            used,
            given["five_hour"]["resets_at"],
            18_000.0,
            "status_line",
        )
        for ago, used in ((50, 10), (40, 18), (30, 26), (20, 34), (10, 42))
    )
    recorder.close(5)
    asked = status(claude, rate_limits=given)
    shown(asked)
    settle(shown)
    assert re.search(r"5h 50%(, full \d\d:\d\d|→\d+%) · 7d 12%$", shown(asked))


def test_a_killed_helper_is_not_waited_for(helper: HookHelper, claude: Path):
    helper.run("claude-code", {})
    asked = status(claude, prompt_cache=told(1830), rate_limits=plan(34))
    helper.end()
    assert helper.run("status-line", asked) == "Opus · cache 30m · 101k at stake · 5h 34% · 7d 12%"
    helper.run("claude-code", {})
    assert "101k $" in helper.run("status-line", asked)
    assert helper.log == ""


def test_a_broken_database_costs_the_forecast_and_not_the_line(helper: HookHelper, claude: Path):
    database = locate("") if files.data_folder() == helper.folder else helper.folder / "anchorline.db"
    database.write_bytes(b"no database" * 1000)
    helper.run("claude-code", {})
    for five in (34, 35):
        line = helper.run("status-line", status(claude, prompt_cache=told(1830), rate_limits=plan(five)))
        assert f"5h {five}% · 7d 12%" in line
    assert len(helper.processes()) == 1


@pytest.mark.parametrize(
    "odd",
    [
        {"session_id": 7, "model": "x", "transcript_path": "\0", "prompt_cache": [], "rate_limits": {}},
        {
            "session_id": "s",
            "model": {"id": "\ud800"},
            "prompt_cache": {"requests": "x", "expires_at": 1e300},
        },
        {"transcript_path": "/proc/self/mem", "rate_limits": {"five_hour": {"used_percentage": -1}}},
        {"prompt_cache": {"expires_at": 1e12, "recache_tokens_if_cold": 1e14, "ttl": 5}, "cwd": 5},
    ],
)
def test_whatever_is_told_a_line_comes_out(shown, odd: dict[str, Any]):
    assert shown(odd).isprintable()


def test_sessions_are_remembered_for_a_while_only(shown, claude: Path):
    for number in range(status_line.SESSIONS + 50):
        shown(status(claude, f"s{number}", prompt_cache=told(100)))
    assert len(shown.made._sessions) == status_line.SESSIONS


def test_an_event_of_a_mebibyte_is_answered(helper: HookHelper, claude: Path):
    helper.run("claude-code", {})
    line = helper.run("status-line", status(claude, pad="x" * (1 << 20), prompt_cache=told(1800)))
    assert "cache 29m" in line
    assert Config().store.enabled
    assert client.EVENT_BYTES > 1 << 20
