"""Measures the forecasts of a plan's windows, and what is learnt of tokens' cost, on recorded and on made-up plans.

A forecast is made at moments of work from what was told until then, and compared with the figure that is told an hour
later (in a weekly window also a day later): its mean error in per cent of the window, and how often its 90 % interval
holds it. Beside it stand the pace of the last hour going on, and the mean pace of the window. Recorded plans are those
of Codex's session files. Of a made-up plan the truth is known, so the learnt costs are measured there too: their error
as a part of the true cost, how often the 90 % interval holds it, and its width.
"""

import argparse
import gzip
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import floor, sqrt
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

import msgspec
import numpy as np

from anchorline.billed.request import PricedModels
from anchorline.config import Config, Store
from anchorline.limits.forecast import FULL, Forecast, figure
from anchorline.limits.learning import learn
from anchorline.limits.model import OTHER, Learnt
from anchorline.limits.state import INTERVAL
from anchorline.limits.steps import steps
from anchorline.limits.use import past_use
from anchorline.limits.windows import Series, WindowSpan, spans
from anchorline.limits.work import Work, all_work
from anchorline.rate_limits import DAY_S, HOUR_S, LimitSample
from anchorline.route.target import load
from anchorline.store import database
from anchorline.store.reader import Reader
from anchorline.store.session_import import import_sessions
from bench import reporting
from bench.data.limit_worlds import NATURES, PRICES, World, world

AHEAD_S = {"five_hour": (HOUR_S,), "seven_day": (HOUR_S, DAY_S)}
MADE_UP_APART_S = 2400.0
RECORDED_APART_S = 60.0
RECORDED_AHEAD_S = (600.0, HOUR_S)
FROM = 0.3
"""The part of a made-up history that a person has behind them at the first forecast."""
MORE = 4
"""So many times as many made-up plans tell how good learnt costs are: each tells only a few."""
QUERIES = {  # tokens by kind: input, read, written for 5 minutes, for an hour, answered
    "read": (0, 100_000, 0, 0, 0),
    "write_5m": (0, 0, 100_000, 0, 0),
    "write_1h": (0, 0, 0, 100_000, 0),
    "output": (0, 0, 0, 0, 10_000),
    "cold": (40, 0, 0, 100_000, 500),
    "warm": (40, 100_000, 0, 1_500, 350),
}


class Made(NamedTuple):
    """A forecast beside what came, and what the two baselines said."""

    window: str
    ahead: float
    value: float
    low: float
    high: float
    truth: float
    last_pace: float
    mean_pace: float


def forecasts(
    samples: Sequence[LimitSample],
    work: Sequence[Work],
    truth: Callable[[WindowSpan, float], float | None],
    moments: Iterable[float],
    ahead_s: Callable[[str], Sequence[float]],
) -> Iterator[Made]:
    """Yield the forecasts at some moments, each from what was told and sent before it; learnt anew each day."""
    day = None
    learnt: dict[Series, Learnt | None] = {}
    for now in moments:
        sent = [request for request in work if request.at <= now]
        samples_then = [
            sample if sample.newest <= now else msgspec.structs.replace(sample, until=now)
            for sample in samples
            if sample.at <= now
        ]
        by_series = spans(samples_then)
        if day != now // DAY_S:
            day = now // DAY_S
            learnt = {series: learn(steps(of_plan(group), sent)) for series, group in by_series.items()}
        for series, group in by_series.items():
            span = group[-1]
            used = span.points[-1].used
            if span.resets_at is None or span.resets_at <= now or used >= FULL:
                continue
            learnt_then = learnt.get(series)
            of_now = group if learnt_then is None else of_plan(group)
            past = past_use(of_now, sent, weigher(learnt_then), span.length, now)
            ahead = Forecast(span, past, now)
            for seconds in ahead_s(series.window):
                if now + seconds > span.resets_at or (came := truth(span, now + seconds)) is None:
                    continue
                estimate = ahead.at(now + seconds)
                recent = figure(span, now) - figure(span, now - HOUR_S)
                age = now - (span.begins or now)
                yield Made(
                    series.window,
                    seconds,
                    estimate.value,
                    estimate.low,
                    estimate.high,
                    came,
                    min(used + recent * seconds / HOUR_S, FULL),
                    min(used + (used * seconds / age if age > 600 else 0.0), FULL),
                )


def of_plan(group: Sequence[WindowSpan]) -> list[WindowSpan]:
    """Return the spans of the newest plan."""
    return [span for span in group if span.plan == group[-1].plan]


def weigher(learnt: Learnt | None) -> Callable[[Work], float]:
    """Return what tells the per cent that a request takes."""

    def weigh(request: Work) -> float:
        if learnt is None or request.usd is None:
            return 0.0
        weights = learnt.models.get(request.model) or learnt.models[OTHER]
        return sum(weight * part for weight, part in zip(weights.mean, request.usd, strict=True))

    return weigh


def moments_of(samples: Sequence[LimitSample], since: float, apart: float) -> Iterator[float]:
    """Yield moments right after a figure was told, so far apart."""
    last = -np.inf
    for sample in sorted(samples, key=lambda sample: sample.at):
        if sample.at >= since and sample.at - last > apart:
            last = sample.at
            yield sample.at + 1.0


def made_up(plan: World) -> Iterator[Made]:
    """Yield the forecasts of a made-up plan."""

    def truth(span: WindowSpan, at: float) -> float | None:
        used, _ = plan.used(span.series.window, at)
        return min(float(floor(used) if plan.nature.floors else round(used)), FULL)

    begin = plan.work[0].at
    since = begin + FROM * (plan.ends - begin)
    moments = moments_of(plan.samples, since, MADE_UP_APART_S)
    return forecasts(plan.samples, plan.work, truth, moments, lambda window: AHEAD_S[window])


def recorded(folder: Path) -> Iterator[Made]:
    """Yield the forecasts of the plans that Codex's session files tell of."""
    folder = folder / "codex" if (folder / "codex").is_dir() else folder
    with tempfile.TemporaryDirectory() as home:
        files = [_unpacked(path, Path(home)) for path in sorted(folder.rglob("*.jsonl*"))]
        path = Path(home) / "a.db"
        settings = Config(store=Store(path=str(path)))
        targets = load()
        import_sessions("codex", files, settings, targets, lambda: None)
        samples = Reader(path).limit_samples(0)
        with database.reading(path) as connection:
            connection.row_factory = None
            work = all_work(connection, PricedModels(targets), 0).get("openai", [])
    whole = spans(samples)

    def truth(span: WindowSpan, at: float) -> float | None:
        return _told(whole[span.series], span, at)

    moments = moments_of(samples, 0, RECORDED_APART_S)
    yield from forecasts(samples, work, truth, moments, lambda window: RECORDED_AHEAD_S)


def _unpacked(path: Path, folder: Path) -> Path:
    """Return a copy of a session file, of which its name says what it is."""
    copy = folder / path.name.removesuffix(".gz")
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target)
    return copy


def _told(group: Sequence[WindowSpan], span: WindowSpan, at: float) -> float | None:
    """Return the figure that was told then, between two figures the one that lies so; None where none was told later."""
    for whole in group:
        if whole.begins != span.begins and abs((whole.resets_at or 0) - (span.resets_at or 0)) > 300:
            continue
        for before, after in zip(whole.points, [*whole.points[1:], None], strict=True):
            if before.at <= at <= before.until:
                return before.used
            if after is not None and before.until < at < after.at:
                part = (at - before.until) / (after.at - before.until)
                return before.used + part * (after.used - before.used)
    return None


class Cost(NamedTuple):
    """A learnt cost beside the true one, both in per cent of the window."""

    window: str
    query: str
    value: float
    low: float
    high: float
    truth: float


def costs(plan: World) -> Iterator[Cost]:
    """Yield what was learnt of a made-up plan."""
    for series, group in spans(plan.samples).items():
        learnt = learn(steps(of_plan(group), plan.work))
        for model, true in plan.weights[series.window].items():
            if learnt is None:
                continue
            weights = learnt.models.get(model) or learnt.models[OTHER]
            for query, tokens in QUERIES.items():
                usd = np.array(tokens) * np.array(PRICES[model]) / 1e6
                value = float(usd @ np.array(weights.mean))
                reach = INTERVAL * float(np.sqrt(usd @ np.array(weights.covariance) @ usd))
                yield Cost(
                    series.window, query, value, max(value - reach, 0), value + reach, float(usd @ true)
                )


def share(case: str, metric: str, hits: Sequence[bool], subset: str) -> dict[str, Any]:
    """Return a row of a share, with Wilson's 95 % interval."""
    count = len(hits)
    part = sum(hits) / count
    spread = 1.96**2 / count
    middle = (part + spread / 2) / (1 + spread)
    reach = 1.96 * sqrt(part * (1 - part) / count + spread / count / 4) / (1 + spread)
    return {
        "case": case,
        "subset": subset,
        "metric": metric,
        "value": round(part, 4),
        "low": round(middle - reach, 4),
        "high": round(middle + reach, 4),
        "n": count,
    }


def forecast_rows(case: str, made: Sequence[Made]) -> Iterator[dict[str, Any]]:
    """Yield the rows of some forecasts, by window and by how far they look ahead."""
    groups: defaultdict[tuple[str, float], list[Made]] = defaultdict(list)
    for forecast in made:
        groups[forecast.window, forecast.ahead].append(forecast)
    for (window, ahead), group in sorted(groups.items()):
        subset = f"{window} {ahead / 60:.0f} min"
        for metric, values in (
            ("error", [abs(forecast.value - forecast.truth) for forecast in group]),
            ("error last pace", [abs(forecast.last_pace - forecast.truth) for forecast in group]),
            ("error mean pace", [abs(forecast.mean_pace - forecast.truth) for forecast in group]),
            ("interval width", [forecast.high - forecast.low for forecast in group]),
        ):
            yield reporting.interval(case, metric, values, mean(values), subset)
        yield share(
            case, "coverage", [forecast.low <= forecast.truth <= forecast.high for forecast in group], subset
        )


def cost_rows(case: str, learnt: Sequence[Cost]) -> Iterator[dict[str, Any]]:
    """Yield the rows of learnt costs, by window and by what was asked."""
    groups: defaultdict[tuple[str, str], list[Cost]] = defaultdict(list)
    for cost in learnt:
        groups[cost.window, cost.query].append(cost)
    for (window, query), group in sorted(groups.items()):
        subset = f"{window} {query}"
        errors = [abs(cost.value - cost.truth) / cost.truth for cost in group]
        widths = [(cost.high - cost.low) / cost.truth for cost in group]
        yield reporting.interval(case, "cost error", errors, median(errors), subset)
        yield reporting.interval(case, "cost width", widths, median(widths), subset)
        yield share(case, "cost coverage", [cost.low <= cost.truth <= cost.high for cost in group], subset)


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--transcripts", type=Path, help="a folder with session files, packed or not; Codex's are read"
    )
    parser.add_argument(
        "--worlds", type=int, default=2, help="made-up plans of each nature whose forecasts are measured"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if options.transcripts is not None:
        rows.extend(forecast_rows("recorded", list(recorded(options.transcripts))))
    every: list[Made] = []
    every_cost: list[Cost] = []
    for nature in NATURES:
        worlds = [world(nature, seed) for seed in range(options.worlds * MORE)]
        made = [forecast for plan in worlds[: options.worlds] for forecast in made_up(plan)]
        learnt = [cost for plan in worlds for cost in costs(plan)]
        rows.extend(forecast_rows(nature.name, made))
        rows.extend(cost_rows(nature.name, [cost for cost in learnt if cost.query in ("cold", "warm")]))
        every.extend(made)
        every_cost.extend(learnt)
        print(f"{nature.name}: {len(made)} forecasts", file=sys.stderr)
    rows.extend(forecast_rows("made up", every))
    rows.extend(cost_rows("made up", every_cost))
    about = {**reporting.environment(), "worlds": options.worlds, "goal": {"coverage": [0.85, 0.95]}}
    reporting.show("plan_limits", rows, about, as_json=options.json)


if __name__ == "__main__":
    main()
