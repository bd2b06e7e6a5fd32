"""The probability that a model solves a prompt.

    logit P(solved) = easy(x) + skill·gain(x) + LOCAL·min(skill, 0)        gain(x) > 0

`easy` is the log-odds of a small model (skill 0), `easy + gain` those of one of the best (skill 1), and x is the
length of the draft, with its words as far as they are of a kind that was seen (`route.wording`). Nine structural
numbers were tried and lost to length alone where they were not fitted (docs/research/routing.md). `gain` is
positive: a stronger model is never expected to do worse.
"""

from math import exp, log, log1p
from typing import Protocol

import msgspec

from anchorline.route import wording
from anchorline.route.catalog import Model
from anchorline.route.wording import Wording


class LengthFit(msgspec.Struct, frozen=True):
    """What the length says. `mean` and `deviation` are those of log(1 + characters).

    `base` is the mean success of small models, and how much more the best solve; `slope` is what one deviation adds to
    either.
    """

    mean: float
    deviation: float
    base: tuple[float, float]
    slope: tuple[float, float]


# Fitted by `python tests/bench quality_fit --data DIR`: ridge on what separates prompts inside livecodebench,
# gsm8k and mmlu_by_subject (MIT, Apache-2.0, Apache-2.0), each set with the same weight.
LENGTH = LengthFit(6.1307, 0.9353, (0.5648, 0.2767), (-0.1122, 0.0785))

EASIER = frozenset(
    {"typo", "typos", "rename", "comment", "docstring", "format", "lint", "indent", "syntax", "meaning"}
)
HARDER = frozenset(
    {
        "refactor",
        "redesign",
        "design",
        "architecture",
        "migrate",
        "migration",
        "concurrency",
        "deadlock",
        "race",
    }
    | {"optimize", "optimise", "performance", "security", "debug", "rewrite", "lock-free", "distributed"}
)
INTENT = 0.4
"""Log-odds by which an easier or a harder word moves the estimate. Judgement: no permitted data has such prompts."""
LOCAL = 1.5
"""Log-odds that each unit of negative skill loses besides. Judgement: no permitted data has models that small."""


class QualityFeatures(msgspec.Struct, frozen=True):
    """What is known of a draft: the log-odds of a small model, and what one of the best adds to them."""

    easy: float
    gain: float


class QualityModel(Protocol):
    """What the route asks: heuristic today, a trained network later."""

    def features(self, draft: str, *, in_session: bool, unclear: bool = False) -> QualityFeatures:
        """Looks at a draft once, for all candidates.

        `in_session`: it continues a conversation. `unclear`: it leaves open what is to be done.
        """
        ...

    def p_success(self, features: QualityFeatures, model: Model) -> float:
        """Returns the probability that a model solves the prompt; it never falls with `Model.skill`."""
        ...


class HeuristicQuality:
    """Two straight lines in the logarithm of the length, what the words add, one logistic curve."""

    def __init__(self, line: LengthFit = LENGTH, words: Wording | None = None) -> None:
        """Without `words`, those that ship are read when the first draft is seen."""
        self._line = line
        self._words = words

    def features(self, draft: str, *, in_session: bool, unclear: bool = False) -> QualityFeatures:
        """Looks at a draft once, for all candidates.

        In a session the task stands in the turns before: a short draft there does not make it easier than the mean,
        and its words say nothing. The same holds for a draft that leaves open what is to be done.
        """
        line = self._line
        x = (log1p(len(draft)) - line.mean) / line.deviation
        complete = not (in_session or unclear)
        x = min(max(x, -3.0 if complete else 0.0), 3.0)
        words = self._words if self._words is not None else wording.shipped()
        easier, gained = words.shift(draft) if complete else (0.0, 0.0)
        gain = min(max(line.base[1] + line.slope[1] * x + gained, 0.02), 0.9)
        weak = min(max(line.base[0] + line.slope[0] * x + easier, 0.05), 0.98 - gain)
        easy = _logit(weak)
        return QualityFeatures(easy + intent(draft), _logit(weak + gain) - easy)

    def p_success(self, features: QualityFeatures, model: Model) -> float:
        """Returns the probability that a model solves the prompt."""
        skill = model.skill
        odds = features.easy + skill * features.gain
        return 1 / (1 + exp(-(odds if skill >= 0 else odds + LOCAL * skill)))


def intent(draft: str) -> float:
    """Returns by how much the draft's first words make it easier (above 0) or harder, in log-odds."""
    words = frozenset(draft[:200].lower().split())
    easier = INTENT if not words.isdisjoint(EASIER) else 0.0
    return easier - (INTENT if not words.isdisjoint(HARDER) else 0.0)


def _logit(p: float) -> float:
    return log(p / (1 - p))
