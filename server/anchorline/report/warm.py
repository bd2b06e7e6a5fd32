"""What providers hold now, for how long, and what its loss would cost."""

from pathlib import Path

import msgspec

from anchorline.cache.ledger import Entry, longest
from anchorline.route.pricing import Pricing, Unpriced
from anchorline.route.target import Targets
from anchorline.store.reader import Reader

_DIGITS = 6


class WarmPrefix(msgspec.Struct, frozen=True):
    """A warm prefix. `left_s` seconds, `usd` what writing it again costs more than reading it (None: no price)."""

    provider: str
    account: str
    model: str
    prefix: str
    tokens: int
    ttl: str
    left_s: int
    usd: float | None
    source: str


class WarmPrefixes(msgspec.Struct, frozen=True):
    """Warm prefixes, the one that expires first in front, and what is at stake: `usd` is None without any price."""

    warm: tuple[WarmPrefix, ...]
    tokens: int
    usd: float | None


def warm(path: Path, targets: Targets, now: float) -> WarmPrefixes:
    """Returns of each conversation the longest prefix that each model holds. Raises StoreError."""
    pricing = Pricing(targets)
    entries = longest(entry for entry in Reader(path).ledger(now) if entry.is_warm(now))
    prefixes = sorted((_prefix(entry, pricing, now) for entry in entries), key=lambda prefix: prefix.left_s)
    prices = [prefix.usd for prefix in prefixes if prefix.usd is not None]
    total = round(sum(prices), _DIGITS) if prices or not prefixes else None
    return WarmPrefixes(tuple(prefixes), sum(prefix.tokens for prefix in prefixes), total)


def _prefix(entry: Entry, pricing: Pricing, now: float) -> WarmPrefix:
    prices = pricing.prices(entry.model)
    loss = None
    if not isinstance(prices, Unpriced):
        rates = prices.rates(now, entry.tokens)
        loss = entry.tokens * ((rates.write_1h if entry.ttl == "1h" else rates.write) - rates.read)
    return WarmPrefix(
        entry.provider,
        entry.account,
        entry.model,
        entry.prefix.hex(),
        entry.tokens,
        entry.ttl,
        int(entry.expires_at - now),
        None if loss is None else round(loss, _DIGITS),
        entry.source,
    )
