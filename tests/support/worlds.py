"""Made-up decisions whose truth is known: what becomes of a request depends on what is seen of it."""

import math

import numpy as np

from anchorline.cache.gaps import Moment
from anchorline.cache.hits import Return
from anchorline.learn import features
from anchorline.learn.features import Decision

MODELS = {"small": 0.1, "large": 1.0}
EASY = ("rename the variable", "fix a typo in the comment", "format the file")
HARD = ("find the race in the scheduler", "prove that the allocator never leaks", "redesign the parser")


def decisions(count: int, seed: int = 0, *, first: int = 0) -> list[Decision]:
    """Rows of five a session: after a person's message the pause is long, an old entry misses, and only the large
    model solves what is hard."""
    draw = np.random.default_rng(seed)
    found = []
    for index in range(first, first + count):
        by_user = bool(draw.random() < 0.4)
        hard = bool(draw.random() < 0.5)
        moment = Moment(
            "user" if by_user else "tool",
            int(draw.integers(1000, 100_000)),
            int(draw.integers(1, 50)),
            ((float(draw.exponential(60)), by_user),),
            float(draw.exponential(1000)),
        )
        age = float(draw.exponential(300))
        back = Return("5m", age, 300.0, user=by_user)
        text = str(draw.choice(HARD if hard else EASY))
        odds = {"small": -2.0 if hard else 1.5, "large": 1.0 if hard else 2.0}
        found.append(
            Decision(
                id=f"d{index}",
                session=f"s{index // 5}",
                features=features.of(text if by_user else None, moment, back),
                at=1e9 + index,
                gap=float(draw.exponential(2000 if by_user else 20)) if draw.random() < 0.9 else math.inf,
                hit=float(draw.random() < (0.95 if age < 200 else 0.1)),
                solve={
                    name: float(draw.random() < 1 / (1 + math.exp(-value))) for name, value in odds.items()
                }
                if by_user
                else {},
            )
        )
    return found
