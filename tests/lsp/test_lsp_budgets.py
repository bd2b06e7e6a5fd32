"""A budget in the editor: one warning at 80 % and one when it is used up, whichever editor is first."""

import time
from pathlib import Path

from support.history import billed, plan_limits, planned, recorded

SHOWN = "window/showMessage"


def test_one_editor_warns_of_a_budget_that_is_used_up_and_the_next_does_not(start, isolated_home: Path):
    recorded((planned("p1", at=time.time()), billed("p1")))
    options = {"budget": {"day": 0.001, "week": 1000.0}}
    first = start()
    first.initialize(initializationOptions=options)
    shown = first.notification(SHOWN)
    assert shown["type"] == 2
    assert shown["message"].startswith("Budget used up: ")
    assert "(budget.day)" in shown["message"]
    assert (isolated_home / "data" / "budget-warnings.json").exists()
    second = start()
    second.initialize(initializationOptions=options)
    for client in (first, second):
        client.call("anchorline/status")
        client.call("anchorline/plan", {"prompt": {"body": "Fix the parser."}})
        client.call("anchorline/status")
        assert not [message for message in client.seen if message.get("method") == SHOWN]


def test_without_a_budget_nothing_is_said(start):
    recorded((planned("p1", at=time.time()), billed("p1")))
    client = start()
    client.initialize()
    client.call("anchorline/status")
    assert not [message for message in client.seen if message.get("method") == SHOWN]


def test_a_plan_s_window_that_is_nearly_used_up_is_warned_of_once(start):
    plan_limits(86.0)
    first = start()
    first.initialize()
    message = first.notification(SHOWN)["message"]
    assert message.startswith("Your 5-hour window: 86% used, resets ")
    hours, week = first.call("anchorline/status")["windows"]
    assert (hours["name"], hours["used"], week["used"]) == ("5-hour window", 86.0, 41.0)
    assert hours["text"].startswith("86% used, resets ")
    second = start()
    second.initialize(initializationOptions={"budget": {"five_hour_percent": 80}})
    message = second.notification(SHOWN)["message"]
    assert message.startswith("Budget used up: 86% of Claude's 5-hour window used, of the 80% that you allow")


def test_a_window_with_room_is_not_warned_of(start):
    plan_limits(12.0)
    client = start()
    client.initialize(initializationOptions={"budget": {"five_hour_percent": 80}})
    client.call("anchorline/plan", {"prompt": {"body": "Fix the parser."}})
    client.call("anchorline/status")
    assert not [message for message in client.seen if message.get("method") == SHOWN]
