"""Several outcomes of one plan are one, by the same rule wherever they are read."""

from pathlib import Path

import msgspec
import pytest

from anchorline.outcome import Outcome, Usage
from anchorline.plan import Policy
from anchorline.report.collect import collect
from anchorline.route.target import load as load_targets
from anchorline.store import database, decisions, experiments
from anchorline.store.recorder import Recorder
from anchorline.trial.experiment import Contest
from support import samples

AT = 1_790_000_000.0
BILLED, OTHER = "claude-haiku-4-5", "claude-opus-4-6"


@pytest.mark.parametrize("told_first", [True, False])
def test_every_reader_makes_the_same_one_of_them(tmp_path: Path, told_first: bool):
    """The gateway says what was billed, the editor what a person made of it and, wrongly, which model answered."""
    billed = Outcome("p1", target=BILLED, usage=Usage(input=100, read=900), sent_at=AT + 5, latency_ms=70.0)
    ping = Outcome("p1", target=OTHER, usage=Usage(read=900), ping=1)
    told = Outcome("p1", target=OTHER, decision="accepted", signals={"tests_passed": True})
    path = tmp_path / "anchorline.db"
    plan = msgspec.structs.replace(
        samples.plan("p1", at=AT), failure=None, policy=Policy(arm="champion", propensity=0.5, experiment="e")
    )
    recorder = Recorder(path)
    recorder.plan(plan, samples.prompt())
    for outcome in (told, ping, billed) if told_first else (billed, ping, told):
        recorder.outcome(outcome).result(60)
    assert recorder.close()

    (decision,) = decisions.read(path, load_targets())
    assert (decision.at, dict(decision.solve)) == (AT + 5, {BILLED: 1.0})
    contest = Contest("e", "v2", "v1", "ab", 0.5, "0" * 32, AT - 1)
    with database.reading(path) as connection:
        (request,) = experiments.requests(connection, contest)
    assert (request.answered, request.usage, request.decision) == (BILLED, billed.usage, "accepted")
    assert (request.latency_ms, request.signals, len(request.pings)) == (70.0, {"tests_passed": True}, 1)
    report = collect(path, load_targets())
    assert {route.target: route.answered for route in report.routes if route.answered} == {BILLED: 1}
    assert (report.requests, report.pings, report.refinements.accepted) == (1, 1, 1)


def test_a_model_that_the_bill_leaves_open_is_told_by_another_outcome(tmp_path: Path):
    path = tmp_path / "anchorline.db"
    recorder = Recorder(path)
    recorder.plan(msgspec.structs.replace(samples.plan("p1", at=AT), failure=None), samples.prompt())
    for outcome in (
        Outcome("p1", target=OTHER, signals={"solved": True}),
        Outcome("p1", usage=Usage(input=100)),
    ):
        recorder.outcome(outcome).result(60)
    assert recorder.close()
    (decision,) = decisions.read(path, load_targets())
    report = collect(path, load_targets())
    assert set(decision.solve) == {route.target for route in report.routes if route.answered} == {OTHER}
