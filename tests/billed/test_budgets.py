"""What was spent of the budgets, by the sums of the report."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorline import config
from anchorline.billed.budgets import BudgetUse, Spending, spending, uses
from anchorline.cli.main import cli
from anchorline.config import Budget
from anchorline.lsp.budget_warnings import Notice, of_budgets, unseen
from anchorline.outcome import Outcome, Usage
from anchorline.route.target import load as load_targets
from anchorline.sessions import facts
from anchorline.store import database
from support.history import billed, planned, recorded
from support.session_logs import ClaudeLog

TARGETS = load_targets()
MONDAY = 1_790_000_000.0  # 2026-09-21 14:13:20 UTC
DAY = 86_400.0


def session(name: str, folder: str, at: float) -> bytes:
    """Return a session of one request, by claude-opus-4-6, that costs 1.03 cents."""
    log = ClaudeLog(name, at)
    log.user("begin", cwd=folder, gitBranch="main")
    log.answer(f"m-{name}", cwd=folder, gitBranch="main")
    return log.bytes()


def imported(folder: Path, **sessions: tuple[str, float]) -> None:
    folder.mkdir(exist_ok=True)
    for name, (project, at) in sessions.items():
        (folder / f"{name}.jsonl").write_bytes(session(name, project, at))
    done = CliRunner().invoke(cli, ["import", "claude-code", str(folder)])
    assert done.exit_code == 0, done.output


ONE = (3 + 0.1 * 10_000 + 1.25 * 100 + 2 * 400) * 5e-6 + 7 * 25e-6


def test_the_day_and_the_week_begin_in_utc_and_a_project_has_its_own_sum(tmp_path: Path):
    now = MONDAY + 2 * DAY
    imported(
        tmp_path / "sessions",
        today=("/srv/shop", now),
        monday=("/srv/shop", MONDAY),
        other=("/srv/payments", MONDAY),
        sunday=("/srv/shop", MONDAY - DAY),
    )
    spent = spending(database.locate(), TARGETS, now)
    assert spent.day == pytest.approx(ONE)
    assert spent.week == pytest.approx(3 * ONE)
    assert spent.projects == {"/srv/shop": pytest.approx(2 * ONE), "/srv/payments": pytest.approx(ONE)}


def test_what_the_gateway_recorded_and_its_pings_count():
    now = time.time()
    recorded((planned("p1", at=now), billed("p1")))
    before = spending(database.locate(), TARGETS, now)
    assert before.day == before.week > 0
    usage = Usage(input=1, read=4000, write=0, output=1)
    recorded(
        (planned("p2", at=now), Outcome("p1", sent_at=now, usage=usage, target="claude-sonnet-5", ping=1))
    )
    assert spending(database.locate(), TARGETS, now).day > before.day


def test_without_a_database_nothing_was_spent(tmp_path: Path):
    assert spending(tmp_path / "none.db", TARGETS, MONDAY) == Spending()


@pytest.mark.parametrize(
    ("spent", "level"), [(0.0, 0), (7.99, 0), (8.0, 80), (9.99, 80), (10.0, 100), (50.0, 100)]
)
def test_a_warning_is_due_at_80_and_at_100_percent(spent: float, level: int):
    assert BudgetUse("day", "2026-09-21", 10.0, spent).level == level


def test_only_budgets_that_are_set_are_watched():
    spent = Spending(1.0, 2.0, {"~/a": 3.0})
    assert uses(Budget(), spent, MONDAY, "~/a") == ()
    assert [use.period for use in uses(Budget(day=5, project=4), spent, MONDAY, "~/a")] == ["day", "project"]
    assert [use.period for use in uses(Budget(day=5, project=4), spent, MONDAY)] == ["day"]
    (week,) = uses(Budget(week=5), spent, MONDAY + 3 * DAY)
    assert (week.begins, week.spent_usd) == ("2026-09-21", 2.0)


def test_each_level_is_warned_of_once_by_whichever_editor_is_first(tmp_path: Path):
    marks = tmp_path / "data" / "budget-warnings.json"

    def use(spent: float, begins: str = "2026-09-21") -> list[Notice]:
        day, project = (
            BudgetUse("day", begins, 10.0, spent),
            BudgetUse("project", begins, 10.0, 1.0, "~/shop"),
        )
        return list(of_budgets((day, project)))

    assert unseen(marks, use(5.0)) == []
    assert unseen(marks, use(8.5)) == ["Budget nearly used up: $8.50 of $10.00 spent today (budget.day)."]
    assert unseen(marks, use(9.0)) == []
    assert unseen(marks, use(11.0)) == ["Budget used up: $11.00 of $10.00 spent today (budget.day)."]
    assert unseen(marks, use(12.0)) == []
    assert "shop" not in marks.read_text("utf-8")
    assert len(unseen(marks, use(8.5, "2026-09-22"))) == 1  # another day


@pytest.mark.parametrize("content", ["", "[]", '{"budget.day 2026-09-21": "x"}', "\x00"])
def test_a_damaged_file_of_marks_warns_anew(tmp_path: Path, content: str):
    marks = tmp_path / "budget-warnings.json"
    marks.write_text(content, "utf-8")
    notices = list(of_budgets([BudgetUse("day", "2026-09-21", 1.0, 2.0)]))
    assert len(unseen(marks, notices)) == 1
    assert unseen(marks, notices) == []


def test_the_report_says_what_is_left(tmp_path: Path, isolated_home: Path, monkeypatch: pytest.MonkeyPatch):
    project = tmp_path / "shop"
    project.mkdir()
    imported(tmp_path / "sessions", now=(str(project), time.time()))
    (isolated_home / "anchorline.toml").write_text(
        "[budget]\nday = 5.0\nweek = 0.001\nproject = 1.0\n", "utf-8"
    )
    monkeypatch.chdir(project)
    lines = CliRunner().invoke(cli, ["report"]).stdout.splitlines()
    shown = [line for line in lines if line.startswith("Budget: ")]
    assert shown == [
        "Budget: $0.01 of $5.00 spent today (budget.day), $4.99 left.",
        "Budget: $0.01 of <$0.01 spent this week (budget.week), used up.",
        f"Budget: $0.01 of $1.00 spent in {facts.project(str(project))} this week (budget.project), $0.99 left.",
    ]


def test_a_project_file_sets_a_smaller_budget_and_never_a_larger_one(tmp_path: Path, isolated_home: Path):
    (isolated_home / "anchorline.toml").write_text("[budget]\nday = 5.0\n", "utf-8")
    (tmp_path / "anchorline.toml").write_text("[budget]\nday = 9.0\nweek = 2.0\nblock = true\n", "utf-8")
    loaded = config.load(tmp_path)
    assert (loaded.config.budget.day, loaded.config.budget.week, loaded.config.budget.block) == (
        5.0,
        2.0,
        False,
    )
    assert {problem.key for problem in loaded.problems} == {"budget.day", "budget.block"}


def test_today_is_the_report_s_day():
    now = time.time()
    recorded((planned("p1", at=now), billed("p1")))
    (use,) = uses(Budget(day=1.0), spending(database.locate(), TARGETS, now), now)
    assert use.begins == datetime.fromtimestamp(now, UTC).date().isoformat()
