"""Makes `server/anchorline/cache/boundary_reuse.toml` (train splits): how much of a request does the next one share?

    python tests/bench prefix_shares --weka weka.jsonl.gz [--near-duplicates weka_near_duplicates.json]
        --requests requests.jsonl.gz [--write FILE] [--json]

`survives`: of the successive requests of a conversation (the same model, at most an hour apart), the share in which the
prefix up to there is unchanged. `edited_again`: the same share of early changes, where the request before was changed
early as well. `other_chain`: after a Claude request, the share in which another session or sub-agent of the same person
and model starts within a lifetime and reads from the cache. Intervals: bootstrap by trace or session.
"""

import argparse
import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from bench.data.weka_traces import BLOCK, _common
from bench.reporting import environment, percentile, show

HOUR = 3600
SLACK = 2 * BLOCK
"""Tokens: what a whole-block comparison of two prompts can't see at their ends."""

LIFETIMES = (300, 1800, 3600)
DRAWS = 300
Groups = dict[str, dict[str, list[float]]]
"""Case → group (trace, session) → one number an occasion."""


def survivals(path: Path, near_duplicates: Path | None) -> Groups:
    """Return, for each boundary, whether it survived each step."""
    groups = json.loads(near_duplicates.read_text("utf-8")) if near_duplicates else {}
    repeated = {name for group in groups.values() for name in sorted(group)[1:]}
    found: Groups = defaultdict(lambda: defaultdict(list))
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            trace = json.loads(line)
            if trace["id"] in repeated or trace["split"] != "train":
                continue
            for chain in _chains(trace):
                _steps(trace, chain, found)
    return found


def _chains(trace: dict) -> Iterator[list[dict]]:
    yield [request for request in trace["requests"] if "requests" not in request]
    yield from (request["requests"] for request in trace["requests"] if "requests" in request)


def _steps(trace: dict, chain: list[dict], found: Groups) -> None:
    tools = trace["tool_tokens"]
    head = tools + trace["system_tokens"]
    before, early = 0, False
    for one, other in pairwise(chain):
        if one["model"] != other["model"] or other["t"] - one["t"] > HOUR:
            before, early = 0, False
            continue
        shared = _common(one["hash_rle"], other["hash_rle"]) * BLOCK + SLACK
        tail = shared >= one["in"]
        places = {"tail": one["in"], "system": head, "tools": tools}
        if before > head and one["in"] >= before:
            places["turn"] = before
            for part in (1, 2, 3):
                places[f"quarter-{part}"] = head + part * (before - head) // 4
        for place, tokens in places.items():
            found[place][trace["id"]].append(float(shared >= tokens))
        changed = not tail and not (before and shared >= before)
        if early:
            found["edited-again"][trace["id"]].append(float(changed))
        before, early = one["in"], changed


def other_chains(path: Path) -> Groups:
    """Return, for each lifetime, whether another chain's first request came in it and read something."""
    chains: dict[tuple[str, str, str], list[dict]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["split"] == "train" and row["agent"] == "claude-code":
                chains[(row["user"], row["session"], str(row["chain"]))].append(row)
    starts: dict[tuple[str, str], list[tuple[float, tuple[str, str, str]]]] = defaultdict(list)
    for key, rows in chains.items():
        rows.sort(key=lambda row: row["first_at"])
        if rows[0]["read"] > 0:
            starts[(key[0], rows[0]["model"])].append((rows[0]["first_at"], key))
    found: Groups = defaultdict(lambda: defaultdict(list))
    for key, rows in chains.items():
        for row in rows:
            others = [at for at, other in starts[(key[0], row["model"])] if other != key]
            later = [at - row["first_at"] for at in others if at > row["first_at"]]
            soonest = min(later, default=float("inf"))
            for seconds in LIFETIMES:
                found[f"{seconds}s"][key[1]].append(float(soonest <= seconds))
    return found


def rows(metric: str, groups: Groups) -> Iterator[dict]:
    """Yield the share of each case, with its interval."""
    draw = random.Random(0)
    for case, by_group in groups.items():
        sums = [(sum(values), len(values)) for values in by_group.values()]
        drawn = []
        for _ in range(DRAWS):
            sample = draw.choices(sums, k=len(sums))
            drawn.append(sum(one for one, _ in sample) / sum(count for _, count in sample))
        total = sum(count for _, count in sums)
        yield {
            "case": case,
            "subset": "train",
            "metric": metric,
            "value": round(sum(one for one, _ in sums) / total, 4),
            "low": round(percentile(drawn, 0.025), 4),
            "high": round(percentile(drawn, 0.975), 4),
            "n": total,
        }


def written(shares: Sequence[dict]) -> str:
    """Return the shares as TOML."""
    share = {(row["metric"], row["case"]): round(row["value"], 3) for row in shares}
    chains = ", ".join(f"[{seconds}, {share['other_chain', f'{seconds}s']}]" for seconds in LIFETIMES)
    lines = [
        "# Shares of anchorline.cache.boundary_reuse; docs/explain/placement.md explains them. Made by",
        "# python tests/bench prefix_shares --weka FILE --near-duplicates FILE --requests FILE --write THIS",
        f"edited_again = {share['again', 'edited-again']}",
        f"other_chains = [{chains}]",
        "\n[unchanged]",
        *(f"{case} = {share['survives', case]}" for case in ("tail", "turn", "system", "tools")),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the shares, and write them where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weka", type=Path, required=True)
    parser.add_argument("--near-duplicates", type=Path)
    parser.add_argument("--requests", type=Path, required=True)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    steps = survivals(arguments.weka, arguments.near_duplicates)
    found = list(rows("survives", {case: steps[case] for case in steps if case != "edited-again"}))
    found += rows("again", {"edited-again": steps["edited-again"]})
    found += rows("other_chain", other_chains(arguments.requests))
    if arguments.write:
        arguments.write.write_text(written(found), "utf-8")
    show("prefix_shares", found, environment(), as_json=arguments.json)


if __name__ == "__main__":
    main()
