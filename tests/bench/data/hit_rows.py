"""Reads recorded requests as returns to a prefix: what was known before one was sent, and whether the cache hit."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from anchorline.cache.gaps import Moment
from anchorline.cache.hits import PersonMessage, Return, is_hit, returning
from anchorline.cache.rules import Rules
from anchorline.cache.rules import load as load_rules
from support.ideal_replay import ChainStep, moment

ALIASES = {"m24": "u08", "m21": "u00", "m23": "u03"}
"""The same persons under two names: never trained on, since the other name's later requests are scored."""

REVIEW = "codex-auto-review"


class Row(NamedTuple):
    """A request with the one before it in its chain."""

    subset: str
    developer: str
    session: str
    back: Return
    hit: bool
    hard: bool
    review: bool
    train: bool
    moment: Moment
    at: float

    @property
    def person(self) -> str:
        """The developer, the same under both names."""
        return ALIASES.get(self.developer, self.developer)

    @property
    def rule(self) -> bool:
        """What the TTL rule says."""
        back = self.back
        return not back.compacted and not back.model_changed and back.age <= back.lifetime


class First(NamedTuple):
    """The first request of a main chain: the share of its input that was read."""

    agent: str
    session: str
    read: float


def read(paths: Sequence[Path]) -> tuple[list[Row], list[First]]:
    """Return the rows of all chains, and the first requests."""
    chains: dict[tuple[str, str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for request in map(json.loads, lines):
                chains[(path.name, request["agent"], request["session"], str(request["chain"]))].append(
                    request
                )
    known = {one["user"] for chain in chains.values() for one in chain if one["split"] == "train"}
    rules = load_rules()
    rows: list[Row] = []
    firsts = []
    for (_, agent, session, name), chain in chains.items():
        chain.sort(key=lambda one: one["first_at"])
        rows += _chain(chain, session, known, rules)
        if name == "main" and _total(chain[0]):
            firsts.append(First(agent, session, (chain[0]["read"] or 0) / _total(chain[0])))
    return rows, firsts


def _chain(chain: list[dict[str, Any]], session: str, known: set[str], rules: Rules) -> Iterator[Row]:
    lifetime: str | None = None
    turns = 0
    thought = False
    steps = [ChainStep(_sent(one), _total(one), 0, one["trigger"] or "user") for one in chain]
    for index, (before, request) in enumerate(zip([None, *chain], chain, strict=False)):
        new = request["new_blocks"]
        thought |= any(part == "thinking" for _, part, *_ in new)
        user = request["trigger"] == "user"
        if before is not None and _total(before):
            provider = rules.for_model(before["model"] or request["model"] or "")
            written = "1h" if before["write_1h"] else "5m" if before["write_5m"] else lifetime
            lifetime = written
            lives = provider.lifetime(written or "default")
            gap = request["first_at"] - before["first_at"]
            claude = request["agent"] == "claude-code"
            texts = sum(role == "user" and part == "text" for role, part, *_ in new)
            message = PersonMessage(turns, thoughtless=claude and not thought, commands=claude and texts > 1)
            back = returning(
                lives.name if lives is not None else "idle",
                lives.seconds if lives is not None else 300,
                _sent(request) - _sent(before),
                message if user else None,
                compacted=request["trigger"] == "compact",
                model_changed=before["model"] != request["model"],
            )
            split = request["split"]
            unseen = split == "dev" and request["user"] not in known
            yield Row(
                subset="dev_developers" if unseen else split,
                developer=request["user"],
                session=session,
                back=back,
                hit=is_hit(request["read"] or 0, _total(before)),
                hard=gap >= 240 or request["trigger"] in ("user", "compact"),
                review=request["model"] == REVIEW,
                train=split == "train" and request["user"] not in ALIASES,
                moment=moment(steps, index),
                at=_sent(request),
            )
        turns += user
        if request["trigger"] in ("user", "compact"):
            thought = False


def _sent(request: dict[str, Any]) -> float:
    return float(request["sent_at"] or request["first_at"])


def _total(request: dict[str, Any]) -> int:
    return int(request["input"] + (request["read"] or 0) + (request["write"] or 0))
