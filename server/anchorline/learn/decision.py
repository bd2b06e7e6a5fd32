"""A decision with what became of it: one row of the training data."""

from collections.abc import Mapping

import msgspec

from anchorline.learn.features import Features


class Decision(msgspec.Struct, frozen=True):
    """What was seen when a request was about to be sent, and the labels that are known. Missing labels train nothing.

    `session` and `user` group what must not be split; `source` says where the row is from. `at` is in epoch seconds.

    `gap` is the time in seconds to the next request on this prefix, infinite for never; `censored`: at least so long.
    `hit`: at least 90 % of the prefix was read. `reused` says for each of `boundaries` (the numbers that `BOUNDARY`
    names) whether the prefix up to there was asked for again. `solve` is the success of each model that answered, 0 to
    1. `weights` are by head, 1 where a head is not named.
    """

    id: str
    session: str
    features: Features
    user: str = ""
    source: str = ""
    at: float = 0.0
    gap: float | None = None
    censored: bool = False
    hit: float | None = None
    boundaries: tuple[tuple[float, ...], ...] = ()
    reused: tuple[float, ...] = ()
    solve: Mapping[str, float] = {}
    weights: Mapping[str, float] = {}
