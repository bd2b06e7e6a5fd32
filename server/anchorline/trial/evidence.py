"""The evidence of an experiment, and whether it is enough to promote the challenger or to take it back.

The unit is the session, since a session's requests belong together. A session's *cost* is what its requests were
billed, divided by what they would have cost without any cache at the model that they named: a large session weighs no
more than a small one, and a cheaper model counts as well as a better use of the cache. Its *acceptance* is the share of
its requests that turned out well, of those on which anything is known.

Whoever looks after every session and stops when the difference looks good is misled far more often than one time in
twenty. So the intervals hold at all times at once: the asymptotic confidence sequence of I. Waudby-Smith, D. Arbour,
R. Sinha, E. H. Kennedy and A. Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences" (Annals
of Statistics 2024, arXiv:2103.06476) in its one-sided form, over the sessions' doubly robust terms.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf, log, sqrt
from typing import Literal

import msgspec

from anchorline.outcome import Usage
from anchorline.route.pricing import Bill, Pricing, Unpriced
from anchorline.route.target import Targets
from anchorline.trial.experiment import Contest, ContestStage

ALPHA = 0.05
"""How often a challenger that is no cheaper may be promoted, however often one looks."""
FEWEST = 20
"""Sessions on each side, below which nothing is concluded: the intervals are asymptotic."""
TIGHTEST = 200
"""The number of sessions at which the intervals are as narrow as can be."""
MARGIN = 0.1
"""By how much acceptance may be worse, at the lower end of its interval, for a promotion."""
SHADOWED, SHADOWED_SESSIONS = 50, 5
"""Plans and sessions that a challenger decides in shadow before it goes on to A/B."""
FAILURES, FAILURE_SHARE = 3, 0.05
"""Failed plans of a challenger, in number and share, above which it is taken back."""

GOOD = frozenset({"testspassed", "diagnosticsgone", "solved", "kept"})
BAD = frozenset({"askedagain", "undone", "reverted"})
"""Signals by name, without regard to case and separators. A good one that is false is bad."""

Arm = Literal["champion", "challenger"]


class TrialRequest(msgspec.Struct, frozen=True):
    """One planned request of an experiment with what became of it, as the store knows it.

    `own` is the model that the request named, `planned` the one that its plan named, `answered` the one that answered.
    `expected_usd` is what the plan expected where prices are known, `failed` that the arm's policy could not decide.
    `pings` kept its prefix warm.
    """

    plan: str
    at: float
    session: str | None
    arm: Arm
    propensity: float
    own: str | None
    planned: str
    tokens: int
    expected_usd: float | None
    p_hit: float
    failed: bool = False
    ttl: str = "default"
    answered: str | None = None
    usage: Usage | None = None
    pings: tuple[Usage, ...] = ()
    latency_ms: float | None = None
    decision: str | None = None
    thumbs: int | None = None
    signals: Mapping[str, bool | int | float] = {}


class RequestCost(msgspec.Struct, frozen=True):
    """What a request was billed, and what it would have cost at the model it named without a cache, in USD."""

    usd: float
    uncached_usd: float


class TrialSession(msgspec.Struct, frozen=True):
    """What is known of a session. `cost` is relative (see above), None where nothing was billed."""

    session: str
    first_at: float
    arm: Arm
    propensity: float
    requests: int
    usd: float
    uncached_usd: float
    accepted: float | None

    @property
    def cost(self) -> float | None:
        """The relative cost."""
        return self.usd / self.uncached_usd if self.uncached_usd else None


class Difference(msgspec.Struct, frozen=True):
    """Challenger less champion, with one-sided 95 % bounds that hold at all times at once, and the means of both.

    The bounds are infinite while there are fewer than `FEWEST` sessions on a side.
    """

    value: float
    low: float
    high: float
    champion: float
    challenger: float
    sessions: tuple[int, int]

    @property
    def enough(self) -> bool:
        """Whether both sides have sessions enough for a conclusion."""
        return min(self.sessions) >= FEWEST


class Shadowed(msgspec.Struct, frozen=True):
    """What a challenger decided in shadow: how often, in how many sessions, and how often as the champion did."""

    plans: int = 0
    sessions: int = 0
    failures: int = 0
    same_model: int = 0
    same_anchors: int = 0
    milliseconds: float = 0.0


TrialStep = Literal["wait", "advance", "promote", "roll_back"]


class TrialVerdict(msgspec.Struct, frozen=True):
    """What the evidence asks for, and the sentence that says why."""

    step: TrialStep
    reason: str


class Evidence(msgspec.Struct, frozen=True):
    """What an experiment has shown: the sessions in order, the differences, and the verdict."""

    stage: ContestStage
    sessions: tuple[TrialSession, ...]
    cost: Difference
    acceptance: Difference
    rerouted: int
    failures: int
    challenged: int
    shadowed: Shadowed
    verdict: TrialVerdict


def collect(
    contest: Contest, requests: Sequence[TrialRequest], shadowed: Shadowed, targets: Targets
) -> Evidence:
    """Returns what the requests of a contest's stage show."""
    sessions = tuple(by_session(requests, targets))
    challenged = [request for request in requests if request.arm == "challenger"]
    rerouted = sum(_rerouted(request, targets) for request in requests)
    failures = sum(request.failed for request in challenged)
    cost = difference((session.arm, session.propensity, session.cost) for session in sessions)
    acceptance = difference(
        ((session.arm, session.propensity, session.accepted) for session in sessions), share=True
    )
    evidence = Evidence(
        contest.stage,
        sessions,
        cost,
        acceptance,
        rerouted,
        failures,
        len(challenged),
        shadowed,
        TrialVerdict("wait", ""),
    )
    return msgspec.structs.replace(evidence, verdict=verdict(contest, evidence))


def by_session(requests: Iterable[TrialRequest], targets: Targets) -> Iterable[TrialSession]:
    """Yields the sessions in the order in which they began."""
    grouped: dict[str, list[TrialRequest]] = {}
    pricing = Pricing(targets)
    for request in sorted(requests, key=lambda request: request.at):
        if request.session is not None:
            grouped.setdefault(request.session, []).append(request)
    for session, own in grouped.items():
        costs = [cost for request in own if (cost := billed(request, pricing)) is not None]
        outcomes = [good for request in own if (good := accepted(request)) is not None]
        yield TrialSession(
            session,
            own[0].at,
            own[0].arm,
            own[0].propensity,
            len(own),
            sum(cost.usd for cost in costs),
            sum(cost.uncached_usd for cost in costs),
            sum(outcomes) / len(outcomes) if outcomes else None,
        )


def billed(request: TrialRequest, pricing: Pricing) -> RequestCost | None:
    """Returns what a request cost, with its pings; None where its usage or a price is not known."""
    usage = request.usage
    if usage is None:
        return None
    named = request.own or request.planned
    model = request.answered or named
    bills = [pricing.bill(sent, model, request.at) for sent in (usage, *request.pings)]
    paid = [bill.usd for bill in bills if isinstance(bill, Bill)]
    own = pricing.bill(usage, named, request.at)
    if len(paid) < len(bills) or isinstance(own, Unpriced) or not own.uncached:
        return None
    return RequestCost(sum(paid), own.uncached)


def accepted(request: TrialRequest) -> bool | None:
    """Says whether a request turned out well, by all that was observed: anything bad outweighs what is good."""
    seen = signs(request.thumbs, request.signals)
    if request.decision is not None:
        seen.append(request.decision != "rejected")
    return all(seen) if seen else None


def signs(thumbs: int | None, signals: Mapping[str, bool | float]) -> list[bool]:
    """Returns what is known of an answer: each thing that was observed, good or bad."""
    seen: list[bool] = []
    if thumbs is not None:
        seen.append(thumbs > 0)
    for name, value in signals.items():
        plain = name.lower().replace("_", "").replace("-", "").replace(".", "")
        if plain in GOOD:
            seen.append(bool(value))
        elif plain in BAD and value:
            seen.append(False)
    return seen


def _rerouted(request: TrialRequest, targets: Targets) -> bool:
    """Says whether another model answered than the one that the request named."""
    taken = request.planned if request.decision in ("accepted", "modified") else None
    answered = request.answered or taken
    if answered is None or request.own is None:
        return False
    return not targets.same(answered, request.own)


def difference(values: Iterable[tuple[Arm, float, float | None]], *, share: bool = False) -> Difference:
    """Returns challenger less champion of (arm, propensity, value), by session; without a value none is counted.

    Each session's term is mean₁ − mean₀ ± (value − mean of its arm) / propensity, doubly robust with the arms' means as
    the model; the difference is the mean of the terms. `share`: the values are shares, of which it may be that nothing
    but 1 was seen so far; then the spread is what Laplace's rule of succession makes of that, not 0.
    """
    rows = [(arm, propensity, value) for arm, propensity, value in values if value is not None]
    sides: dict[Arm, list[tuple[float, float]]] = {"champion": [], "challenger": []}
    for arm, propensity, value in rows:
        sides[arm].append((propensity, value))
    counts = (len(sides["champion"]), len(sides["challenger"]))
    means = {arm: sum(value for _, value in side) / len(side) if side else 0.0 for arm, side in sides.items()}
    base = means["challenger"] - means["champion"]
    terms = [
        base + (1 if arm == "challenger" else -1) * (value - means[arm]) / propensity
        for arm, propensity, value in rows
    ]
    half = inf
    value = sum(terms) / len(terms) if terms else 0.0
    if min(counts) >= FEWEST:
        variance = sum((term - value) ** 2 for term in terms) / (len(terms) - 1)
        if share:
            variance = max(
                variance, sum(_least(len(side), side[0][0]) for side in sides.values()) / len(terms)
            )
        half = radius(len(terms), variance)
    return Difference(value, value - half, value + half, means["champion"], means["challenger"], counts)


def _least(count: int, propensity: float) -> float:
    """Returns the sum of a side's squared terms, had one more session than were seen turned out otherwise."""
    rare = 1 / (count + 2)
    return count * rare * (1 - rare) / propensity**2


def radius(count: int, variance: float, alpha: float = ALPHA) -> float:
    """Returns the half-width of the one-sided confidence sequence after `count` terms."""
    # The paper's rho is free: this one makes the interval tightest at TIGHTEST terms. Its own alpha is two-sided.
    rho2 = (-2 * log(2 * alpha) + log(-2 * log(2 * alpha) + 1)) / TIGHTEST
    spread = count * rho2 + 1
    return sqrt(variance) * sqrt(2 * spread / (count**2 * rho2) * log(1 + sqrt(spread) / (2 * alpha)))


def verdict(contest: Contest, evidence: Evidence) -> TrialVerdict:
    """Returns what the evidence asks for."""
    cost, acceptance, who = evidence.cost, evidence.acceptance, contest.challenger
    if contest.stage == "shadow":
        return _shadow(who, evidence.shadowed)
    if evidence.failures >= FAILURES and evidence.failures > FAILURE_SHARE * evidence.challenged:
        return TrialVerdict(
            "roll_back", f"{who} failed to decide {evidence.failures} of {evidence.challenged} plans"
        )
    if cost.enough and cost.low > 0:
        return TrialVerdict("roll_back", f"{who} costs more: {_points(cost)} of the uncached cost")
    if acceptance.enough and acceptance.high < 0:
        return TrialVerdict("roll_back", f"with {who} less is accepted: {_points(acceptance)}")
    if contest.stage == "promoted":
        return TrialVerdict("wait", f"{who} stays: nothing speaks against it")
    if not cost.enough:
        few = min(cost.sessions)
        return TrialVerdict("wait", f"{few} of {FEWEST} sessions with a bill on the smaller side")
    if cost.high >= 0:
        return TrialVerdict(
            "wait", f"the costs can't be told apart yet: {_points(cost)} of the uncached cost"
        )
    saved = f"{who} costs less: {_points(cost)} of the uncached cost"
    if max(acceptance.sessions) == 0 and not evidence.rerouted:
        return TrialVerdict("promote", f"{saved}; the answers came from the same models")
    if acceptance.enough and acceptance.low > -MARGIN:
        return TrialVerdict("promote", f"{saved}; acceptance is no worse: {_points(acceptance)}")
    few = min(acceptance.sessions)
    if not acceptance.enough:
        return TrialVerdict(
            "wait", f"{saved}; acceptance is known of {few} of {FEWEST} sessions on the smaller side"
        )
    return TrialVerdict(
        "wait", f"{saved}; acceptance may still be more than {MARGIN:.0%} worse: {_points(acceptance)}"
    )


def _shadow(who: str, shadowed: Shadowed) -> TrialVerdict:
    if shadowed.failures >= FAILURES and shadowed.failures > FAILURE_SHARE * shadowed.plans:
        return TrialVerdict(
            "roll_back", f"{who} failed in {shadowed.failures} of {shadowed.plans} shadow plans"
        )
    if shadowed.plans < SHADOWED or shadowed.sessions < SHADOWED_SESSIONS:
        return TrialVerdict(
            "wait",
            f"{shadowed.plans} of {SHADOWED} shadow plans, {shadowed.sessions} of {SHADOWED_SESSIONS} sessions",
        )
    return TrialVerdict(
        "advance",
        f"{shadowed.plans} shadow plans in {shadowed.sessions} sessions, {shadowed.failures} of which failed",
    )


def _points(estimate: Difference) -> str:
    return f"{100 * estimate.value:+.1f} points ({100 * estimate.low:+.1f} to {100 * estimate.high:+.1f})"
