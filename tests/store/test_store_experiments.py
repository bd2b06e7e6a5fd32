"""Experiments in the store: what was decided and what became of it, each step, and what a purge leaves."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import msgspec
import pytest

from anchorline.outcome import Feedback, Outcome, Usage
from anchorline.plan import Plan, Policy
from anchorline.route.pricing import Pricing
from anchorline.route.target import load as load_targets
from anchorline.store import database, experiments
from anchorline.store.experiments import Steps
from anchorline.store.purging import Purged, purge
from anchorline.store.recorder import Recorder
from anchorline.trial.evidence import Shadowed, billed
from anchorline.trial.experiment import HEURISTIC, Contest, NotPossibleError, Standing
from anchorline.trial.versions import DamagedVersionError, Registry, TrainingData, Version
from support import samples

CONTEST = Contest("e-1", "r-1", HEURISTIC, "ab", 0.25, "0" * 32, 1000.0)


@pytest.fixture
def path(isolated_home: Path) -> Path:
    return database.locate()


def write(folder: Path) -> None:
    (folder / "network.json").write_bytes(b"{}")


@pytest.fixture
def registry() -> Registry:
    found = experiments.registry()
    found.add(Version("r-1", 1.0, TrainingData(since=100.0, until=200.0)), write)
    found.add(Version("r-2", 2.0, TrainingData(since=900.0, until=950.0)), write)
    return found


def plan(plan_id: str, arm: str = "challenger", version: str = "r-1", at: float = 2000.0, **more) -> Plan:
    policy = Policy("network" if version != "1" else HEURISTIC, version, arm, 0.25, "e-1", **more)
    return msgspec.structs.replace(
        samples.plan(plan_id, at=at, session=f"session of {plan_id}"), policy=policy, failure=None
    )


def record(path: Path, plans: list[Plan], then: Callable[[Recorder], None] = lambda _: None) -> None:
    recorder = Recorder(path)
    for each in plans:
        recorder.plan(each, samples.prompt())
    then(recorder)
    recorder.outcome(Outcome("nobody's")).result(60)
    assert recorder.close()
    assert recorder.dropped == 0


def read(path: Path, contest: Contest = CONTEST):
    with database.reading(path) as connection:
        return {one.plan: one for one in experiments.requests(connection, contest)}


def test_a_request_is_read_with_all_that_became_of_it(path: Path):
    def then(recorder: Recorder) -> None:
        recorder.outcome(
            Outcome("a", usage=Usage(1, 2, 3, 4), latency_ms=500, target="claude-haiku-5-5")
        ).result(60)
        recorder.outcome(Outcome("a", decision="accepted", signals={"testsPassed": True})).result(60)
        recorder.outcome(Outcome("a", signals={"askedAgain": False})).result(60)
        recorder.feedback(Feedback("a", -1)).result(60)

    record(path, [plan("a")], then)
    (one,) = read(path).values()
    assert (one.arm, one.propensity, one.own, one.planned, one.ttl) == (
        "challenger", 0.25, samples.MODEL, samples.MODEL, "1h",
    )  # fmt: skip
    assert (one.usage, one.latency_ms, one.answered) == (
        Usage(1, 2, 3, 4),
        500.0,
        "claude-haiku-5-5",
    )
    assert (one.decision, one.thumbs) == ("accepted", -1)
    assert one.signals == {"testsPassed": True, "askedAgain": False}
    assert (one.expected_usd, one.p_hit, one.failed) == (0.02, 0.9, False)
    assert one.session.startswith("b2:")


def test_what_kept_a_prefix_warm_is_paid_for_and_is_no_request(path: Path):
    def then(recorder: Recorder) -> None:
        recorder.outcome(Outcome("a", usage=Usage(0, 9000, 1000, 10), latency_ms=500)).result(60)
        ping = Outcome("a", usage=Usage(0, 10_000, 0, 0), latency_ms=90, signals={"status": 200}, ping=1)
        recorder.outcome(ping).result(60)
        recorder.outcome(Outcome("a", signals={"status": 500}, ping=2)).result(60)

    record(path, [plan("a"), plan("b")], then)
    found = read(path)
    one = found["a"]
    assert (one.usage, one.latency_ms, one.signals) == (Usage(0, 9000, 1000, 10), 500.0, {})
    assert one.pings == (Usage(0, 10_000, 0, 0),)
    targets = load_targets()
    catalog, pricing = targets.catalog, Pricing(targets)
    without = billed(msgspec.structs.replace(one, pings=()), pricing)
    paid = billed(one, pricing)
    assert paid.uncached_usd == without.uncached_usd
    assert paid.usd - without.usd == pytest.approx(
        0.1 * 10_000 * catalog.models[samples.MODEL].prices(10_000)[0]
    )


def test_only_the_stage_of_the_experiment_counts(path: Path):
    other = msgspec.structs.replace(plan("other"), policy=Policy("network", "r-1", "challenger", 0.5, "e-2"))
    record(
        path, [plan("a"), plan("before", at=999.0), other, plan("b", "champion", "1"), plan("c", version="1")]
    )
    found = read(path)
    assert set(found) == {"a", "b", "c"}
    # On the challenger's side the heuristic decided: the network had failed.
    assert [found[name].failed for name in "abc"] == [False, False, True]


def test_what_was_decided_in_shadow_is_counted(path: Path):
    shadow = msgspec.structs.replace(CONTEST, stage="shadow")
    elsewhere = samples.plan("x")
    elsewhere = msgspec.structs.replace(
        elsewhere, route=msgspec.structs.replace(elsewhere.route, target="claude-haiku-5-5"), failure=None
    )

    def then(recorder: Recorder) -> None:
        recorder.shadow(plan("a", "champion", "1"), plan("x"), "r-1")
        recorder.shadow(
            plan("b", "champion", "1"),
            msgspec.structs.replace(elsewhere, policy=Policy("network", "r-1")),
            "r-1",
        )
        recorder.shadow(plan("c", "champion", "1"), plan("y", version="1"), "r-1")  # it fell back

    record(path, [plan(name, "champion", "1") for name in "abc"], then)
    with database.reading(path) as connection:
        found = experiments.shadowed(connection, shadow)
    assert found == Shadowed(3, 3, failures=1, same_model=2, same_anchors=3, milliseconds=0.0)


def test_nothing_of_the_prompt_is_kept_of_a_shadow(path: Path):
    word = "Quetzalcoatlus"
    recorder = Recorder(path)
    recorder.shadow(samples.plan("a", word=word, session=word), samples.plan("b", word=word), "r-1")
    recorder.outcome(Outcome("p")).result(60)
    assert recorder.close()
    assert word.encode() not in b"".join(
        file.read_bytes() for file in path.parent.rglob("*") if file.is_file()
    )


def events(path: Path) -> list[tuple[str, str, str, str]]:
    with database.reading(path) as connection:
        return [(one.event, one.version, one.instead_of, one.by) for one in experiments.events(connection)]


def test_each_step_is_taken_and_written_down(path: Path, registry: Registry):
    steps = Steps(registry, path)
    trial = steps.start("r-1", "shadow", 0.5).trial
    with pytest.raises(NotPossibleError, match="on trial already"):
        steps.start("r-2", "ab", 0.5)
    trial = steps.advance(trial, "went well").trial
    assert (trial.stage, registry.standing().trial) == ("ab", trial)
    steps.promote("r-1", 0.9, "costs less", "monitor", of=trial)
    steps.promote("r-2", 1.0, "by hand")
    steps.roll_back("costs more", "monitor", of=registry.standing().contest)
    steps.roll_back("by hand")
    assert registry.standing() == Standing()
    assert events(path) == [
        ("started", "r-1", HEURISTIC, "developer"),
        ("advanced", "r-1", HEURISTIC, "monitor"),
        ("promoted", "r-1", HEURISTIC, "monitor"),
        ("promoted", "r-2", "r-1", "developer"),
        ("rolled back", "r-2", "r-1", "monitor"),
        ("rolled back", "r-1", HEURISTIC, "developer"),
    ]
    with database.reading(path) as connection:
        kept = experiments.events(connection)
    last = experiments.latest(kept, None)
    assert (last.challenger, last.champion, last.stage) == ("r-2", "r-1", "promoted")
    assert experiments.latest(kept, trial.id).stage == "ab"
    assert experiments.latest(kept, "e-0") is None


def test_a_step_that_another_server_has_taken_is_not_taken_again(path: Path, registry: Registry):
    first, second = Steps(registry, path), Steps(registry, path)
    trial = first.start("r-1", "ab", 0.5).trial
    first.promote("r-1", 0.9, "costs less", "monitor", of=trial)
    before = registry.standing()
    for late in (
        lambda: second.promote("r-1", 0.9, "costs less", "monitor", of=trial),
        lambda: second.roll_back("costs more", "monitor", of=trial),
        lambda: second.advance(trial, "went well"),
    ):
        with pytest.raises(NotPossibleError, match="over already"):
            late()
    assert registry.standing() == before


def test_a_version_that_is_damaged_is_not_put_in_force(path: Path, registry: Registry):
    (registry.folder / "r-1" / "network.json").write_bytes(b"{ }")
    for step in (
        lambda: Steps(registry, path).start("r-1", "ab", 0.5),
        lambda: Steps(registry, path).promote("r-1", 0.9, "by hand"),
    ):
        with pytest.raises(DamagedVersionError, match=r"network\.json"):
            step()
    assert registry.standing() == Standing()


def test_a_standing_that_is_damaged_can_be_rolled_back(path: Path, registry: Registry):
    Steps(registry, path).promote("r-1", 0.9, "by hand")
    registry.standing_file.write_bytes(b"{")
    with pytest.raises(DamagedVersionError):
        Steps(registry, path).promote("r-2", 0.9, "by hand")
    assert Steps(registry, path).roll_back("by hand") == registry.standing() == Standing()


def test_a_database_that_can_not_be_used_keeps_nobody_from_going_back(path: Path, registry: Registry):
    Steps(registry, path).promote("r-1", 0.9, "by hand")
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE photos (id INTEGER)")
    steps = Steps(registry, path)
    assert steps.roll_back("by hand") == Standing()
    assert "another program's" in (steps.problem or "")


def test_evidence_is_read_with_prices(path: Path):
    def then(recorder: Recorder) -> None:
        recorder.outcome(Outcome("a", usage=Usage(0, 9000, 1000, 10), decision="accepted")).result(60)

    record(path, [plan("a")], then)
    found = experiments.evidence(path, CONTEST, load_targets())
    (session,) = found.sessions
    assert 0 < session.cost < 0.5
    assert session.accepted == 1.0
    assert found.verdict.step == "wait"


def test_a_purge_takes_the_networks_that_were_trained_on_what_it_removes(path: Path, registry: Registry):
    steps = Steps(registry, path)
    steps.promote("r-1", 0.9, "by hand")
    steps.promote("r-2", 0.9, "by hand")
    record(path, [plan("old", at=150.0), plan("new", at=2000.0)])
    assert purge(path, 500.0).versions == ("r-1",)
    assert "r-1" not in registry.names()
    assert not (registry.folder / "r-1").exists()
    assert [(one.challenger, one.champion) for one in registry.standing().promoted] == [("r-2", HEURISTIC)]
    assert events(path)[-1] == ("removed", "r-1", "-", "purge")
    assert purge(path).versions == ("r-2",)
    assert registry.standing() == Standing()
    assert events(path) == []


def test_a_version_that_is_purged_meanwhile_is_not_put_in_force_again(
    path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    steps = Steps(registry, path)
    steps.promote("r-1", 0.9, "by hand")
    standing = Registry.standing

    def purged_once_read(one: Registry) -> Standing:
        found = standing(one)
        if not purging:
            purging.append(pool.submit(purge, path, 500.0))
            with suppress(TimeoutError):
                purging[0].result(0.5)
        return found

    purging: list[Future[Purged]] = []
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(Registry, "standing", purged_once_read)
        steps.promote("r-2", 0.9, "by hand")
        assert purging[0].result(60).versions == ("r-1",)
    assert [one.challenger for one in registry.standing().promoted] == ["r-2"]


def test_shadows_and_steps_are_purged(path: Path, registry: Registry):
    Steps(registry, path).promote("r-2", 0.9, "by hand")

    def then(recorder: Recorder) -> None:
        recorder.shadow(plan("old", "champion", "1", at=10.0), plan("x"), "r-1")
        recorder.shadow(plan("new", "champion", "1", at=2000.0), plan("y"), "r-1")

    record(path, [], then)
    purged = purge(path, 100.0)
    assert (purged.rows["shadows"], purged.rows["policy_events"]) == (1, 0)
    purged = purge(path)
    assert (purged.rows["shadows"], purged.rows["policy_events"]) == (1, 1)


def test_networks_are_purged_where_there_is_no_database(path: Path, registry: Registry):
    assert purge(path).versions == ("r-1", "r-2")
    assert not path.exists()
