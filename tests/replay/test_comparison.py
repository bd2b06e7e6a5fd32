"""Policies compared: what was kept and what is new add up to what all of it comes to."""

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.replay import comparison
from anchorline.replay.comparison import Comparison, compare
from anchorline.replay.history import History, RecordedUsage
from anchorline.replay.policies import POLICIES
from anchorline.route.target import Targets, load
from anchorline.store.database import worked_out_file
from support.examples import examples
from support.recorded_days import recorded_days

TARGETS = load()
NAMES = ("recorded", "zed", "anchorline-pings", "clairvoyant")


def compared(requests: list[RecordedUsage], path: Path | None, targets: Targets = TARGETS) -> Comparison:
    return compare(History(requests, targets), NAMES, targets, path=path)


def days(draw: Random, count: int) -> list[RecordedUsage]:
    """Some histories one after the other, the sessions of one going on in others."""
    return [
        request._replace(id=f"{number} {request.id}", at=request.at + number * 150_000)
        for number in range(count)
        for request in recorded_days(draw)
    ]


@examples(25)
@given(st.randoms(use_true_random=True))
def test_what_was_kept_and_what_is_new_are_what_all_of_it_comes_to(draw: Random):
    requests = days(draw, 4)
    draw.shuffle(requests)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "anchorline.db"
        path.touch()
        size = draw.randint(0, len(requests))
        for _ in range(4):  # in any order: older ones come later, and some are deleted
            some = requests[:size]
            assert compared(some, path) == compared(some, None)
            size = min(max(size + draw.choice((-3, -1, 1, 1, 10)), 0), len(requests))


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the requests that are really replayed, run by run."""
    counts: list[int] = []
    real = comparison._replay

    def counting(history: History, numbers: list[int], *rest: object) -> object:
        counts.append(int(sum(history.stretch == number for number in numbers).sum()))
        return real(history, numbers, *rest)

    monkeypatch.setattr(comparison, "_replay", counting)
    return counts


def test_only_what_is_new_is_replayed(tmp_path: Path, replayed: list[int]):
    path = tmp_path / "anchorline.db"
    path.touch()
    requests = days(Random(1), 3)
    compared(requests, path)
    assert replayed == [len(requests)]
    compared(requests, path)
    assert replayed == [len(requests)]
    later = requests[0]._replace(id="new", session="new", at=10_000_000.0)
    compared([*requests, later], path)
    assert replayed == [len(requests), 1]


def test_other_prices_or_a_damaged_file_begin_anew(tmp_path: Path, replayed: list[int]):
    path = tmp_path / "anchorline.db"
    path.touch()
    requests = days(Random(2), 2)
    first = compared(requests, path)
    catalog = msgspec.structs.replace(
        TARGETS.catalog,
        models={
            name: msgspec.structs.replace(model, input=2 * model.input)
            for name, model in TARGETS.catalog.models.items()
        },
    )
    dearer = compared(requests, path, Targets(TARGETS.rules, catalog))
    assert dearer.uncached_usd > first.uncached_usd
    worked_out_file(path, "replay").write_bytes(b"\xff damaged")
    assert compared(requests, path) == first
    assert replayed == [len(requests)] * 3


def test_all_policies_are_compared_alike(tmp_path: Path):
    history = History(days(Random(3), 2), TARGETS)
    every = compare(history, list(POLICIES), TARGETS)
    (single,) = compare(history, ["delta-rule"], TARGETS).policies
    assert single == next(line for line in every.policies if line.policy == "delta-rule")
