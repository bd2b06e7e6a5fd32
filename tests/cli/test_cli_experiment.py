"""`anchorline experiment`, `promote`, `rollback`, `history`: what a developer does and reads."""

import json
import random
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.learn import network
from anchorline.learn.architecture import Architecture
from anchorline.outcome import Outcome, Usage
from anchorline.plan import Plan, Policy
from anchorline.store import database
from anchorline.store.experiments import registry
from anchorline.store.recorder import Recorder
from anchorline.trial.versions import TrainingData, Version
from support import samples

BODY = {
    "model": "claude-sonnet-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Fix the parser. " * 900}],
}


def invoke(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.output


@pytest.fixture
def versions(isolated_home: Path) -> tuple[str, str]:
    """Two versions whose gap head decides."""
    made = network.untrained(Architecture(buckets=512, text=4, hidden=8, factors=2)).replaced(
        heads={"gap": "network"}
    )
    for number in (1, 2):
        about = Version(
            f"r-{number}",
            float(number),
            TrainingData(10.0, 20.0, 500, 40),
            metrics={"gap": {"log loss": 0.41}},
        )
        registry().add(about, made.save)
    return "r-1", "r-2"


@pytest.fixture
def request_file(tmp_path: Path) -> str:
    file = tmp_path / "a.request.json"
    file.write_text(json.dumps(BODY))
    return str(file)


def outcomes(experiment: str, sessions: int = 120, share: float = 0.5) -> None:
    """Record an A/B in which the challenger reads far more from the cache."""
    draw = random.Random(3)
    recorder = Recorder(database.locate())
    for number in range(sessions):
        arm = "challenger" if draw.random() < share else "champion"
        for turn in range(2):
            policy = Policy("network" if arm == "challenger" else "heuristic", "r-1" if arm == "challenger" else "1",
                            arm, share if arm == "challenger" else 1 - share, experiment)  # fmt: skip
            made = samples.plan(f"p{number}-{turn}", at=time.time(), session=f"s{number}")
            recorder.plan(
                Plan(
                    **{name: getattr(made, name) for name in made.__struct_fields__}
                    | {"policy": policy, "failure": None}
                ),
                samples.prompt(),
            )
            read = int(10_000 * min(max(draw.gauss(0.8 if arm == "challenger" else 0.4, 0.1), 0), 1))
            written = recorder.outcome(
                Outcome(f"p{number}-{turn}", usage=Usage(0, read, 10_000 - read, 50), decision="accepted")
            )
    written.result(60)
    assert recorder.close()
    assert recorder.dropped == 0


def test_without_a_version_it_says_what_there_is(versions):
    said = invoke("experiment", "start", "r-9", code=1)
    assert "there is no version 'r-9'" in said
    assert "known: heuristic, " in said
    assert "`anchorline rollback --to heuristic`" in invoke("promote", "heuristic", code=1)
    assert "r-1, r-2" in said
    assert "No experiment yet" in invoke("experiment", "report", code=1)
    assert "no experiment is running" in invoke("experiment", "stop", code=1)
    assert "name a VERSION" in invoke("promote", code=1)
    assert "nothing to go back from" in invoke("rollback", code=1)
    assert "The heuristic decides" in invoke("history")


def test_an_experiment_begins_and_ends(versions):
    assert "in shadow" in invoke("experiment", "start", "r-1")
    assert "on trial already" in invoke("experiment", "start", "r-2", code=1)
    assert "in shadow" in invoke("experiment", "report")
    assert "heuristic decides; r-1 is on trial (shadow)." in invoke("history")
    stopped = json.loads(invoke("experiment", "stop", "--json"))
    assert stopped == {"decides": "heuristic", "trial": None, "promoted": []}
    started = json.loads(invoke("experiment", "start", "r-2", "--stage", "ab", "--share", "0.2", "--json"))
    assert (started["trial"]["challenger"], started["trial"]["share"]) == ("r-2", 0.2)
    told = json.loads(invoke("history", "--json"))
    assert [one["event"] for one in told["events"]] == ["started", "stopped", "started"]


def test_what_is_promoted_plans_and_what_is_rolled_back_does_not(versions, request_file: str):
    def policy() -> dict:
        return json.loads(invoke("plan", request_file, "--json"))["policy"]

    assert policy()["name"] == "heuristic"
    invoke("experiment", "start", "r-1")
    assert "r-1 decides in 100% of the sessions" in invoke("promote", "--share", "1")
    assert (policy()["name"], policy()["version"], policy()["propensity"]) == ("network", "r-1", 1.0)
    assert "**Policy** network r-1" in invoke("plan", request_file)
    invoke("promote", "r-2", "--share", "1")
    assert policy()["version"] == "r-2"
    assert "r-1 decides" in invoke("rollback")
    assert policy()["version"] == "r-1"
    assert "r-9 did not decide before" in invoke("rollback", "--to", "r-9", code=1)
    assert "heuristic decides" in invoke("rollback", "--to", "heuristic")
    assert policy() == {
        "name": "heuristic", "version": "1", "arm": "default", "propensity": 1.0, "experiment": None, "reason": "",
    }  # fmt: skip


@pytest.mark.parametrize("broken", ["standing", "weights", "description"])
def test_a_plan_is_made_by_the_heuristic_and_says_why_whatever_is_broken(
    versions, request_file: str, broken: str
):
    invoke("promote", "r-1", "--share", "1")
    folder = registry().folder
    file = {
        "standing": registry().standing_file,
        "weights": folder / "r-1" / network.WEIGHTS,
        "description": folder / "r-1" / network.DESCRIPTION,
    }[broken]
    file.write_bytes(b"\x00" * 40)
    plan = json.loads(invoke("plan", request_file, "--json"))
    assert (plan["policy"]["name"], plan["failure"]) == ("heuristic", None)
    assert str(file) in plan["policy"]["reason"]
    assert "heuristic, because" in invoke("plan", request_file)
    checks = {check["name"]: check for check in json.loads(invoke("doctor", "--json"))["checks"]}
    assert (checks["policy"]["status"], str(file) in checks["policy"]["message"]) == ("warning", True)
    invoke("rollback", "--to", "heuristic")
    assert json.loads(invoke("plan", request_file, "--json"))["policy"]["reason"] == ""


def test_a_network_that_can_not_decide_is_not_put_in_force(isolated_home: Path):
    registry().add(Version("r-1", 1.0), lambda folder: (folder / network.DESCRIPTION).write_bytes(b"{}"))
    for words in (("experiment", "start", "r-1"), ("promote", "r-1")):
        assert "r-1 can't be used" in invoke(*words, code=1)
    assert "The heuristic decides" in invoke("history")


def test_nothing_is_tried_where_nothing_is_recorded(versions, isolated_home: Path):
    (isolated_home / "anchorline.toml").write_text("[store]\nenabled = false\n")
    assert "recording is off" in invoke("experiment", "start", "r-1", code=1)
    invoke("promote", "r-1")
    assert not database.locate().exists()
    assert invoke("history") == "r-1 decides.\n"


class Page(HTMLParser):
    """Collects what would load something, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.outside += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_shows_both_sides_the_difference_and_what_the_log_says(versions, tmp_path: Path):
    started = json.loads(invoke("experiment", "start", "r-1", "--stage", "ab", "--json"))["trial"]
    outcomes(started["id"])
    found = json.loads(invoke("experiment", "report", "--json"))
    champion, challenger = found["sides"]
    assert (champion["policy"], challenger["policy"]) == ("heuristic", "r-1")
    assert champion["sessions"] + challenger["sessions"] == 120
    assert challenger["cost"] < champion["cost"] < 1.3
    cost = found["evidence"]["cost"]
    assert cost["low"] < cost["value"] < cost["high"] < 0
    assert found["evidence"]["verdict"]["step"] == "promote"
    assert found["course"][-1]["sessions"] == 120
    assert found["course"][-1]["value"] == pytest.approx(cost["value"])
    for one in found["off_policy"]:
        side = champion if one["policy"] == "heuristic" else challenger
        assert one["believable"]
        assert one["value"] == pytest.approx(
            side["cost" if one["measure"] == "cost" else "accepted"], abs=0.05
        )
    assert {one["estimator"] for one in found["off_policy"]} == {"SNIPS", "doubly robust"}

    html = tmp_path / "report.html"
    table = invoke("experiment", "report", "--html", str(html))
    for shown in ("r-1", "heuristic", "SNIPS", "costs less", "of the uncached cost"):
        assert shown in table
    page = Page(html.read_text("utf-8"))
    assert page.outside == []
    assert "script" not in page.tags
    assert page.tags.count("svg") == 5
    for shown in ("r-1 against heuristic", "SNIPS", "log loss", "costs less", "500 decisions of 40 sessions"):
        assert shown in page.text


def test_a_report_on_an_experiment_that_is_over_is_still_there(versions):
    started = json.loads(invoke("experiment", "start", "r-1", "--stage", "ab", "--json"))["trial"]
    outcomes(started["id"], sessions=10)
    invoke("experiment", "stop")
    invoke("experiment", "start", "r-2")
    assert "r-2 against heuristic, in shadow; running" in invoke("experiment", "report")
    over = invoke("experiment", "report", started["id"])
    assert "r-1 against heuristic, A/B, 50%; stopped by the developer: stopped by hand" in over
    assert "of 20 sessions with a bill" in over
    assert "there was no experiment 'e-0'" in invoke("experiment", "report", "e-0", code=1)


def test_the_newest_trained_network_is_tried_where_none_is_named(versions):
    assert "r-2 is on trial in shadow" in invoke("experiment", "start")


def test_without_a_trained_network_there_is_nothing_to_try_by_itself():
    assert "`anchorline train` makes one" in invoke("experiment", "start", code=1)
