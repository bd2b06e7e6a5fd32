"""A fix is offered where the replay of exactly it surely saves, and nowhere else."""

import pytest

from anchorline.findings.model import CostFinding, SettingChange
from anchorline.findings.overview import overview
from anchorline.replay import history
from anchorline.replay.changes import Lifetimes, OneModel, Unbroken
from anchorline.replay.worth import WhatIf
from anchorline.route.target import load
from anchorline.store import database, privacy
from anchorline.store.reader import Reader
from support.sessions_in_store import put, request

TARGETS = load()


def findings() -> dict[str, CostFinding]:
    return {finding.code: finding for finding in overview(database.locate(), TARGETS).findings}


def worth(change):
    return WhatIf(history.load(database.locate(), TARGETS), TARGETS).worth(change)


def _pauses(lifetime: str, seconds: float, sessions: int = 12, agent: str = "claude-code") -> None:
    """Sessions whose second half comes after a pause that the lifetime does not outlast."""
    for number in range(sessions):
        name, begin = f"{agent}-{number}", number * 90_000
        put([
            request(1, at=begin, session=name, **{f"write_{lifetime}": 50_000}),
            request(2, at=begin + 60, session=name, read=50_000, **{f"write_{lifetime}": 1000}),
            request(3, at=begin + 60 + seconds, session=name, **{f"write_{lifetime}": 52_000}),
        ], agent=agent, file=name)  # fmt: skip


def test_a_setting_of_claude_code_is_offered_for_its_own_sessions_alone():
    _pauses("5m", 1800, agent="opencode")
    assert findings()["expired"].fix is None
    _pauses("5m", 1800)
    fix = findings()["expired"].fix
    assert fix is not None
    assert fix.changes != ()
    own = frozenset(privacy.session(f"claude-code-{number}") for number in range(12))
    assert fix.worth == worth(Lifetimes(main="1h", sessions=own))
    assert 1.9 * fix.worth.value < worth(Lifetimes(main="1h")).value


def test_a_longer_lifetime_is_offered_where_it_outlasts_the_pauses():
    _pauses("5m", 1800)
    fix = findings()["expired"].fix
    assert fix is not None
    assert [(change.client, change.keys, change.value) for change in fix.changes] == [
        ("claude-code", ("promptCacheTtl",), "1h")
    ]
    assert fix.worth == worth(Lifetimes(main="1h"))
    assert fix.worth.low > 0


@pytest.mark.parametrize(("lifetime", "seconds"), [("1h", 7200), ("5m", 7200)])
def test_it_is_not_where_it_is_there_already_or_outlasts_nothing(lifetime: str, seconds: float):
    _pauses(lifetime, seconds)
    expired = findings()["expired"]
    assert expired.usd > 0
    assert expired.fix is None


def test_what_happened_in_one_session_alone_proves_nothing():
    _pauses("5m", 1800, sessions=1)
    for number in range(12):
        put([request(1, at=number * 90_000, session=f"q{number}", write_5m=9000)], file=f"q{number}")
    assert findings()["expired"].fix is None


def test_advice_has_the_worth_of_the_replay_of_what_it_says():
    for number in range(12):
        name, begin = f"s{number}", number * 90_000
        put([
            request(1, at=begin, session=name, write_5m=30_000),
            request(2, at=begin + 60, session=name, read=12_000, write_5m=20_000),
            request(3, at=begin + 90, session=name, write_5m=33_000, model="claude-haiku-4-5", switched=True),
            request(4, at=begin + 120, session=name, read=32_000, write_5m=2_000, switched=True),
        ], file=name)  # fmt: skip
    known = findings()
    ids = {row.id for row in Reader(database.locate()).imported(0.0) if row.read == 12_000}
    changed, switched = known["history_changed"].fix, known["model_switched"].fix
    assert changed is not None
    assert changed.changes == ()
    assert changed.worth == worth(Unbroken(frozenset(ids)))
    assert switched is None or switched.worth == worth(OneModel())


def test_a_setting_says_where_its_client_documents_it():
    _pauses("5m", 1800)
    fix = findings()["expired"].fix
    assert fix is not None
    assert all(
        isinstance(change, SettingChange) and change.source.startswith("https://") for change in fix.changes
    )
