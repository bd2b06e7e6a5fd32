"""AL209: an edit of an instruction file that makes what is warm behind it worthless."""

import time
from collections.abc import Callable, Iterator, Sequence

from anchorline.cache.instructions import Edit, Taken
from anchorline.cache.rules import Rules
from anchorline.lint.finding import Finding
from anchorline.route.catalog import Model

LEAST_TOKENS = 1000
"""Below this an edit costs too little to speak of."""

_WHERE: dict[Taken, str] = {
    "request": "in {}",
    "resume": "in {} if resumed",
    "new": "that a new session would read",
}


def edited(
    edits: Sequence[Edit], rules: Rules, model: Callable[[str], Model | None], now: float
) -> Iterator[Finding]:
    """Yield the finding where enough is warm behind the edits of one file."""
    counted = list(_counted(edits))
    lost = sum(one.lost for one in counted)
    if lost < LEAST_TOKENS:
        return
    prices = [_usd(one, rules, model(one.known.model), now) for one in counted]
    usd = "" if None in prices else f", ${sum(price or 0.0 for price in prices):.2f}"
    kinds = [one.known.taken for one in counted]
    places = [
        where.format(f"{count} conversation{'s' * (count > 1)}")
        for kind, where in _WHERE.items()
        if (count := kinds.count(kind))
    ]
    free = time.strftime("%H:%M", time.localtime(max(one.known.expires_at for one in counted) + 60))
    amount = f"{lost / 1000:.0f} k" if lost >= 10_000 else f"{lost / 1000:.1f} k"
    first = min(counted, key=lambda one: one.start)
    yield Finding(
        "AL209",
        f"this edit invalidates about {amount} warm tokens{usd}, {' and '.join(places)}; it is free from {free} on",
        "warning",
        first.start,
        first.end,
    )


def _counted(edits: Sequence[Edit]) -> Iterator[Edit]:
    """Yield one edit a conversation. The head that new sessions share counts once a model."""
    shared: dict[tuple[str, str, str], Edit] = {}
    for one in edits:
        if one.known.taken != "new":
            yield one
            continue
        key = (one.known.provider, one.known.account, one.known.model)
        if key not in shared or shared[key].lost < one.lost:
            shared[key] = one
    yield from shared.values()


def _usd(one: Edit, rules: Rules, model: Model | None, at: float) -> float | None:
    if model is None:
        return None
    provider = rules.for_model(one.known.model)
    price, _ = model.prices(one.lost, at)
    return one.lost * price * (provider.write_price(one.known.ttl) - provider.read_price(model.id))
