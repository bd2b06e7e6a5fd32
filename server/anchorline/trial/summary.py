"""The report on an experiment: both sides beside each other, and the difference in cost as it grew.

The log also says what either policy would have come to, had it decided everywhere: by SNIPS and doubly robust, on the
logged propensities.
"""

from collections.abc import Sequence
from statistics import median

import msgspec
import numpy as np

from anchorline.route.pricing import Pricing
from anchorline.route.target import Targets
from anchorline.trial import off_policy
from anchorline.trial.evidence import Arm, Evidence, TrialRequest, accepted, billed, difference
from anchorline.trial.experiment import Contest
from anchorline.trial.versions import Version

POINTS = 60
"""Of a course, at most."""
ARMS: tuple[Arm, Arm] = ("champion", "challenger")


class Side(msgspec.Struct, frozen=True):
    """One side of an experiment. `cost` and `accepted` are means over sessions, `usd` is what was billed.

    It is None where there are sessions and the price of none is known.
    """

    arm: Arm
    policy: str
    sessions: int
    requests: int
    usd: float | None
    cost: float | None
    accepted: float | None
    p_hit: float | None
    latency_ms: float | None


class Estimated(msgspec.Struct, frozen=True):
    """What a policy would have earned, had it decided about every request, with its 95 % interval."""

    policy: str
    measure: str
    estimator: str
    value: float
    low: float
    high: float
    effective: float
    believable: bool


class Point(msgspec.Struct, frozen=True):
    """The difference in cost after so many sessions. The bounds are None while they are infinite."""

    sessions: int
    value: float
    low: float | None
    high: float | None


class TrialReport(msgspec.Struct, frozen=True):
    """Everything. `ended` says how an experiment ended that is over; `version` is None where it is no more."""

    contest: Contest
    ended: str | None
    evidence: Evidence
    sides: tuple[Side, ...]
    course: tuple[Point, ...]
    off_policy: tuple[Estimated, ...]
    version: Version | None


def report(
    contest: Contest,
    requests: Sequence[TrialRequest],
    evidence: Evidence,
    targets: Targets,
    *,
    ended: str | None,
    version: Version | None,
) -> TrialReport:
    """Puts the report together."""
    return TrialReport(
        contest,
        ended,
        evidence,
        tuple(_side(arm, contest, requests, evidence) for arm in ARMS),
        tuple(_course(evidence)),
        tuple(_off_policy(contest, requests, targets)),
        version,
    )


def _side(arm: Arm, contest: Contest, requests: Sequence[TrialRequest], evidence: Evidence) -> Side:
    own = [one for one in requests if one.arm == arm]
    sessions = [one for one in evidence.sessions if one.arm == arm]
    costs = [one.cost for one in sessions if one.cost is not None]
    good = [one.accepted for one in sessions if one.accepted is not None]
    latencies = [one.latency_ms for one in own if one.latency_ms is not None]
    return Side(
        arm,
        contest.challenger if arm == "challenger" else contest.champion,
        len(sessions),
        len(own),
        sum(one.usd for one in sessions) if costs or not sessions else None,
        sum(costs) / len(costs) if costs else None,
        sum(good) / len(good) if good else None,
        sum(one.p_hit for one in own) / len(own) if own else None,
        median(latencies) if latencies else None,
    )


def _course(evidence: Evidence) -> list[Point]:
    sessions = [one for one in evidence.sessions if one.cost is not None]
    points: list[Point] = []
    for step in range(1, POINTS + 1):
        count = len(sessions) * step // POINTS
        if count < 2 or (points and points[-1].sessions == count):
            continue
        found = difference((one.arm, one.propensity, one.cost) for one in sessions[:count])
        if min(found.sessions):
            low, high = (found.low, found.high) if found.enough else (None, None)
            points.append(Point(count, found.value, low, high))
    return points


def _off_policy(contest: Contest, requests: Sequence[TrialRequest], targets: Targets) -> list[Estimated]:
    depth: dict[str | None, int] = {}
    costs, good, pricing = [], [], Pricing(targets)
    for one in requests:
        depth[one.session] = depth.get(one.session, 0) + 1
        paid, turned_out = billed(one, pricing), accepted(one)
        context = (np.log1p(one.tokens), float(np.log1p(depth[one.session])))
        if paid is not None:
            costs.append((one, paid.usd / paid.uncached_usd, context))
        if turned_out is not None:
            good.append((one, float(turned_out), context))
    return [*_estimates(contest, "cost", costs), *_estimates(contest, "acceptance", good)]


def _estimates(
    contest: Contest, measure: str, known: Sequence[tuple[TrialRequest, float, tuple[float, float]]]
) -> list[Estimated]:
    if len({one.arm for one, _, _ in known}) < len(ARMS):
        return []
    sessions = {
        session: index for index, session in enumerate(dict.fromkeys(one.session for one, _, _ in known))
    }
    logged = off_policy.log(
        [ARMS.index(one.arm) for one, _, _ in known],
        [one.propensity for one, _, _ in known],
        [value for _, value, _ in known],
        [sessions[one.session] for one, _, _ in known],
    )
    model = off_policy.fitted(logged, np.array([context for _, _, context in known]), len(ARMS))
    found = []
    for action, arm in enumerate(ARMS):
        target = np.zeros((len(known), len(ARMS)))
        target[:, action] = 1.0
        policy = contest.challenger if arm == "challenger" else contest.champion
        for name, estimate in (
            ("SNIPS", off_policy.snips(logged, target)),
            ("doubly robust", off_policy.doubly_robust(logged, target, model)),
        ):
            found.append(
                Estimated(
                    policy,
                    measure,
                    name,
                    estimate.value,
                    estimate.low,
                    estimate.high,
                    estimate.effective,
                    estimate.believable,
                )
            )
    return found
