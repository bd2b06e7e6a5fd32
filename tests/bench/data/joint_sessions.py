"""Recorded sessions as joint.py sends them again: requests, what a model holds of a chain, and what a request costs."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from anchorline.cache.gaps import Gaps, HazardGaps
from anchorline.cache.lifetime import best, bets
from anchorline.cache.quote import OUTPUT_TOKENS
from anchorline.replay.history import History
from anchorline.route.catalog import Model
from anchorline.route.target import load as load_targets
from anchorline.sessions.request import RecordedRequest
from support.ideal_replay import ChainStep, moment
from support.recorded_usage import billed

TARGETS = load_targets()
RULES = TARGETS.rules
PROVIDER = RULES.provider("anthropic")
MODEL = "claude-opus-5-5"


class Asked(NamedTuple):
    """A request: its step, the time to the next one as predicted, the characters of what the person said (if they did).

    `actions` are the write price and the seconds alive that were chosen for it before, by model, new tokens and wish.
    """

    step: ChainStep
    gaps: Gaps
    said: int | None
    actions: dict[tuple[str, int, str], tuple[float, float]]


Chain = Sequence[Asked]
Session = Sequence[Chain]


class Held:
    """What one model holds of a chain: the prefix of its last request there, in common with what came since."""

    def __init__(self) -> None:
        self.tokens = 0
        self.until = -1.0

    def copy(self) -> "Held":
        """Return one that may be changed without this one."""
        other = Held()
        other.tokens, other.until = self.tokens, self.until
        return other

    def warm(self, at: float) -> int:
        """Return the tokens that are found at a time."""
        return self.tokens if at <= self.until else 0


class Sum(NamedTuple):
    """What a session came to: USD, predicted successes, requests, choices, changes of the model."""

    usd: float
    solved: float
    requests: int
    choices: int
    switches: int


def paid(held: Held, asked: Asked, model: Model, ttl: str = "auto", *, knows: bool = True) -> float:
    """Return the USD of a request, and keep what it leaves.

    `knows`: the lifetime is chosen by what the model really holds, not by what it would if it had got all requests.
    """
    step = asked.step
    price, output = model.prices(step.tokens)
    answer = output * OUTPUT_TOKENS
    minimum, reading = _rules(model.id)
    if step.tokens < minimum:
        held.tokens, held.until = 0, -1.0
        return price * step.tokens + answer
    read = held.warm(step.at)
    fresh = step.tokens - read
    new = fresh if knows else step.tokens - step.shared
    key = (model.id, new, ttl)
    if key not in asked.actions:
        action = best(bets(PROVIDER, model.id, asked.gaps, new, step.tokens), ttl).action
        asked.actions[key] = action.write, action.alive
    write, alive = asked.actions[key]
    held.tokens, held.until = step.tokens, step.at + alive
    return price * (reading * read + write * fresh) + answer


@cache
def _rules(model: str) -> tuple[int, float]:
    """Return from how many tokens on a model caches, and what it costs to read one."""
    return PROVIDER.minimum(model), PROVIDER.read_price(model)


def sessions(paths: Sequence[Path], splits: Sequence[str] = ()) -> list[Session]:
    """Return the sessions of Claude Code in the files, a chain for each conversation and sub-agent.

    Only those of the splits that are named, if any are.
    """
    gaps = HazardGaps()
    grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                if splits and row["split"] not in splits:
                    continue
                if row["agent"] == "claude-code" and str(row["model"]).startswith("claude"):
                    grouped[row["session"]].append(row)
    return [list(_chains(rows, gaps)) for rows in grouped.values()]


def _chains(rows: list[dict[str, Any]], gaps: HazardGaps) -> Iterator[Chain]:
    rows = sorted((row for row in rows if _billed(row).tokens), key=_sent)
    said: dict[str, list[int | None]] = defaultdict(list)
    for row in rows:
        texts = sum(size for role, kind, size, *_ in row["new_blocks"] if (role, kind) == ("user", "text"))
        spoken = row["trigger"] in ("user", "compact")
        said[str(row["chain"])].append(texts if spoken else None)
    chains: dict[str, list[ChainStep]] = defaultdict(list)
    for request in History([billed(_billed(row)) for row in rows], TARGETS).requests:
        steps = chains[request.chain]
        shared = request.shared if steps else 0
        steps.append(ChainStep(request.at, request.tokens, shared, request.trigger))
    for chain, steps in chains.items():
        lengths = said[chain]
        yield [
            Asked(step, gaps.after(moment(steps, index)), length, {})
            for index, (step, length) in enumerate(zip(steps, lengths, strict=True))
        ]


def _sent(row: dict[str, Any]) -> float:
    return float(row["sent_at"] or row["first_at"])


def _billed(row: dict[str, Any]) -> RecordedRequest:
    """Return a row as the importers give it. All go to one model: what they have in common is asked."""
    return RecordedRequest(
        id="", session=row["session"], chain=str(row["chain"]), branch=0, model=MODEL, sent_at=_sent(row),
        first_at=row["first_at"], trigger=row["trigger"] or "user", switched=False, blocks=0, prefix=b"",
        input=row["input"], read=row["read"] or 0, write_5m=row["write_5m"] or 0,
        write_1h=row["write_1h"] or 0, output=0, ttl=None,
    )  # fmt: skip
