"""The probability that a cached prefix is read again: the rule as the prior, corrected by a small model.

The rule (same model, no compaction, younger than its lifetime) is right nine times in ten on the requests that matter.
A small logistic model corrects it:

    P(hit) = 1 / (1 + e^−(prior + Σ coefficient·value))

`prior` says what the rule says; the values are the age of the entry (its place between the knots of its lifetime, on
the logarithm of time) and four facts about a person's own message. All coefficients are shrunk towards 0, so that
where there is little data the rule remains. docs/research/hit-prediction.md has the figures and says what was left out.
"""

import tomllib
from bisect import bisect_left
from collections.abc import Mapping
from math import exp, log
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from anchorline.cache.gaps import Moment

KNOTS: dict[str, tuple[int, ...]] = {
    "5m": (30, 240),
    "1h": (30, 240, 1800, 3500),
    "30m": (30, 240, 1200),
    "idle": (30, 120, 300),
    "5m expired": (300, 330, 400),
    "1h expired": (3600, 4200),
    "30m expired": (1800, 3600),
    "idle expired": (300, 600, 1800, 3600),
}
"""Ages in seconds between which a lifetime's coefficient is interpolated: before its end, and after it.

An older entry never has the greater one: where the data say otherwise, the knots share theirs."""

TABLE = Path(__file__).with_name("hits.toml")

COEFFICIENTS = msgspec.convert(tomllib.loads(TABLE.read_text("utf-8")), dict[str, float])
"""What each fact adds to the log odds: ``LIFETIME:AGE`` at a knot, or the fact's name.

Fitted on 28 664 requests of 14 train developers. ``python tests/bench hit_prediction --requests requests.jsonl.gz
requests_more.jsonl.gz --write server/anchorline/cache/hits.toml`` makes the table."""

ALIVE, EXPIRED, GONE = 3.5, -3.5, -4.0
"""Log odds before any data: within the lifetime, after it, and when model or history changed."""

LINGERS = -1.0
"""The same after the idle time of an automatic cache, which promises no end."""

UNDECIDED = 0.01
"""Log odds at which the data stops that would decide against the rule: only a turn without thinking may.

On train developers left out, the other facts overturned the rule twice and were wrong twice, and lost two further
answers on automatic caches; a turn without thinking overturned it twice and was right
(docs/research/hit-prediction.md)."""

GRACE = 1.2
"""Up to this multiple of the lifetime the facts about the message count; later they have nothing left to spoil."""


HIT = 0.9
"""Share of a prefix that is read by a hit."""


def is_hit(read: float, prefix: float) -> bool:
    """Says whether a request hit the cache: it read at least 90 % of the prefix that it came back to.

    `read` is what its first inference read, since the provider's own tools run later ones. `prefix` is what the request
    before left: its whole prompt as last read, at most the new one's; of a plan, what was believed warm (`as_billed`).
    Both in tokens as the provider counts them. What P(hit) is the probability of.
    """
    return read >= HIT * prefix


def as_billed(warm: int, estimate: int, billed: int) -> int:
    """Returns `warm` estimated tokens as the provider counts them, who billed `billed` for a prompt of `estimate`."""
    return round(warm * billed / estimate)


class Return(msgspec.Struct, frozen=True):
    """A request that comes back to a prefix.

    `age` is the time since the prefix was last written or read, `lifetime` how long it is held (seconds). The others
    speak of a person's own message (`user`): it opens the conversation or is the first after that (`first`), the
    turn before had no thinking (`thoughtless`), it brings several texts, as slash commands and interruptions do
    (`commands`). The last two are known of Claude Code's sessions only.
    """

    ttl: str
    age: float
    lifetime: float
    user: bool = False
    first: bool = False
    thoughtless: bool = False
    commands: bool = False
    compacted: bool = False
    model_changed: bool = False


class PersonMessage(msgspec.Struct, frozen=True):
    """A person's own message: how many turns of theirs came before it (counted to 2 at least), and what it shows."""

    turns: int
    thoughtless: bool = False
    commands: bool = False


def returning(
    ttl: str,
    lifetime: float,
    age: float,
    message: PersonMessage | None = None,
    *,
    compacted: bool = False,
    model_changed: bool = False,
) -> Return:
    """Returns a request that comes back to a prefix: the one place that makes it, to serve, to train and to report.

    `age` and `lifetime` are seconds; a clock that was set back makes no age below 0.
    """
    return Return(
        ttl,
        max(age, 0.0),
        lifetime,
        user=message is not None,
        first=message is not None and message.turns <= 1,
        thoughtless=message is not None and message.thoughtless,
        commands=message is not None and message.commands,
        compacted=compacted,
        model_changed=model_changed,
    )


class HitModel(Protocol):
    """Predicts whether the cache is read: the table that ships, or a trained network."""

    def probability(self, request: Return, moment: "Moment | None" = None) -> float:
        """Returns the probability that at least 90 % of the prefix is read. `moment`: as far as it is known."""
        ...


class TableHits:
    """The logistic model of this module, with the table that ships."""

    def probability(self, request: Return, moment: "Moment | None" = None) -> float:  # noqa: ARG002  (it asks for less)
        """Returns the probability that at least 90 % of the prefix is read from the cache."""
        return probability(request)


def probability(request: Return, coefficients: Mapping[str, float] = COEFFICIENTS) -> float:
    """Returns the probability that at least 90 % of the prefix is read from the cache."""
    return 1 / (1 + exp(-odds_of(request, coefficients)))


def odds_of(request: Return, coefficients: Mapping[str, float] = COEFFICIENTS) -> float:
    """Returns its log odds."""
    before = odds = prior(request)
    for name, value in terms(request):
        odds += coefficients.get(name, 0.0) * value
    if before < 0:
        odds = min(odds, -UNDECIDED)
    elif not request.thoughtless:
        odds = max(odds, UNDECIDED)
    return odds


def kind(ttl: str, lifetime: float) -> str:
    """Returns the lifetime in `KNOTS` that stands for this one: one of an hour or more, or none that is promised."""
    if ttl in ("5m", "1h", "30m", "idle"):
        return ttl
    return "1h" if lifetime >= 3600 else "idle"


def prior(request: Return) -> float:
    """Returns the log odds that the rule gives."""
    if request.compacted or request.model_changed:
        return GONE
    if request.age <= request.lifetime:
        return ALIVE
    return LINGERS if kind(request.ttl, request.lifetime) == "idle" else EXPIRED


def terms(request: Return) -> list[tuple[str, float]]:
    """Returns the facts that count here, each with its value."""
    if request.compacted:
        return [("compacted", 1.0)]
    if request.model_changed:
        return [("model_changed", 1.0)]
    lifetime = kind(request.ttl, request.lifetime)
    facts = _age(lifetime if request.age <= request.lifetime else f"{lifetime} expired", request.age)
    if request.user and request.age <= request.lifetime * GRACE:
        who = "claude" if lifetime in ("5m", "1h") else "automatic"
        facts.append((f"user:{who}", 1.0))
        if request.first:
            facts.append((f"first:{who}", 1.0))
        if request.thoughtless:
            facts.append(("thoughtless", 1.0))
        if request.commands:
            facts.append(("commands", 1.0))
    return facts


def _age(row: str, age: float) -> list[tuple[str, float]]:
    knots = KNOTS[row]
    above = bisect_left(knots, age)
    if above in (0, len(knots)):
        return [(f"{row}:{knots[min(above, len(knots) - 1)]}", 1.0)]
    low, high = knots[above - 1], knots[above]
    part = log(age / low) / log(high / low)
    return [(f"{row}:{low}", 1 - part), (f"{row}:{high}", part)]
