"""Does the simulated cache read what the provider billed? Claude Code's recorded requests, replayed.

    python tests/bench simulator_fidelity --requests requests.jsonl.gz [requests_more.jsonl.gz] [--json]

Cases: `ours` (the exact simulator, fed with requests rebuilt from the log: logged_sessions.py) and `ttl-rule` (what the
conversation's last request left is read while the model is the same, nothing was compacted and the lifetime has not
passed; else nothing). `within_2pct` is the share of requests whose read tokens are within 2 % of the recorded ones (a
recorded 0 must be 0); `read_ratio` and `write_ratio` are all tokens by all recorded ones. Subsets are splits;
SPLIT-misses holds the first requests and those that read less than 90 % of what the request before left. Intervals: 95 %,
bootstrap by session. `attributed_before`: share of the misses for which the simulator names a cause; `attributed`: with
those that it took for hits, and whose cause the bill tells (cache/miss_causes.py; the rows `told` share them out). Rows of
metric `explained` share the misses out by the simulator's cause where the tokens agree as well; `residue` counts the requests that are off (the simulator
read more, or less, than was recorded).
"""

import argparse
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from anchorline.cache import rules
from anchorline.cache.miss_causes import shortfall
from anchorline.replay.provider_cache import Simulator
from anchorline.replay.request import SimulatedBill
from bench.data.logged_sessions import Rebuilder, Row, rows
from bench.reporting import environment, show

Result = tuple[str, float, int, float]
"""Session, within 2 %, simulated and recorded tokens."""


class Replayed(msgspec.Struct, frozen=True):
    """One request: as recorded, as simulated, as the plain TTL rule has it."""

    row: Row
    before: Row | None
    billed: SimulatedBill
    ttl_rule: int
    told: str | None

    @property
    def miss(self) -> bool:
        """A first request, or one that read less than 90 % of what the one before left."""
        return self.before is None or self.row.read < 0.9 * self.before.cached

    def off(self, read: int) -> bool:
        """Tell whether `read` is not within 2 % of the recorded read."""
        return abs(read - self.row.read) > 0.02 * self.row.read

    @property
    def label(self) -> str:
        """What the simulator says of the request."""
        if self.billed.cause is not None:
            return self.billed.cause.code
        return "never_sent" if self.before is None else "hit"


def ttl_rule(row: Row, before: Row | None) -> int:
    """Return the tokens that the plain rule expects to be read."""
    if before is None or before.model != row.model or row.trigger == "compact":
        return 0
    alive = row.first_at - before.first_at <= (3600 if before.write_1h else 300)
    return min(before.cached, row.cached) if alive else 0


def replay(log: Sequence[Row]) -> list[Replayed]:
    """Simulate a log's requests in order."""
    known = rules.load()
    simulator = Simulator(known)
    rebuilder = Rebuilder(known.provider("anthropic"))
    before: dict[tuple[str, str], Row] = {}
    ends: dict[tuple[str, str], list[int]] = defaultdict(list)
    replayed = []
    for row in log:
        billed = None
        for request, own in rebuilder.requests(row):
            answer = simulator.send(request, row.model, row.user)
            billed = answer if own else billed
        assert billed is not None
        key = (row.session, row.chain)
        last = before.get(key)
        told = shortfall(row.read, billed.read, ends[key])
        replayed.append(Replayed(row, last, billed, ttl_rule(row, last), told.code if told else None))
        ends[key].append(row.cached)
        rebuilder.learn(row, billed.read)
        before[key] = row
    return replayed


def interval(sessions: dict[str, list[int]], rounds: int = 1000) -> tuple[float, float]:
    """Return the 95 % interval of a share, drawing sessions: {session: [good, all]}."""
    draw = random.Random(1)
    names = list(sessions)
    shares = []
    for _ in range(rounds):
        drawn = [sessions[name] for name in draw.choices(names, k=len(names))]
        shares.append(sum(one[0] for one in drawn) / sum(one[1] for one in drawn))
    shares.sort()
    return shares[int(0.025 * rounds)], shares[int(0.975 * rounds)]


def share(case: str, subset: str, group: list[Replayed]) -> dict[str, Any]:
    """Return the row of `within_2pct`."""
    sessions: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for one in group:
        count = sessions[one.row.session]
        count[0] += not one.off(one.billed.read if case == "ours" else one.ttl_rule)
        count[1] += 1
    low, high = interval(sessions)
    value = sum(count[0] for count in sessions.values()) / len(group)
    return row(case, subset, "within_2pct", value, low, high, len(group))


def row(case: str, subset: str, metric: str, value: float, low: float, high: float, n: int) -> dict[str, Any]:
    """Return a row of the report."""
    figures = {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4)}
    return {"case": case, "subset": subset, "metric": metric, **figures, "n": n}


def report(replayed: list[Replayed]) -> list[dict[str, Any]]:
    """Return all rows."""
    splits: dict[str, list[Replayed]] = defaultdict(list)
    for one in replayed:
        splits[one.row.split].append(one)
    found = []
    for split, group in sorted(splits.items()):
        misses = [one for one in group if one.miss]
        for subset, part in ((split, group), (f"{split}-misses", misses)):
            if part:
                found += [share(case, subset, part) for case in ("ours", "ttl-rule")]
        read = sum(one.row.read for one in group)
        write = sum(one.row.write or 0 for one in group)
        for metric, simulated, recorded in (
            ("read_ratio", sum(one.billed.read for one in group), read),
            ("write_ratio", sum(sum(one.billed.written.values()) for one in group), write),
        ):
            ratio = simulated / recorded
            found.append(row("ours", split, metric, ratio, ratio, ratio, len(group)))
        named = sum(one.label != "hit" for one in misses) / max(len(misses), 1)
        found.append(row("ours", f"{split}-misses", "attributed_before", named, named, named, len(misses)))
        told = Counter(one.told for one in misses if one.label == "hit" and one.told is not None)
        named += told.total() / max(len(misses), 1)
        found.append(row("ours", f"{split}-misses", "attributed", named, named, named, len(misses)))
        causes = Counter(one.label for one in misses if not one.off(one.billed.read))
        off = Counter(
            f"{one.label} {'more' if one.billed.read > one.row.read else 'less'}"
            for one in group
            if one.off(one.billed.read)
        )
        for metric, counts in (("explained", causes), ("told", told), ("residue", off)):
            for label, count in counts.most_common():
                part = count / (len(group) if metric == "residue" else len(misses))
                found.append(row(label, split, metric, part, part, part, count))
    return found


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=Path, nargs="+", required=True)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = report(replay(rows(options.requests)))
    show("simulator_fidelity", found, environment(), as_json=options.json)


if __name__ == "__main__":
    main()
