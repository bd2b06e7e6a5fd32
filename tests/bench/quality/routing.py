"""How well do routers tell which prompts need the strong model? Ours beside simple ones, LiteLLM's and an oracle.

    python tests/bench routing --data DIR [--train DIR] [--network] [--draws 300] [--json]

DIR holds sets of prompts with scores by model (routing_sets.py says in which form); each is scored as far as it has one of the
pairs of models named there. Nothing is scored by what was trained on it: five folds by a hash of the group (MMLU's
subject, SWE-bench's repository, else the prompt), rows with a date from 2024-03 on by what was trained on earlier ones.
`--train` names a folder whose rows may be learnt from besides, under the same folds and dates (default: `routing` in
ANCHORLINE_TEST_DATA, or in shared/data beside the checkout, where there is one).

Cases: `ours` is what ships, fitted anew on the permitted sets without the fold where it has seen the rows that are scored;
`ours-all-data` is the same code, taught by all sets;
`network` (with --network) is the network's solve head, taught by the permitted sets; the others are described in routers.py. Learners keep to the scored set's own rows where it has a hundred. Metrics: `apgr` (area
under the recovered performance gap, random .5), `cpt50` and `cpt80` (share of calls to the strong model that recover
half or 80 % of the gap), `headroom_share` (of the way from .5 to the oracle), `auc` (the strong model gains, or not), `brier`
and `ece` (mean over both tiers, and by tier), `cost_at_95` (of always asking the strong model, at 95 % of its quality). 95 % intervals by
bootstrap over groups, the same draws for all cases: `apgr_over_length` … are paired differences. `mean` is over all sets,
`mean-code` over livecodebench, routerbench-mbpp and swebench, `mean-unseen` over livecodebench, routerbench-mbpp and
infibench.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from anchorline.route.quality import LENGTH, HeuristicQuality
from bench.data.routing_sets import FOLDS, PERMITTED, TIME_CUT, UNSEEN, Prompts, read
from bench.make import solve_prior
from bench.quality.routers import Router, baselines
from bench.quality.routing_metrics import Answers, Forecast, Judge
from bench.reporting import environment, show

MEANS = {
    "mean-code": ("livecodebench", "routerbench-mbpp", "swebench"),
    "mean-unseen": ("livecodebench", "routerbench-mbpp", "infibench"),
}
OURS = ("ours", "ours-all-data")


def ours(sets: Callable[[dict[str, Prompts]], dict[str, Prompts]], *, shipped: bool) -> Router:
    """Return the route's own model of quality, fitted on those of the sets that `sets` gives.

    With `shipped`, a set that what ships has not seen is scored by what ships.

    Its level is the shipped one in all folds: one that is fitted without a fold is too low where that fold is high, which
    would put the folds in the wrong order.
    """

    def fit(train: dict[str, Prompts]) -> HeuristicQuality:
        taught = {name: one for name, one in sets(train).items() if len(one)}
        if not taught:
            return HeuristicQuality()
        line, words = solve_prior.fit(taught)
        return HeuristicQuality(replace(line, base=LENGTH.base), words)

    fitted = once(fit)

    def route(train: dict[str, Prompts], scored: Prompts) -> Forecast:
        model = HeuristicQuality() if shipped and not seen(scored) else fitted(train)
        features = [model.features(prompt, in_session=False) for prompt in scored.prompts]
        easy = np.array([one.easy for one in features])
        gain = np.array([one.gain for one in features])
        return of_odds(easy, easy + gain)

    return route


def network() -> Router:
    """Return the network's solve head, trained on the permitted sets; both models are new to it."""
    from anchorline.learn import features
    from anchorline.learn.forward import FeatureTable

    fitted = once(lambda train: solve_prior.network(permitted(train)))

    def route(train: dict[str, Prompts], scored: Prompts) -> Forecast:
        model = fitted(train)
        batch = FeatureTable([features.of(prompt) for prompt in scored.prompts], model.form).all()
        odds = np.asarray(model.solve_odds(batch, [("weak", 0.0), ("strong", 1.0)]), float)
        return of_odds(odds[:, 0], odds[:, 1])

    return route


def once(fit: Callable[[dict[str, Prompts]], Any]) -> Callable[[dict[str, Prompts]], Any]:
    """Fit once for all the sets of a fold."""
    last: list[tuple[dict[str, Prompts], Any]] = []

    def fitted(train: dict[str, Prompts]) -> Any:
        if not last or last[0][0] is not train:
            last[:] = [(train, fit(train))]
        return last[0][1]

    return fitted


def of_odds(weak: np.ndarray, strong: np.ndarray) -> Forecast:
    """Return the forecast of log odds of both tiers."""
    low, high = 1 / (1 + np.exp(-weak)), 1 / (1 + np.exp(-strong))
    return Forecast(high - low, low, high)


def seen(prompts: Prompts) -> bool:
    """Tell whether what ships was trained on rows of this set that are scored."""
    return prompts.name in PERMITTED and not (prompts.dates and min(prompts.dates) >= UNSEEN)


def permitted(train: dict[str, Prompts]) -> dict[str, Prompts]:
    """Return the sets that what ships may learn from."""
    return {name: one for name, one in train.items() if name in PERMITTED}


def scored_rows(prompts: Prompts) -> np.ndarray:
    """Return which rows of a set are scored: all, or the later ones of a set with dates."""
    later = np.array([date >= TIME_CUT for date in prompts.dates]) if prompts.dates else np.ones(0, bool)
    return later if later.any() else np.ones(len(prompts), bool)


def taught_rows(prompts: Prompts, before: str | None, fold: int) -> np.ndarray:
    """Return which rows of a set may be learnt from when a fold is scored."""
    if prompts.dates is not None and before is not None:
        return np.array([date < before for date in prompts.dates])
    return prompts.folds != fold


def joined(one: Prompts, other: Prompts | None) -> Prompts:
    """Return the rows of both, each prompt once."""
    if other is None:
        return one
    seen = set(one.prompts)
    rest = other.rows(np.array([prompt not in seen for prompt in other.prompts]))
    models = [model for model in one.scores if model in rest.scores]
    return Prompts(
        one.name,
        one.prompts + rest.prompts,
        one.groups + rest.groups,
        None if one.dates is None or rest.dates is None else one.dates + rest.dates,
        {model: np.concatenate([one.scores[model], rest.scores[model]]) for model in models},
        {},
    )


def forecasts(
    sets: dict[str, Prompts], more: dict[str, Prompts], routers: dict[str, Router]
) -> dict[str, dict[str, Forecast]]:
    """Return {set: {router: forecast}} for the rows that are scored, each made without its own fold."""
    scored = {name: one.rows(scored_rows(one)) for name, one in sets.items()}
    before = {name: min(one.dates) for name, one in scored.items() if one.dates}
    known = more | {name: joined(one, more.get(name)) for name, one in sets.items()}
    parts: dict[str, dict[str, list[tuple[np.ndarray, Forecast]]]] = {name: {} for name in scored}
    for fold in range(FOLDS):
        train = {name: one.rows(taught_rows(one, before.get(name), fold)) for name, one in known.items()}
        for name, one in scored.items():
            inside = one.folds == fold
            if not inside.any():
                continue
            for case, router in routers.items():
                if sys.stderr.isatty():
                    print(f"\rfold {fold + 1}/{FOLDS} {name} {case}\x1b[K", end="", file=sys.stderr)
                parts[name].setdefault(case, []).append((inside, router(train, one.rows(inside))))
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return {
        name: {case: together(len(scored[name]), found) for case, found in cases.items()}
        for name, cases in parts.items()
    }


def together(size: int, parts: list[tuple[np.ndarray, Forecast]]) -> Forecast:
    """Return the forecasts of all folds as one; gains of different folds are on one scale."""
    columns = []
    for column in ("gain", "weak", "strong"):
        values = np.full(size, np.nan)
        for inside, forecast in parts:
            found = getattr(forecast, column)
            if found is not None:
                values[inside] = found
        columns.append(None if np.isnan(values).any() else values)
    return Forecast(*columns)


def answers(prompts: Prompts) -> Answers:
    """Return what the pair of models reached and cost."""
    weak, strong, ratio = prompts.pair
    flat = np.ones(len(prompts))
    known = weak in prompts.costs and strong in prompts.costs
    usd = (prompts.costs[weak], prompts.costs[strong]) if known else (ratio * flat, flat)
    return Answers(prompts.scores[weak], prompts.scores[strong], *usd)


def weights(groups: list[str], draws: int, seed: int) -> np.ndarray:
    """Return how often each row is drawn: all once, and then by groups with replacement."""
    names, place = np.unique(groups, return_inverse=True)
    draw = np.random.default_rng(seed)
    counts = [
        np.bincount(draw.integers(len(names), size=len(names)), minlength=len(names)) for _ in range(draws)
    ]
    return np.array([np.ones(len(groups)), *(count[place] for count in counts)], float)


def measure(sets: dict[str, Prompts], found: dict[str, dict[str, Forecast]], draws: int) -> list[dict]:
    """Return the rows of the report."""
    table: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    sizes = {}
    for number, (name, cases) in enumerate(found.items()):
        scored = sets[name].rows(scored_rows(sets[name]))
        drawn = weights(scored.groups, draws, number)
        sizes[name] = len(scored)
        table[name] = {}
        for case, forecast in cases.items():
            judge = Judge(answers(scored), forecast)
            metrics = [judge.metrics(one) for one in drawn]
            table[name][case] = {key: np.array([one[key] for one in metrics]) for key in metrics[0]}
        most = table[name]["oracle"]["apgr"] - 0.5
        for metrics in table[name].values():
            metrics["headroom_share"] = (metrics["apgr"] - 0.5) / most
    for mean, members in {"mean": tuple(found), **MEANS}.items():
        if all(member in found for member in members):
            sizes[mean] = len(members)
            table[mean] = {
                case: {
                    key: np.mean([table[member][case][key] for member in members], 0)
                    for key in table[members[0]][case]
                    if all(key in table[member][case] for member in members)
                }
                for case in table[members[0]]
            }
    rows = []
    for subset, cases in table.items():
        for case, metrics in cases.items():
            for metric, values in {**metrics, **dict(paired(case, cases))}.items():
                rows.append(line(case, subset, metric, values, sizes[subset]))
    return rows


def paired(case: str, cases: dict[str, dict[str, np.ndarray]]) -> Iterable[tuple[str, np.ndarray]]:
    """Yield by how much ours is above each baseline, in the same draws, and above the best of them."""
    if case not in (*OURS, "network"):
        return
    rest = {
        name: metrics["apgr"] for name, metrics in cases.items() if name not in (*OURS, "network", "oracle")
    }
    own = cases[case]["apgr"]
    for name, values in rest.items():
        yield f"apgr_over_{name}", own - values
    yield "apgr_over_best", own - max(rest.values(), key=lambda values: values[0])


def line(case: str, subset: str, metric: str, values: np.ndarray, n: int) -> dict:
    """Return one row: the value of all rows, and the middle 95 % of the draws."""
    low, high = np.percentile(values[1:], (2.5, 97.5))
    figures = {"value": values[0], "low": low, "high": high}
    rounded = {key: round(float(value), 4) for key, value in figures.items()}
    return {"case": case, "subset": subset, "metric": metric, **rounded, "n": n}


def recorded() -> Path | None:
    """Return the folder of the development sets, where there is one."""
    named = os.environ.get("ANCHORLINE_TEST_DATA")
    data = Path(named) if named else Path(__file__).parents[4] / "shared" / "data"
    return data / "routing" if (data / "routing").is_dir() else None


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--train", type=Path, default=recorded(), help="more rows to learn from")
    parser.add_argument("--network", action="store_true", help="train the network as well: some minutes more")
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    sets = read(arguments.data)
    if not sets:
        sys.exit(f"{arguments.data} holds no .jsonl.gz whose rows have prompt and score")
    more = read(arguments.train) if arguments.train else {}
    others, notes = baselines()
    cases: dict[str, Router] = {
        "ours": ours(permitted, shipped=True),
        "ours-all-data": ours(lambda train: train, shipped=False),
        **({"network": network()} if arguments.network else {}),
        **others,
    }
    rows = measure(sets, forecasts(sets, more, cases), arguments.draws)
    show("routing", rows, {**environment(), "notes": notes}, as_json=arguments.json)
    for note in notes:
        print(note, file=sys.stderr)


if __name__ == "__main__":
    main()
