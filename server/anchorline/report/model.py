"""The report: what the database holds, added up. A few kilobytes however much was recorded, and no text of a prompt.

`anchorline report --json` prints it, the dashboard draws it. Money is USD, times are epoch seconds, days are UTC.
"""

from typing import Literal

import msgspec

from anchorline.billed.budgets import BudgetUse
from anchorline.cache.miss_causes import Cause
from anchorline.findings.model import Overview
from anchorline.limits.budgets import WindowBudget
from anchorline.limits.finding_share import FindingShare
from anchorline.limits.model import WindowState


class Cost(msgspec.Struct, frozen=True):
    """One model on one day: what its requests were billed, and what the same tokens cost without a cache.

    Both leave `unpriced` requests out, and are None where the price of none is known.
    `planned_usd` and `without_plan_usd` are what its plans expected, with the plan and without it
    (docs/explain/cost.md).
    """

    day: str
    model: str
    requests: int = 0
    usd: float | None = 0.0
    uncached_usd: float | None = 0.0
    plans: int = 0
    planned_usd: float = 0.0
    without_plan_usd: float = 0.0
    unpriced: int = 0


class MissCost(msgspec.Struct, frozen=True):
    """Requests that did not read a prefix that was there before; `usd` is what reading it would have saved."""

    cause: Cause
    requests: int
    usd: float


class Hits(msgspec.Struct, frozen=True):
    """Of `returns` to a prefix, `hits` read 90 % of it. `first` requests had nothing that they could have read."""

    returns: int
    hits: int
    first: int
    misses: tuple[MissCost, ...]


class Bin(msgspec.Struct, frozen=True):
    """Requests whose P(hit) was between `low` and `high`: its mean, and the share that hit with its 95 % interval."""

    low: float
    high: float
    requests: int
    predicted: float
    observed: float
    observed_low: float
    observed_high: float


class Curve(msgspec.Struct, frozen=True):
    """P(hit) against what happened: as ``plans`` said it, or reckoned afterwards for ``imported`` requests."""

    source: Literal["plans", "imported"]
    bins: tuple[Bin, ...]


class Route(msgspec.Struct, frozen=True):
    """A model: how often plans proposed it (`sticky`: because the session ran on it), how often it answered."""

    target: str
    tier: str
    plans: int
    sticky: int
    answered: int


class Refinements(msgspec.Struct, frozen=True):
    """What became of proposed drafts. `edit_distance` is the median of the modified ones, in characters."""

    proposed: int
    accepted: int
    modified: int
    rejected: int
    edit_distance: float | None
    thumbs_up: int
    thumbs_down: int


class AdditionDecisions(msgspec.Struct, frozen=True):
    """What became of files and symbols that were proposed to be added to drafts.

    Of the files that were decided about, `predicted` is the mean probability that they were proposed with and
    `observed` the share that was taken, None without a decision.
    """

    shown: int = 0
    accepted: int = 0
    modified: int = 0
    rejected: int = 0
    predicted: float | None = None
    observed: float | None = None


class Arm(msgspec.Struct, frozen=True):
    """A policy, and the arm of an experiment that plans fell on; `propensity` is the mean probability of that."""

    policy: str
    version: str
    arm: str
    propensity: float
    plans: int


class ExperimentStep(msgspec.Struct, frozen=True):
    """A step of an experiment: `version` was put on trial, promoted, … in the place of `instead_of`, by whom and why.

    In its `stage` the version decides about `share` of the sessions (in shadow about none, whatever the share).
    """

    at: float
    event: str
    version: str
    instead_of: str
    by: str
    reason: str
    experiment: str | None
    stage: str | None
    share: float | None


GroupKind = Literal[
    "project", "branch", "pr", "agent", "subagent", "model", "tool", "day", "week", "session", "block"
]


class GroupCost(msgspec.Struct, frozen=True):
    """What the requests of a group were billed, and what the same tokens cost without a cache.

    `name` is None where it is not known, or there is no pull request. `project` is that of a branch or a session. By
    ``tool``, `requests` are those that brought one of its `results`, and the dollars are those of the results alone.
    `others` is the number of further groups that a row stands for. Both sums leave `unpriced` requests out, and are
    None where the price of none is known.
    """

    name: str | None
    requests: int
    usd: float | None
    uncached_usd: float | None
    unpriced: int = 0
    project: str | None = None
    results: int = 0
    others: int = 0


class Grouping(msgspec.Struct, frozen=True):
    """All that was billed, divided into `rows`, which add up to it: in the order of time, or the dearest one first.

    Of `requests`, `unpriced` ones have no known price.
    """

    by: GroupKind
    requests: int
    usd: float | None
    uncached_usd: float | None
    unpriced: int
    rows: tuple[GroupCost, ...]


class Report(msgspec.Struct, frozen=True):
    """Everything. `requests` have a bill; of `unpriced` ones the price is not known, `unknown` says what of it.

    `overview` divides what was billed among findings. `steps` are the newest ones, whenever they were taken, the last
    one first. `windows` are those of a plan as they are now, whatever `since` is, and `finding_shares` what findings
    took of them. `pings` kept prefixes warm: their
    dollars are not in `costs`, and None where the price of none is known.
    """

    made_at: float
    since: float | None
    first_at: float | None
    last_at: float | None
    requests: int
    unpriced: int
    costs: tuple[Cost, ...]
    hits: Hits
    calibration: tuple[Curve, ...]
    routes: tuple[Route, ...]
    refinements: Refinements
    arms: tuple[Arm, ...]
    steps: tuple[ExperimentStep, ...]
    overview: Overview
    unknown: dict[str, int] = {}
    pings: int = 0
    pings_usd: float | None = 0.0
    groupings: tuple[Grouping, ...] = ()
    budgets: tuple[BudgetUse, ...] = ()
    windows: tuple[WindowState, ...] = ()
    window_budgets: tuple[WindowBudget, ...] = ()
    finding_shares: tuple[FindingShare, ...] = ()
    additions: AdditionDecisions = AdditionDecisions()
    schema: Literal[1] = 1
