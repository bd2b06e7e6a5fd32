"""The probability from which an addition is shown, learnt from what the developer accepted and rejected.

Shown is what is accepted at least as often as a calibrated file is right at the shipped threshold `s`. How often a
developer accepts at a probability `p` is taken as `sigmoid(b + logit p)`: Platt's recalibration with the slope 1
("Probabilistic outputs for support vector machines", 1999). So `b` is 0 for a developer who accepts what is right, less
for a pickier one, more for a laxer one. The threshold is where that rate is `s`: `sigmoid(logit s - b)`.

`b` is the mode under a Beta(K s, K (1 - s)) prior of the rate at `s`, which counts as `K` decisions that agree with the
shipped threshold (a conditional means prior: Bedrick, Christensen and Johnson, JASA 91, 1996). It solves

    sum over decisions of  w (y - sigmoid(b + logit p))  +  K (s - sigmoid(b + logit s))  =  0

with `y` 1 for what was accepted. The left side falls with `b`: each acceptance lowers the threshold, each rejection
raises it. A decision's weight `w` halves every `HALF_LIFE_S`. So a developer who has rejected all that was shown until
nothing is shown any more sees proposals again after a time, as there are no decisions meanwhile.
"""

import math
from collections.abc import Iterable

import msgspec

PRIOR_DECISIONS = 40.0
"""`K`: how many decisions of the developer's own weigh as much as the shipped threshold."""
HALF_LIFE_S = 30 * 86_400.0
KEPT_S = 6 * HALF_LIFE_S
"""Decisions that are older weigh less than 2 % of a new one."""
LEAST = 0.5
"""The threshold is at least this share of the shipped one, however much is accepted."""
_CLEAR = 0.01
"""Probabilities nearer to 0 or 1 count as this: no ranking is so sure."""
_STEPS = 40
_WIDEST = 20.0
"""Bounds of `b`: beyond it every rate is 0 or 1."""


class AdditionDecision(msgspec.Struct, frozen=True):
    """What a developer made of an addition that was proposed with `probability`; `at` is in epoch seconds."""

    probability: float
    accepted: bool
    at: float


def threshold(shipped: float, decisions: Iterable[AdditionDecision], now: float) -> float:
    """Returns the threshold of a developer, between `LEAST` of the shipped one and 1 (nothing is shown)."""
    if not _CLEAR <= shipped <= 1 - _CLEAR:
        return shipped
    terms = [(PRIOR_DECISIONS, shipped, _logit(shipped))]
    terms += [
        (_weight(now - decision.at), float(decision.accepted), _logit(decision.probability))
        for decision in decisions
    ]
    low, high = -_WIDEST, _WIDEST
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if sum(weight * (rate - _sigmoid(middle + logit)) for weight, rate, logit in terms) > 0:
            low = middle
        else:
            high = middle
    learnt = _sigmoid(_logit(shipped) - (low + high) / 2)
    return 1.0 if learnt > 1 - _CLEAR else max(learnt, LEAST * shipped)


def _weight(age: float) -> float:
    return math.pow(0.5, max(age, 0.0) / HALF_LIFE_S)


def _logit(probability: float) -> float:
    clear = min(max(probability, _CLEAR), 1 - _CLEAR)
    return math.log(clear / (1 - clear))


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
