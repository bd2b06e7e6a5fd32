"""Made-up plans whose truth is known: what tokens cost, what is used when, and what of it is told.

A person works in sessions on most days; requests read what is warm, write what is new, and write all of it anew after a
pause. A plan counts them with weights of its own, in a window of five hours and one of seven days, and tells whole per
cents with each answer, as they were before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from anchorline.limits.model import KINDS
from anchorline.limits.work import Work
from anchorline.rate_limits import DAY_S, HOUR_S, LimitSample

START = 1_780_000_000.0 - 1_780_000_000.0 % DAY_S
LENGTHS = {"five_hour": 5 * HOUR_S, "seven_day": 7 * DAY_S}
PRICES = {  # USD per million tokens, by kind
    "claude-opus-5": (5.0, 0.5, 6.25, 10.0, 25.0),
    "claude-sonnet-5": (3.0, 0.3, 3.75, 6.0, 15.0),
    "claude-haiku-5": (1.0, 0.1, 1.25, 2.0, 5.0),
}
MODELS = tuple(PRICES)


@dataclass(frozen=True)
class Nature:
    """What a world is like."""

    name: str
    models: int = 1
    kind_spread: float = 0.5
    model_spread: float = 0.0
    elsewhere: float = 0.0
    """Sessions elsewhere a day."""
    bursts: bool = False
    floors: bool = False
    """Figures are cut off, not rounded."""
    turns_only: bool = False
    """Only a turn's end tells a figure: a status line."""
    days: int = 21
    full_hours: float = 4.0
    """Hours of work here after which the short window is full."""
    changes_plan: bool = False


NATURES = (
    Nature("plain"),
    Nature("by prices", kind_spread=0.0),
    Nature("cut off", floors=True),
    Nature("status line", turns_only=True),
    Nature("three models", models=3),
    Nature("own weights", models=3, model_spread=0.6),
    Nature("elsewhere", elsewhere=2.0),
    Nature("bursts", bursts=True),
    Nature("another plan", changes_plan=True),
    Nature("few days", days=4),
    Nature("large plan", full_hours=20.0),
)


@dataclass
class World:
    """One made-up history. `used` has the true figure of each window at any time."""

    nature: Nature
    work: list[Work]
    samples: list[LimitSample]
    weights: dict[str, dict[str, np.ndarray]]
    """Per cent of a dollar by kind, of a model and a window, as it is at the end."""
    _times: np.ndarray = field(repr=False)
    _costs: dict[str, np.ndarray] = field(repr=False)
    _begins: dict[str, np.ndarray] = field(repr=False)

    def used(self, window: str, at: float) -> tuple[float, float]:
        """Return what was used of a window by `at`, and when that window began."""
        begins = self._begins[window]
        place = int(np.searchsorted(begins, at, side="right")) - 1
        begin = begins[place] if place >= 0 else -np.inf
        if at >= begin + LENGTHS[window]:
            return 0.0, -np.inf
        inside = (self._times >= begin) & (self._times <= at)
        return float(self._costs[window][inside].sum()), float(begin)

    @property
    def ends(self) -> float:
        """The time of the last request."""
        return self.work[-1].at


def world(nature: Nature, seed: int) -> World:
    """Return a world of that nature."""
    draw = np.random.default_rng(seed)
    names = MODELS[: nature.models]
    work, turn_ends = _work(nature, names, draw)
    kinds = np.exp(draw.normal(0.0, nature.kind_spread, len(KINDS)))
    factors = {name: float(np.exp(draw.normal(0.0, nature.model_spread))) for name in names}
    usd = np.array([request.usd for request in work])
    cost = (usd * kinds).sum(axis=1) * np.array([factors[request.model] for request in work])
    times = np.array([request.at for request in work])
    busy = _busy_hours(times)
    scale = 100.0 / nature.full_hours / (cost.sum() / busy)
    scales = {"five_hour": scale, "seven_day": scale / 12.0}
    change = times[0] + 0.6 * (times[-1] - times[0]) if nature.changes_plan else np.inf
    elsewhere_times, elsewhere_cost = _elsewhere(nature, times, cost.sum() / busy, draw)
    all_times = np.concatenate([times, elsewhere_times])
    order = np.argsort(all_times, kind="stable")
    base = np.concatenate([cost, elsewhere_cost])[order]
    all_times = all_times[order]
    base = np.where(all_times > change, base / 4.0, base)  # a plan of four times the size
    begins = {window: _windows(all_times, length) for window, length in LENGTHS.items()}
    costs = {window: base * scales[window] for window in LENGTHS}
    last = 0.25 if nature.changes_plan else 1.0
    weights = {
        window: {name: last * scales[window] * factors[name] * kinds for name in names} for window in LENGTHS
    }
    made = World(nature, work, [], weights, all_times, costs, begins)
    made.samples = _samples(made, turn_ends, change, draw)
    return made


def _work(nature: Nature, names: Sequence[str], draw: np.random.Generator) -> tuple[list[Work], set[int]]:
    work: list[Work] = []
    ends: set[int] = set()
    for day in range(nature.days):
        if draw.random() < (0.6 if day % 7 >= 5 else 0.1):
            continue
        at = START + day * DAY_S + HOUR_S * draw.normal(8.5, 1.0)
        stop = START + day * DAY_S + HOUR_S * draw.normal(17.5, 2.0)
        while at < stop:
            at = _session(nature, names, at, stop, work, ends, draw)
            at += 60 * float(draw.lognormal(np.log(25), 1.0))
    order = sorted(range(len(work)), key=lambda place: work[place].at)
    return [work[place] for place in order], {new for new, old in enumerate(order) if old in ends}


def _session(
    nature: Nature,
    names: Sequence[str],
    at: float,
    stop: float,
    work: list[Work],
    ends: set[int],
    draw: np.random.Generator,
) -> float:
    model = str(draw.choice(names))
    hour = draw.random() < 0.6
    lifetime = HOUR_S if hour else 300.0
    context, warm, before = float(draw.lognormal(np.log(22_000), 0.3)), 0.0, -np.inf
    pace = float(draw.lognormal(0.0, 0.5))
    many = 4 if nature.bursts and draw.random() < 0.3 else 1
    for _ in range(int(draw.geometric(1 / 12))):
        for _ in range(int(draw.geometric(1 / 9))):
            for _ in range(many):
                read = warm if at - before < lifetime else 0.0
                new = context - read
                output = float(draw.lognormal(np.log(350), 1.0))
                tokens = np.array([40.0, read, 0.0 if hour else new, new if hour else 0.0, output])
                work.append(Work(at, model, tuple(tokens * np.array(PRICES[model]) / 1e6)))
                warm, before = context, at
                at += float(draw.uniform(0.5, 3.0)) if many > 1 else 0.0
            context += output + float(draw.lognormal(np.log(1500), 1.1))
            at += pace * float(draw.lognormal(np.log(14), 0.8))
            if context > 170_000:
                context, warm = 40_000.0, 0.0
        ends.add(len(work) - 1)
        at += 60 * float(draw.lognormal(np.log(1.5), 1.3))
        if at > stop:
            break
    return at


def _busy_hours(times: np.ndarray) -> float:
    gaps = np.diff(times)
    return float(gaps[gaps < 1800].sum()) / HOUR_S


def _elsewhere(
    nature: Nature, times: np.ndarray, hourly: float, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    at, cost = [], []
    for day in range(nature.days):
        for _ in range(int(draw.poisson(nature.elsewhere))):
            begin = START + day * DAY_S + HOUR_S * draw.uniform(7, 23)
            length = HOUR_S * float(draw.exponential(0.7))
            count = max(int(length / 40), 1)
            at.extend(begin + np.sort(draw.uniform(0, length, count)))
            cost.extend(hourly * length / HOUR_S / count * draw.gamma(1.0, 1.0, count))
    keep = [place for place, moment in enumerate(at) if moment < times[-1]]
    return np.array([at[place] for place in keep]), np.array([cost[place] for place in keep])


def _windows(times: np.ndarray, length: float) -> np.ndarray:
    begins: list[float] = []
    for at in times:
        if not begins or at >= begins[-1] + length:
            begins.append(at)
    return np.array(begins)


def _samples(made: World, turn_ends: set[int], change: float, draw: np.random.Generator) -> list[LimitSample]:
    told: dict[tuple[str, str, float, float], list[float]] = {}
    nature = made.nature
    for index, request in enumerate(made.work):
        if nature.turns_only and index not in turn_ends:
            continue
        later = made.work[index + 1].at - request.at if index + 1 < len(made.work) else 60.0
        at = request.at + min(2.0, 0.9 * later)
        if nature.turns_only:
            at = request.at + min(8.0, 0.9 * later)
        plan = "max" if request.at > change else "pro"
        for window, length in LENGTHS.items():
            used, begin = made.used(window, request.at - 1e-3)
            if begin == -np.inf:
                begin = request.at
            shown = float(np.floor(used) if nature.floors else np.round(used))
            key = (window, plan, begin + length, min(shown, 100.0))
            told.setdefault(key, [at, at])[1] = at
    return sorted(
        (
            LimitSample(first, "anthropic", window, used, reset, LENGTHS[window], "headers", plan, "", until)
            for (window, plan, reset, used), (first, until) in told.items()
        ),
        key=lambda sample: (sample.at, sample.used),
    )
