"""What does it save to decide route, anchors and lifetimes together? Recorded sessions, several models allowed.

    python tests/bench joint --requests requests.jsonl.gz [requests_more.jsonl.gz] [--split train dev] [--foresight]
        [--json]

The sessions of Claude Code are sent again, at their times and in their sizes, to models of the current line-up. A model is
chosen where a person speaks, and after a compaction; the turn then stays with it. Cases:

    each-alone      a router that looks at the message alone and is blind to the cache, as routers are; anchors at the end of
                    every request; the cheapest lifetime in expectation, by one who does not know of the router and takes
                    the last model to go on. All costs are relative to it
    route-first     the same router, but the lifetime is chosen with a look at what it decided
    route-first-5m  the same with five minutes always, as most clients do
    route-once      the same router, asked once in a session, and the lifetime after it
    ours            the route as a plan chooses it: with what is warm, and what a switch has to write
    ours-5m         the same with five minutes always
    foresight       (with --foresight: some minutes more) the best route by one who knows what will come, the lifetimes
                    chosen as by the others: no router can do better

Metric `cost_ratio`: input and output cost at equal predicted success, by the quality model that all of them use. What a
solved request is worth is varied, and a case's cost for a success in between is that of the best mixture. `over_rest` is
ours beside the cheapest of the others (not foresight) for the same success, in the same draws. Subsets: `all`
and `pair` ask for a success half way between the weakest and the strongest model's, `all` with the provider's whole line-up
allowed, `pair` with a cheap and a strong model; `…/25`, `…/75` for a quarter, three quarters of the way. `switches` counts
changes of the model by 100 choices.

The ideal rules of the replay: a model finds what a request has in common with the last one of its chain that it got, if that
is alive. Output is the same for all. Intervals: bootstrap by session.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anchorline import config
from anchorline.cache.quote import OUTPUT_TOKENS
from anchorline.route.catalog import Model
from anchorline.route.choose import Situation, choose
from anchorline.route.quality import HeuristicQuality
from anchorline.route.target import load as load_targets
from bench.data.joint_sessions import Held, Session, Sum, paid, sessions
from bench.quality.joint_foresight import foresight
from bench.reporting import environment, show
from support.ideal_replay import ChainStep

KNOWN = load_targets()
CATALOG = KNOWN.catalog
QUALITY = HeuristicQuality()
POOLS = {
    "all": tuple(model.id for model in CATALOG.of_provider("anthropic", current=True)),
    "pair": ("claude-opus-5-5", "claude-haiku-5-5"),
}
GAP_SHARES = {"/25": 0.25, "": 0.5, "/75": 0.75}
WORTHS = (0.0, 0.008, 0.016, *(0.03 * 1.07**step for step in range(45)), 0.8, 1.2, 2.0, 4.0, 1000.0)
"""What a solved request may be worth, in USD: from nothing to whatever it costs, close together where models change."""

REFERENCE = "each-alone"
ALONE = (REFERENCE, "route-first", "route-first-5m", "route-once")
DRAWS = 500

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Open:
    """A chain on its way, under a router. `held` by model."""

    def __init__(self, pool: Sequence[str]) -> None:
        self.held = {name: Held() for name in pool}
        self.model = pool[0]
        self.answered = False


Router = Callable[[Open, ChainStep, str], str]
"""Takes a chain as it is before a request, the request and the person's message; names the model."""


def blind(pool: Sequence[str], worth: float) -> Router:
    """Return a router that weighs success against list prices, at the tokens of an average request."""
    models = [_model(name) for name in pool]

    def route(state: Open, _step: ChainStep, draft: str) -> str:
        features = QUALITY.features(draft, in_session=state.answered)

        def value(model: Model) -> float:
            paid = BLIND_TOKENS * model.prices(0)[0] + OUTPUT_TOKENS * model.prices(0)[1]
            return worth * QUALITY.p_success(features, model) - paid

        return max(models, key=value).id

    return route


BLIND_TOKENS = 8000
"""Input that a router counts with which does not look at it: what 80 000 tokens cost that are read from the cache."""


def once(pool: Sequence[str], worth: float) -> Router:
    """Return the same router, asked at the beginning only."""
    ask = blind(pool, worth)
    return lambda state, step, draft: state.model if state.answered else ask(state, step, draft)


def together(pool: Sequence[str], worth: float) -> Router:
    """Return the route of a plan."""
    settings = config.Route(allow=tuple(pool), success_usd=worth)

    def route(state: Open, step: ChainStep, draft: str) -> str:
        warm = state.held[state.model].warm(step.at)
        situation = Situation(
            current=state.model,
            prompt_tokens=step.tokens,
            warm_tokens=min(warm, step.shared),
            output_tokens=OUTPUT_TOKENS,
            in_session=state.answered,
            cold=not warm,
            draft=draft,
            elsewhere={name: held.warm(step.at) for name, held in state.held.items()},
        )
        return choose(situation, KNOWN, QUALITY, settings).target

    return route


class Case(NamedTuple):
    """How a client decides: its router, its lifetime, and whether the choice of that knows the route."""

    router: Callable[[Sequence[str], float], Router]
    ttl: str = "auto"
    knows: bool = True


CASES = {
    "each-alone": Case(blind, knows=False),
    "route-first": Case(blind),
    "route-first-5m": Case(blind, "5m"),
    "route-once": Case(once),
    "ours": Case(together),
    "ours-5m": Case(together, "5m"),
}


def _model(name: str) -> Model:
    model = CATALOG.find(name)
    if model is None:
        raise SystemExit(f"{name} is not in the catalogue")
    return model


def run(session: Session, pool: Sequence[str], case: Case, worth: float) -> Sum:
    """Send a session again. Chains share nothing."""
    router = case.router(pool, worth)
    usd = solved = 0.0
    requests = choices = switches = 0
    for chain in session:
        state = Open(pool)
        features = QUALITY.features("", in_session=False)
        for asked in chain:
            step = asked.step
            for held in state.held.values():
                held.tokens = min(held.tokens, step.shared)
            if asked.said is not None or not state.answered:
                draft = "x" * (asked.said or 0)
                features = QUALITY.features(draft, in_session=state.answered)
                chosen = router(state, step, draft)
                choices += 1
                switches += state.answered and chosen != state.model
                state.model = chosen
            model = _model(state.model)
            usd += paid(state.held[state.model], asked, model, case.ttl, knows=case.knows)
            solved += QUALITY.p_success(features, model)
            requests += 1
            state.answered = True
    return Sum(usd, solved, requests, choices, switches)


def frontier(points: Sequence[tuple[float, float]], success: float) -> float:
    """Return the least cost of a mean success, mixtures of two points allowed; `points` are (success, cost)."""
    hull: list[tuple[float, float]] = []
    for x, y in sorted(points):
        while len(hull) > 1 and (hull[-1][1] - hull[-2][1]) * (x - hull[-2][0]) >= (y - hull[-2][1]) * (
            hull[-1][0] - hull[-2][0]
        ):
            hull.pop()
        if not hull or x > hull[-1][0] + 1e-12:
            hull.append((x, y))
    for (left, low), (right, high) in pairwise(hull):
        if left <= success <= right:
            return low + (high - low) * (success - left) / (right - left)
    return min(y for x, y in hull if x >= success - 1e-9)


def figures(pool: str, found: dict[str, list[list[Sum]]]) -> Iterator[dict[str, Any]]:
    """Return the rows of one pool. `found`: by case, for each worth, each session's sum."""
    usd = {case: np.array([[one.usd for one in row] for row in rows]) for case, rows in found.items()}
    solved = {case: np.array([[one.solved for one in row] for row in rows]) for case, rows in found.items()}
    count = usd[REFERENCE].shape[1]
    requests = np.array([one.requests for one in found[REFERENCE][0]])
    generator = np.random.default_rng(0)
    whole = np.ones(count)
    draws = [np.bincount(generator.integers(0, count, count), minlength=count) for _ in range(DRAWS)]

    def ratios(case: str, weights: Floats, part: float) -> float:
        success = {name: solved[name] @ weights / (requests @ weights) for name in (case, REFERENCE)}
        low, high = min(success[REFERENCE]), max(success[REFERENCE])
        wanted = low + part * (high - low)
        paid = [
            frontier(list(zip(success[name], usd[name] @ weights, strict=True)), wanted)
            for name in (case, REFERENCE)
        ]
        return paid[0] / paid[1]

    for suffix, part in GAP_SHARES.items():
        drawn = {
            case: np.array([ratios(case, weights, part) for weights in (whole, *draws)]) for case in found
        }
        for case, values in drawn.items():
            yield _row(case, pool + suffix, "cost_ratio", values, count)
        rest = np.min([drawn[case] for case in ALONE], axis=0)
        yield _row("ours", pool + suffix, "over_rest", drawn["ours"] / rest, count)
    for case, rows in found.items():
        middle = np.abs(
            solved[case].sum(axis=1) - (solved[case].sum(axis=1).min() + solved[case].sum(axis=1).max()) / 2
        )
        nearest = rows[int(middle.argmin())]
        share = 100 * sum(one.switches for one in nearest) / sum(one.choices for one in nearest)
        yield _row(case, pool, "switches", np.array([share, share]), count)


def _row(case: str, subset: str, metric: str, values: Floats, count: int) -> dict[str, Any]:
    """Return one row: the first value, and the middle 95 % of the others."""
    low, high = np.quantile(values[1:], (0.025, 0.975))
    rounded = {key: round(float(one), 4) for key, one in (("value", values[0]), ("low", low), ("high", high))}
    return {"case": case, "subset": subset, "metric": metric, **rounded, "n": count}


def main() -> None:
    """Send all sessions under all cases, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=Path, nargs="+", required=True)
    parser.add_argument("--split", nargs="+", default=[], help="only sessions of these splits")
    parser.add_argument(
        "--foresight", action="store_true", help="add the best that was possible: some minutes more"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    recorded = sessions(arguments.requests, arguments.split)
    if not recorded:
        raise SystemExit("no request of Claude Code in these files and splits")
    rows: list[dict[str, Any]] = []
    for subset, pool in POOLS.items():
        found = {
            name: [[run(session, pool, case, worth) for session in recorded] for worth in WORTHS]
            for name, case in CASES.items()
        }
        if arguments.foresight:
            models = [_model(name) for name in pool]
            found["foresight"] = [
                [foresight(session, models, QUALITY, worth) for session in recorded] for worth in WORTHS
            ]
        rows += figures(subset, found)
    show("joint", rows, environment() | {"numpy": np.__version__}, as_json=arguments.json)


if __name__ == "__main__":
    main()
