"""Which side a session falls to, and how one policy follows another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.trial import experiment
from anchorline.trial.experiment import (
    HEURISTIC,
    Contest,
    NotPossibleError,
    Standing,
    assign,
    rolled_back,
    without,
)


def contest(
    challenger: str = "r-1", champion: str = HEURISTIC, stage: str = "ab", share: float = 0.5, number: int = 1
) -> Contest:
    return Contest(f"e-{number}", challenger, champion, stage, share, f"{number:032x}", 1000.0 + number)


def test_the_heuristic_decides_where_nothing_was_said():
    found = assign(Standing(), "s")
    assert (found.version, found.arm, found.propensity, found.experiment) == (HEURISTIC, "default", 1.0, None)


@given(st.text(max_size=40), st.floats(0.01, 0.99))
def test_a_session_stays_on_its_side_and_its_probability_is_that_of_the_side(session: str, share: float):
    standing = Standing(trial=contest(share=share))
    found = assign(standing, session)
    assert assign(standing, session) == found
    assert (found.version == "r-1") == (found.arm == "challenger")
    assert found.propensity == pytest.approx(share if found.arm == "challenger" else 1 - share)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_as_many_sessions_fall_to_a_side_as_its_share_says(share: float):
    standing = Standing(trial=contest(share=share))
    count = sum(assign(standing, f"session {number}").arm == "challenger" for number in range(4000))
    assert count / 4000 == pytest.approx(share, abs=4 * (share * (1 - share) / 4000) ** 0.5)


def test_another_experiment_divides_the_sessions_anew():
    one, other = Standing(trial=contest(number=1)), Standing(trial=contest(number=2))
    names = [f"session {number}" for number in range(1000)]
    same = sum(assign(one, name).arm == assign(other, name).arm for name in names)
    assert 400 < same < 600


def test_what_has_no_session_takes_no_part():
    for standing, version in (
        (Standing(trial=contest()), HEURISTIC),
        (Standing((contest(stage="promoted", share=0.9),)), "r-1"),
    ):
        found = assign(standing, None)
        assert (found.version, found.arm, found.experiment) == (version, "default", None)


def test_in_shadow_the_champion_decides_about_everything():
    standing = Standing(trial=contest(stage="shadow"))
    for session in ("a", "b", None):
        found = assign(standing, session)
        assert (found.version, found.arm, found.propensity, found.experiment) == (
            HEURISTIC,
            "champion",
            1.0,
            "e-1",
        )


def test_a_promoted_version_leaves_some_sessions_to_what_it_replaced():
    standing = Standing((contest(stage="promoted", share=0.9),))
    versions = [assign(standing, f"session {number}").version for number in range(1000)]
    assert 850 < versions.count("r-1") < 950
    assert set(versions) == {"r-1", HEURISTIC}


def test_one_version_follows_another_and_each_can_be_taken_back():
    standing = experiment.started(Standing(), contest(stage="shadow"))
    with pytest.raises(NotPossibleError, match="on trial already"):
        experiment.started(standing, contest("r-2"))
    standing = experiment.advanced(standing, 2000.0)
    assert standing.trial is not None
    assert (standing.trial.stage, standing.trial.since) == ("ab", 2000.0)
    standing = experiment.promoted(standing, contest(stage="promoted"))
    assert (standing.champion, standing.trial) == ("r-1", None)
    with pytest.raises(NotPossibleError, match="decides already"):
        experiment.started(standing, contest("r-1"))
    standing = experiment.promoted(standing, contest("r-2", "r-1", "promoted", number=2))
    standing = experiment.started(standing, contest("r-3", "r-2", number=3))
    assert standing.versions == ("r-2", "r-3")
    assert rolled_back(standing, HEURISTIC) == Standing()
    assert rolled_back(standing, "r-1").champion == "r-1"
    with pytest.raises(NotPossibleError, match="did not decide before"):
        rolled_back(standing, "r-9")
    standing = rolled_back(standing)  # first the trial
    assert (standing.champion, standing.trial) == ("r-2", None)
    standing = rolled_back(standing)
    assert standing.champion == "r-1"
    assert rolled_back(standing) == Standing()
    with pytest.raises(NotPossibleError, match="nothing to go back from"):
        rolled_back(Standing())


def test_what_is_gone_gives_way_to_what_was_before_it():
    standing = Standing(
        (
            contest("r-1", HEURISTIC, "promoted", number=1),
            contest("r-2", "r-1", "promoted", number=2),
            contest("r-3", "r-2", "promoted", number=3),
        ),
        contest("r-4", "r-3", number=4),
    )
    left = without(standing, frozenset({"r-2"}))
    assert [(one.challenger, one.champion) for one in left.promoted] == [("r-1", HEURISTIC), ("r-3", "r-1")]
    assert left.trial == standing.trial
    assert without(standing, frozenset({"r-3"})).trial is None
    assert without(standing, frozenset({"r-1", "r-2", "r-3", "r-4"})) == Standing()


def test_whoever_may_decide_is_named_whatever_stands_in_the_file():
    odd = Standing((contest("r-3", stage="promoted"),), trial=contest(champion="r-2"))
    for session in (None, *map(str, range(20))):
        assert assign(odd, session).version in odd.versions
