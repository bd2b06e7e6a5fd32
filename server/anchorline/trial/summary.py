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


class PolicyEstimate(msgspec.Struct, frozen=True):
    """What a policy would have earned, had it decided about every request, with its 95 % interval."""

    policy: str
    measure: str
    estimator: str
    value: float
    low: float
    high: float
    effective: float
    believable: bool


class CoursePoint(msgspec.Struct, frozen=True):
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
    course: tuple[CoursePoint, ...]
    off_policy: tuple[PolicyEstimate, ...]
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
    own = [request for request in requests if request.arm == arm]
    sessions = [session for session in evidence.sessions if session.arm == arm]
    costs = [session.cost for session in sessions if session.cost is not None]
    good = [session.accepted for session in sessions if session.accepted is not None]
    latencies = [request.latency_ms for request in own if request.latency_ms is not None]
    return Side(
        arm,
        contest.challenger if arm == "challenger" else contest.champion,
        len(sessions),
        len(own),
        sum(session.usd for session in sessions) if costs or not sessions else None,
        sum(costs) / len(costs) if costs else None,
        sum(good) / len(good) if good else None,
        sum(request.p_hit for request in own) / len(own) if own else None,
        median(latencies) if latencies else None,
    )


def _course(evidence: Evidence) -> list[CoursePoint]:
    sessions = [session for session in evidence.sessions if session.cost is not None]
    points: list[CoursePoint] = []
    for step in range(1, POINTS + 1):
        count = len(sessions) * step // POINTS
        if count < 2 or (points and points[-1].sessions == count):
            continue
        estimate = difference((session.arm, session.propensity, session.cost) for session in sessions[:count])
        if min(estimate.sessions):
            low, high = (estimate.low, estimate.high) if estimate.enough else (None, None)
            points.append(CoursePoint(count, estimate.value, low, high))
    return points


def _off_policy(contest: Contest, requests: Sequence[TrialRequest], targets: Targets) -> list[PolicyEstimate]:
    depth: dict[str | None, int] = {}
    costs, good, pricing = [], [], Pricing(targets)
    for request in requests:
        depth[request.session] = depth.get(request.session, 0) + 1
        paid, turned_out = billed(request, pricing), accepted(request)
        context = (np.log1p(request.tokens), float(np.log1p(depth[request.session])))
        if paid is not None:
            costs.append((request, paid.usd / paid.uncached_usd, context))
        if turned_out is not None:
            good.append((request, float(turned_out), context))
    return [*_estimates(contest, "cost", costs), *_estimates(contest, "acceptance", good)]


def _estimates(
    contest: Contest, measure: str, observations: Sequence[tuple[TrialRequest, float, tuple[float, float]]]
) -> list[PolicyEstimate]:
    if len({request.arm for request, _, _ in observations}) < len(ARMS):
        return []
    sessions = {
        session: index
        for index, session in enumerate(dict.fromkeys(request.session for request, _, _ in observations))
    }
    logged = off_policy.log(
        [ARMS.index(request.arm) for request, _, _ in observations],
        [request.propensity for request, _, _ in observations],
        [value for _, value, _ in observations],
        [sessions[request.session] for request, _, _ in observations],
    )
    model = off_policy.fitted(logged, np.array([context for _, _, context in observations]), len(ARMS))
    estimates = []
    for action, arm in enumerate(ARMS):
        target = np.zeros((len(observations), len(ARMS)))
        target[:, action] = 1.0
        policy = contest.challenger if arm == "challenger" else contest.champion
        for name, estimate in (
            ("SNIPS", off_policy.snips(logged, target)),
            ("doubly robust", off_policy.doubly_robust(logged, target, model)),
        ):
            estimates.append(
                PolicyEstimate(
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
    return estimates
