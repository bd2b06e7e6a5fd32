"""What do rules for cache lifetimes and keep-alive pings cost? The ideal replay of recorded traces.

    python tests/bench cache_policies --weka weka.jsonl.gz [--near-duplicates weka_near_duplicates.json]
        [--ideal] [--quick] [--json]

Metric `cost`: input cost relative to no caching. `headroom_share`: (best fixed − it) / (best fixed − clairvoyant-pings),
best fixed being the cheapest of all-5m, all-1h and keepalive-1 … 3 on that split. Ours on `train` is cross-validated
(fitted on the other traces of the file); on every other split it is the table that ships, which was fitted on train.
`network` is the network's gap head and `trees` a boosted-tree model of the same numbers, in the place of our table under the
same optimiser: on `train` cross-validated, on every other split fitted on train (without train in the file only the
network that ships is scored). `…-no-pings` chooses among lifetimes only. `knows-…` is ours, told a part of the future: why the
answer will end and how long it is when the lifetime is chosen (`answer`), when the next request comes only when pings
are chosen, only when the lifetime is, and always (`gap`; what is left to clairvoyant-pings is that ours looks no further).
`cost_exact` (not with --ideal): the same under the exact simulator (a trace is an account; its chains share tools and system prompt by size;
clairvoyant-pings makes the choices that are best under the ideal rules). `worse_traces`: share of traces on which it costs
more than the fixed rule that is the best one of the whole split (without pings for ours-no-pings), `worst_trace` by how much
at most; `lost` and `gained` are all such losses, and all gains, by that rule's cost. `over_claude_code`: the cost over that of Claude
Code's own lifetimes on a plan (an hour, five minutes in sub-agents). `cost_over_ours`, `cost_over_delta`: the difference in cost to our table, to the delta rule, with a paired interval.
Intervals: bootstrap by trace.
"""

import argparse
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from anchorline.cache.gaps import GapModel, HazardGaps
from anchorline.cache.lifetime import Action
from anchorline.cache.rules import Rules, load
from anchorline.learn.network import load as load_network
from anchorline.replay.policies import POLICIES
from anchorline.replay.simulation import simulate
from bench.data import weka_traces
from bench.data.weka_traces import Trace
from bench.make.gap_models import Trees, asked, network, of_network
from bench.make.gaps import fit, weka_rows
from bench.quality.gap_oracles import ORACLES, informed
from bench.reporting import environment, percentile, show
from support.ideal_replay import Chain, clairvoyant, cost, delta_rule, expected, fixed

PINGS = 3
FOLDS = 5
SHIPPED = Path(__file__).parents[3] / "models" / "router" / "prior-1"
DRAWS = 500
RULES: Rules = load()
ANTHROPIC = RULES.provider("anthropic")
SHORT, LONG = (ANTHROPIC.lifetime(name) for name in ("5m", "1h"))
FIXED = ("all-5m", "all-1h", *(f"keepalive-{count}" for count in range(1, PINGS + 1)))
BOUND = "clairvoyant-pings"
CLIENT = "claude-code"
"""What a developer on a plan has without us."""
PAIRS = (
    ("ours-no-pings", "delta-rule", "cost_over_delta"),
    *((case, "ours", "cost_over_ours") for case in ("network", "trees")),
)
"""Cases whose difference in cost is told, with a paired interval."""

Costs = dict[str, list[float]]
"""Policy → cost of each trace, in tokens at the base price."""


def baselines() -> dict[str, Callable[[Trace], float]]:
    """Return the rules that need no fitting."""
    lifetimes = [Action(), Action(SHORT), Action(LONG)]
    pinged = [Action(lifetime, count) for lifetime in (SHORT, LONG) for count in range(1, PINGS + 1)]
    policies = {
        "all-5m": fixed(Action(SHORT)),
        "all-1h": fixed(Action(LONG)),
        **{f"keepalive-{count}": fixed(Action(SHORT, count)) for count in range(1, PINGS + 1)},
        "delta-rule": delta_rule(Action(SHORT), Action(LONG)),
    }
    return {
        "system-only": lambda trace: sum(_system_only(chain, trace.static) for chain in trace.chains),
        "claude-code": _claude_code,
        **{
            name: _over(lambda chain, policy=policy: cost(chain, policy)) for name, policy in policies.items()
        },
        "clairvoyant": _over(lambda chain: cost(chain, clairvoyant(lifetimes)(chain))),
        BOUND: _over(lambda chain: cost(chain, clairvoyant([*lifetimes, *pinged])(chain))),
    }


def _over(price: Callable[[Chain], float]) -> Callable[[Trace], float]:
    return lambda trace: sum(map(price, trace.chains))


def _claude_code(trace: Trace) -> float:
    """Return what Claude Code's own lifetimes cost on a plan: an hour for the main conversation, else five minutes.

    Source: code.claude.com/docs/en/prompt-caching, and what Claude Code 2.1.332 sends.
    """
    main, *agents = trace.chains
    return cost(main, fixed(Action(LONG))) + sum(cost(chain, fixed(Action(SHORT))) for chain in agents)


def _system_only(chain: Chain, static: int) -> float:
    """Return what a chain costs where only tools and system prompt are cached, for five minutes."""
    total, last = 0.0, None
    for step in chain:
        size = min(static, step.tokens)
        hit = min(size, step.shared) if last is not None and step.at - last <= SHORT.seconds else 0
        total += 0.1 * hit + SHORT.write * (size - hit) + step.tokens - size
        last = step.at
    return total


def folds(traces: list[Trace]) -> Iterable[tuple[list[Trace], list[Trace]]]:
    """Yield (traces to fit on, traces to judge): train in five parts, and all other splits by the whole of train."""
    train = [trace for trace in traces if trace.split == "train"]
    if len(train) <= FOLDS:
        return
    for fold in range(FOLDS):
        others = [trace for index, trace in enumerate(train) if index % FOLDS != fold]
        yield others, train[fold::FOLDS]
    yield train, [trace for trace in traces if trace.split != "train"]


def tables(traces: list[Trace]) -> dict[str, HazardGaps]:
    """Return the table for each trace: on train one that was fitted on others, else the one that ships."""
    shipped = HazardGaps()
    models = {trace.id: shipped for trace in traces}
    for others, judged in folds(traces):
        if judged and judged[0].split == "train":
            model = HazardGaps(fit(weka_rows(others)))
            models |= {trace.id: model for trace in judged}
    return models


def learnt(traces: list[Trace], models: dict[str, HazardGaps]) -> dict[str, dict[str, GapModel]]:
    """Return network and trees for each trace; where there is nothing to fit on, the network that ships."""
    found: dict[str, dict[str, GapModel]] = {"network": {}, "trees": {}}
    for others, judged in folds(traces):
        if not judged:
            continue
        rows, wanted, table = weka_rows(others), asked(weka_rows(judged)), models[judged[0].id]
        foretold = {
            "network": of_network(network(rows, table), table, wanted),
            "trees": Trees(rows, table).told(wanted),
        }
        for case, model in foretold.items():
            found[case] |= {trace.id: model for trace in judged}
    if found["network"]:
        return found
    if not (SHIPPED / "network.json").exists():
        return {}
    told_by = of_network(load_network(SHIPPED), HazardGaps(), asked(weka_rows(traces)))
    return {"network": {trace.id: told_by for trace in traces}}


def ours(traces: list[Trace], models: Mapping[str, GapModel], name: str = "ours") -> Costs:
    """Return what our policy costs by a model, with pings and without."""
    found: Costs = {}
    for case, pings in ((name, PINGS), (f"{name}-no-pings", 0)):
        found[case] = []
        for trace in traces:
            policy = expected(models[trace.id], ANTHROPIC, pings=pings)
            found[case].append(sum(cost(chain, policy) for chain in trace.chains))
    return found


def told(traces: list[Trace], models: Mapping[str, GapModel]) -> Costs:
    """Return what our policy costs where it is told a part of the future."""
    found: Costs = {}
    for case, views in ORACLES.items():
        found[case] = []
        for trace in traces:
            policy = informed(models[trace.id], ANTHROPIC, views, PINGS)
            found[case].append(sum(cost(chain, policy) for chain in trace.chains))
    return found


EXACT = {
    "system-only": "continue",
    "all-5m": "cline",
    "zed": "zed",
    "all-1h": "all-1h",
    "keepalive-3": "aider",
    "delta-rule": "delta-rule",
    "ours-no-pings": "anchorline",
    "ours": "anchorline-pings",
    BOUND: "clairvoyant",
}
"""The cases as the product's own replay names them."""


def exactly(traces: list[Trace], models: Mapping[str, GapModel]) -> Costs:
    """Return what each policy costs under the exact simulator."""
    return {
        case: [
            sum(
                float(simulate(timeline, POLICIES[name].rule(models[trace.id])).input.sum())
                for timeline in trace.timelines(ANTHROPIC)
            )
            for trace in traces
        ]
        for case, name in EXACT.items()
    }


def figures(subset: str, sizes: list[int], costs: Costs, exact_costs: Costs) -> Iterable[dict]:
    """Return the rows of one split."""
    count = len(sizes)
    draw = random.Random(0)
    samples = [draw.choices(range(count), k=count) for _ in range(DRAWS)]
    drawn = [_relative(sizes, costs, sample) for sample in samples]
    whole = _relative(sizes, costs, range(count))
    for case in costs:
        yield _row(case, subset, "cost", whole[case], [one[case] for one in drawn], count)
        ahead = [one[case] / one[CLIENT] for one in drawn]
        yield _row(case, subset, "over_claude_code", whole[case] / whole[CLIENT], ahead, count)
    exact_drawn = [_relative(sizes, exact_costs, sample) for sample in samples]
    for case, value in _relative(sizes, exact_costs, range(count)).items():
        yield _row(case, subset, "cost_exact", value, [one[case] for one in exact_drawn], count)
    for case, rivals in (("ours", FIXED), ("ours-no-pings", FIXED[:2])):
        rival = min(rivals, key=lambda name: whole[name])
        over = [mine / theirs - 1 for mine, theirs in zip(costs[case], costs[rival], strict=True)]
        worse = [float(one > 1e-9) for one in over]
        shares = [sum(worse[index] for index in sample) / count for sample in samples]
        yield _row(case, subset, "worse_traces", sum(worse) / count, shares, count)
        yield _row(case, subset, "worst_trace", max(over), [max(over)], count)
        whole_cost = sum(costs[rival])
        for metric, sign in (("lost", 1), ("gained", -1)):
            parts = [max(sign * (a - b), 0) for a, b in zip(costs[case], costs[rival], strict=True)]
            yield _row(case, subset, metric, sum(parts) / whole_cost, [sum(parts) / whole_cost], count)
    for case in costs:
        if case not in ("system-only", BOUND):
            shares = [_share(one, case) for one in drawn]
            yield _row(case, subset, "headroom_share", _share(whole, case), shares, count)
    for case, rival, metric in PAIRS:
        if case in costs:
            ahead = [one[case] - one[rival] for one in drawn]
            yield _row(case, subset, metric, whole[case] - whole[rival], ahead, count)


def _relative(sizes: list[int], costs: Costs, sample: Iterable[int]) -> dict[str, float]:
    chosen = list(sample)
    tokens = sum(sizes[index] for index in chosen)
    return {case: sum(values[index] for index in chosen) / tokens for case, values in costs.items()}


def _share(relative: dict[str, float], case: str) -> float:
    best = min(relative[name] for name in FIXED)
    return (best - relative[case]) / (best - relative[BOUND])


def _row(case: str, subset: str, metric: str, value: float, drawn: list[float], count: int) -> dict:
    return {
        "case": case,
        "subset": subset,
        "metric": metric,
        "value": round(value, 5),
        "low": round(percentile(drawn, 0.025), 5),
        "high": round(percentile(drawn, 0.975), 5),
        "n": count,
    }


def main() -> None:
    """Replay, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weka", type=Path, required=True)
    parser.add_argument("--near-duplicates", type=Path)
    parser.add_argument(
        "--ideal", action="store_true", help="leave out the exact simulator, which takes a minute"
    )
    parser.add_argument("--quick", action="store_true", help="leave out network and trees, a few minutes")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    traces = weka_traces.read(arguments.weka, arguments.near_duplicates)
    sizes = [sum(step.tokens for chain in trace.chains for step in chain) for trace in traces]
    models = tables(traces)
    costs: Costs = {name: list(map(price, traces)) for name, price in baselines().items()}
    costs |= ours(traces, models) | told(traces, models)
    for case, own in ({} if arguments.quick else learnt(traces, models)).items():
        costs |= ours(traces, own, case)
    exact_costs = {} if arguments.ideal else exactly(traces, models)
    rows = []
    splits = list(dict.fromkeys(trace.split for trace in traces))
    for subset in [*splits, "+".join(splits)] if len(splits) > 1 else splits:
        inside = [index for index, trace in enumerate(traces) if trace.split in subset.split("+")]
        rows += figures(
            subset,
            [sizes[index] for index in inside],
            *(
                {case: [values[index] for index in inside] for case, values in one.items()}
                for one in (costs, exact_costs)
            ),
        )
    show("cache_policies", rows, environment(), as_json=arguments.json)


if __name__ == "__main__":
    main()
