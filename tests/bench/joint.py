"""What does it save to decide route, anchors and lifetimes together? Recorded sessions, several models allowed.

    python tests/bench/joint.py --requests requests.jsonl.gz [requests_more.jsonl.gz] [--json]

The sessions of Claude Code are sent again, at their times and in their sizes, to models of the current line-up. A model is
chosen where a person speaks, and after a compaction; the turn then stays with it. Cases:

    each-alone      a router that looks at the message alone and is blind to the cache, as routers are; anchors at the end of
                    every request; the cheapest lifetime in expectation, by one who does not know of the router and takes
                    the last model to go on. All costs are relative to it
    route-first     the same router, but the lifetime is chosen with a look at what it decided
    route-first-5m  the same with five minutes always, as most clients do
    route-once      the same router, asked once in a session, and the lifetime after it
    ours            the route as a plan chooses it: with what is warm, and what a switch throws away
    ours-5m         the same with five minutes always

Metric `cost_ratio`: input and output cost at equal predicted success, by the quality model that all of them use. What a
solved request is worth is varied, and a case's cost for a success in between is that of the best mixture. Subsets: `all`
and `pair` ask for a success half way between the weakest and the strongest model's, `all` with the provider's whole line-up
allowed, `pair` with a cheap and a strong model; `…/25`, `…/75` for a quarter, three quarters of the way. `switches` counts
changes of the model by 100 choices.

The ideal rules of the replay: a model finds what a request has in common with the last one of its chain that it got, if that
is alive. Output is the same for all. Intervals: bootstrap by session.
"""

import argparse
import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from reporting import environment, show

from anchorline import config
from anchorline.cache.action import best, bets
from anchorline.cache.replay import Step, moment
from anchorline.cache.reuse import Gaps, HazardGaps
from anchorline.cache.rules import load as load_rules
from anchorline.cache.sending import OUTPUT_TOKENS
from anchorline.route.catalog import Model
from anchorline.route.catalog import load as load_catalog
from anchorline.route.choose import Situation, choose
from anchorline.route.quality import HeuristicQuality
from anchorline.sessions.conversations import conversations
from anchorline.sessions.request import Billed

RULES = load_rules()
CATALOG = load_catalog()
PROVIDER = RULES.provider("anthropic")
QUALITY = HeuristicQuality()
POOLS = {
    "all": tuple(model.id for model in CATALOG.of_provider("anthropic", current=True)),
    "pair": ("claude-opus-5-5", "claude-haiku-5-5"),
}
TARGETS = {"/25": 0.25, "": 0.5, "/75": 0.75}
WORTHS = (0.0, *(0.004 * 1.35**step for step in range(28)), 1000.0)
"""What a solved request may be worth, in USD: from nothing to whatever it costs."""

REFERENCE = "each-alone"
DRAWS = 500

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Asked(NamedTuple):
    """A request: its step, the time to the next one as predicted, the characters of what the person said (if they did)."""

    step: Step
    gaps: Gaps
    said: int | None


Chain = Sequence[Asked]
Session = Sequence[Chain]


class Held:
    """What one model holds of a chain: the prefix of its last request there, in common with what came since."""

    def __init__(self) -> None:
        self.tokens = 0
        self.until = -1.0

    def warm(self, at: float) -> int:
        """Return the tokens that are found at a time."""
        return self.tokens if at <= self.until else 0


class Open:
    """A chain on its way, under a router. `held` by model."""

    def __init__(self, pool: Sequence[str]) -> None:
        self.held = {name: Held() for name in pool}
        self.model = pool[0]
        self.answered = False


Router = Callable[[Open, Step, str], str]
"""Takes a chain as it is before a request, the request and the person's message; names the model."""


def blind(pool: Sequence[str], worth: float) -> Router:
    """Return a router that weighs success against list prices, at the tokens of an average request."""
    models = [_model(name) for name in pool]

    def route(state: Open, _step: Step, draft: str) -> str:
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

    def route(state: Open, step: Step, draft: str) -> str:
        warm = state.held[state.model].warm(step.at)
        situation = Situation(
            current=state.model,
            prompt_tokens=step.tokens,
            warm_tokens=min(warm, step.shared),
            output_tokens=OUTPUT_TOKENS,
            in_session=state.answered,
            cold=not warm,
            draft=draft,
        )
        return choose(situation, CATALOG, RULES, QUALITY, settings).target

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


class Sum(NamedTuple):
    """What a session came to: USD, predicted successes, requests, choices, changes of the model."""

    usd: float
    solved: float
    requests: int
    choices: int
    switches: int


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
            usd += _paid(state.held[state.model], asked, model, case)
            solved += QUALITY.p_success(features, model)
            requests += 1
            state.answered = True
    return Sum(usd, solved, requests, choices, switches)


def _paid(held: Held, asked: Asked, model: Model, case: Case) -> float:
    """Return the USD of a request, and keep what it leaves."""
    step = asked.step
    price, output = model.prices(step.tokens)
    answer = output * OUTPUT_TOKENS
    if step.tokens < PROVIDER.minimum(model.id):
        held.tokens, held.until = 0, -1.0
        return price * step.tokens + answer
    read = held.warm(step.at)
    fresh = step.tokens - read
    new = fresh if case.knows else step.tokens - step.shared
    action = best(bets(PROVIDER, model.id, asked.gaps, new, step.tokens), case.ttl).action
    held.tokens, held.until = step.tokens, step.at + action.alive
    return price * (PROVIDER.read_price(model.id) * read + action.write * fresh) + answer


def sessions(paths: Sequence[Path]) -> list[Session]:
    """Return the sessions of Claude Code in the files, a chain for each conversation and sub-agent."""
    gaps = HazardGaps()
    grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                if row["agent"] == "claude-code" and str(row["model"]).startswith("claude"):
                    grouped[row["session"]].append(row)
    return [list(_chains(rows, gaps)) for rows in grouped.values()]


def _chains(rows: list[dict[str, Any]], gaps: HazardGaps) -> Iterator[Chain]:
    rows.sort(key=_sent)
    said: dict[str, list[int | None]] = defaultdict(list)
    for row in rows:
        texts = sum(size for role, kind, size, *_ in row["new_blocks"] if (role, kind) == ("user", "text"))
        spoken = row["trigger"] in ("user", "compact")
        said[str(row["chain"])].append(texts if spoken else None)
    for recorded in conversations([_billed(row) for row in rows], RULES):
        steps = recorded.steps
        lengths = said[recorded.name.split("\0")[1]]
        yield [
            Asked(step, gaps.after(moment(steps, index)), length)
            for index, (step, length) in enumerate(zip(steps, lengths, strict=True))
        ]


def _sent(row: dict[str, Any]) -> float:
    return float(row["sent_at"] or row["first_at"])


def _billed(row: dict[str, Any]) -> Billed:
    """Return a row as the importers give it. All go to one model: what they have in common is asked, not what was paid."""
    return Billed(
        id="", session=row["session"], chain=str(row["chain"]), branch=0, model=POOLS["pair"][0], sent_at=_sent(row),
        first_at=row["first_at"], trigger=row["trigger"] or "user", switched=False, blocks=0, prefix=b"",
        input=row["input"], read=row["read"] or 0, write_5m=row["write_5m"] or 0,
        write_1h=row["write_1h"] or 0, output=0, ttl=None,
    )  # fmt: skip


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

    for suffix, part in TARGETS.items():
        for case in found:
            drawn = [ratios(case, weights, part) for weights in draws]
            low, high = np.quantile(drawn, (0.025, 0.975))
            yield _row(case, pool + suffix, "cost_ratio", ratios(case, whole, part), low, high, count)
    for case, rows in found.items():
        middle = np.abs(
            solved[case].sum(axis=1) - (solved[case].sum(axis=1).min() + solved[case].sum(axis=1).max()) / 2
        )
        nearest = rows[int(middle.argmin())]
        share = 100 * sum(one.switches for one in nearest) / sum(one.choices for one in nearest)
        yield _row(case, pool, "switches", share, share, share, count)


def _row(
    case: str, subset: str, metric: str, value: float, low: float, high: float, count: int
) -> dict[str, Any]:
    rounded = {key: round(float(one), 4) for key, one in (("value", value), ("low", low), ("high", high))}
    return {"case": case, "subset": subset, "metric": metric, **rounded, "n": count}


def main() -> None:
    """Send all sessions under all cases, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=Path, nargs="+", required=True)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    recorded = sessions(arguments.requests)
    rows: list[dict[str, Any]] = []
    for subset, pool in POOLS.items():
        found = {
            name: [[run(session, pool, case, worth) for session in recorded] for worth in WORTHS]
            for name, case in CASES.items()
        }
        rows += figures(subset, found)
    show("joint", rows, environment() | {"numpy": np.__version__}, as_json=arguments.json)


if __name__ == "__main__":
    main()
