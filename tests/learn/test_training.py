"""Training: it learns what is there to learn, goes on where it was interrupted, and is the same each time."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

pytest.importorskip("mlx.core")

from anchorline.cache.gaps import Moment
from anchorline.cache.hits import Return
from anchorline.learn import features, network
from anchorline.learn.architecture import Architecture
from anchorline.learn.checkpoint import forget
from anchorline.learn.features import Decision, Features
from anchorline.learn.heads import HEADS, Supply, missing, supply
from anchorline.learn.training import Settings, train
from support import worlds

FORM = Architecture(buckets=2048, text=8, hidden=32, factors=4)
SETTINGS = Settings(epochs=8, batch=128, rate=1e-2)


@pytest.fixture(scope="module")
def trained() -> network.Network:
    return train(
        worlds.decisions(2000),
        worlds.decisions(500, 1, first=10_000),
        form=FORM,
        skills=worlds.MODELS,
        settings=SETTINGS,
    )


def same(one: network.Network, other: network.Network) -> bool:
    return all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)


def test_it_learns_every_head(trained: network.Network):
    asked = features.of(None, Moment("user", 5000, 5, ((30.0, True),), 100.0))
    worked = features.of(None, Moment("tool", 5000, 5, ((30.0, False),), 100.0))
    assert trained.gaps(asked).within(300) < 0.4
    assert trained.gaps(worked).within(300) > 0.8
    young, old = Return("5m", 100.0, 300.0), Return("5m", 290.0, 300.0)
    assert trained.hit(features.of(request=young)) > 0.7  # the rule is right here
    assert trained.hit(features.of(request=old)) < 0.5  # and wrong here
    easy = trained.solve(features.of(worlds.EASY[0]), worlds.MODELS)
    hard = trained.solve(features.of(worlds.HARD[0]), worlds.MODELS)
    assert easy["small"] > 0.6 > hard["small"]
    assert hard["large"] - hard["small"] > easy["large"] - easy["small"]


def test_a_new_model_is_placed_between_those_that_were_seen(trained: network.Network):
    hard = trained.solve(features.of(worlds.HARD[1]), worlds.MODELS | {"middle": 0.5})
    assert hard["small"] < hard["middle"] < hard["large"]


def test_no_head_is_used_before_it_was_evaluated(trained: network.Network):
    assert not any(trained.uses(head) for head in HEADS)


def test_an_interrupted_training_ends_in_the_same_network(tmp_path: Path):
    rows, held = worlds.decisions(600), worlds.decisions(200, 1, first=10_000)
    settings = Settings(epochs=3, batch=128, rate=1e-2)
    whole = train(rows, held, form=FORM, settings=settings)

    def interrupt(progress):
        if progress.epoch == 2 and progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(rows, held, form=FORM, settings=settings, checkpoint=tmp_path, progress=interrupt)
    seen = []
    resumed = train(
        rows,
        held,
        form=FORM,
        settings=settings,
        checkpoint=tmp_path,
        progress=lambda progress: seen.append(progress.epoch),
    )
    assert set(seen) == {2, 3}
    assert same(whole, resumed)
    assert whole.description == resumed.description


def test_a_training_that_was_over_is_taken_up_without_another_epoch(tmp_path: Path):
    rows, held = worlds.decisions(300), worlds.decisions(100, 1, first=10_000)
    settings = Settings(epochs=2, batch=128)
    first = train(rows, held, form=FORM, settings=settings, checkpoint=tmp_path)
    seen = []
    again = train(rows, held, form=FORM, settings=settings, checkpoint=tmp_path, progress=seen.append)
    assert same(first, again)
    assert [(one.epoch, one.train) for one in seen] == [(2, {})]
    forget(tmp_path)
    assert not list(tmp_path.glob("*checkpoint*"))


def test_the_checkpoint_of_another_training_is_not_taken_up(tmp_path: Path):
    rows, held = worlds.decisions(300), worlds.decisions(100, 1, first=10_000)
    settings = Settings(epochs=2, batch=128)

    def interrupt(progress):
        if progress.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(rows, held, form=FORM, settings=settings, checkpoint=tmp_path, progress=interrupt)
    seen = []
    other = Settings(epochs=2, batch=128, seed=1)
    train(
        rows,
        held,
        form=FORM,
        settings=other,
        checkpoint=tmp_path,
        progress=lambda progress: seen.append(progress.epoch),
    )
    assert 1 in seen


def test_a_head_without_labels_keeps_what_the_prior_says(trained: network.Network):
    rows = [
        row for row in worlds.decisions(800, 7, first=20_000) if row.features.grams
    ]  # a user whose pauses are all short
    mine = [
        Decision(id=row.id, session=row.session, features=row.features, gap=5.0, at=row.at) for row in rows
    ]
    trained = trained.replaced(heads={"solve": "network"})
    adapted = train(mine, mine[:50], heads=["gap"], start=trained, settings=Settings(epochs=3, batch=64))
    assert adapted.uses("solve")
    asked = rows[0].features
    assert adapted.gaps(asked).within(300) > trained.gaps(asked).within(300) + 0.1
    for text in (worlds.EASY[0], worlds.HARD[0]):
        seen = features.of(text, Moment("user", 5000, 5, ((30.0, True),), 100.0))
        before, after = trained.solve(seen, worlds.MODELS), adapted.solve(seen, worlds.MODELS)
        assert after == pytest.approx(before, abs=0.15)


def test_a_head_in_use_stays_as_it_is_where_nothing_shows_what_it_sees(trained: network.Network):
    mine = [
        Decision(id=row.id, session=row.session, features=Features(moment=row.features.moment), gap=5.0)
        for row in worlds.decisions(300, 7, first=20_000)
    ]
    trained = trained.replaced(heads={"solve": "network"})
    adapted = train(mine, mine[:50], heads=["gap"], start=trained, settings=Settings(epochs=3, batch=64))
    seen = features.of(worlds.HARD[0])
    assert adapted.solve(seen, worlds.MODELS) == trained.solve(seen, worlds.MODELS)
    asked = mine[0].features
    assert adapted.gaps(asked).within(300) > trained.gaps(asked).within(300)


def test_too_little_data_is_said_with_how_much_is_missing():
    found = supply(worlds.decisions(100))
    assert found["gap"].sessions == 20
    said = missing(HEADS["gap"], found["gap"])
    assert said is not None
    assert "400 more labels" in said
    nearly = missing(HEADS["gap"], msgspec.structs.replace(found["gap"], labels=499, rare=40, sessions=20))
    assert nearly == "1 more label"
    assert missing(HEADS["gap"], Supply(500, 40, 20)) is None
    assert missing(HEADS["solve"], Supply(500, 10, 20)) == "20 more failures or successes"
