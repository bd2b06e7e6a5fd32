"""AL209: an edit of an instruction file, where enough is warm behind it."""

import time
from collections.abc import Callable, Iterator, Sequence

from anchorline.cache.rules import Rules
from anchorline.instructions.warm_files import Edit, Taken
from anchorline.lint.finding import Finding
from anchorline.route.catalog import Model

LEAST_TOKENS = 1000
"""Below this an edit costs too little to speak of."""

_WHERE: dict[Taken, str] = {
    "request": "in {}",
    "resume": "in {} if resumed",
    "new": "that a new session would read",
}


def edit_findings(
    edits: Sequence[Edit], rules: Rules, model: Callable[[str], Model | None], now: float
) -> Iterator[Finding]:
    """Yields the finding where enough is warm behind the edits of one file."""
    counted = list(_counted(edits))
    lost = sum(one.lost for one in counted)
    if lost < LEAST_TOKENS:
        return
    prices = [_usd(one, rules, model(one.file.model), now) for one in counted]
    usd = "" if None in prices else f", ${sum(price or 0.0 for price in prices):.2f}"
    kinds = [one.file.taken for one in counted]
    places = [
        where.format(f"{count} conversation{'s' * (count > 1)}")
        for kind, where in _WHERE.items()
        if (count := kinds.count(kind))
    ]
    free = time.strftime("%H:%M", time.localtime(max(one.file.expires_at for one in counted) + 60))
    amount = f"{lost / 1000:.0f} k" if lost >= 10_000 else f"{lost / 1000:.1f} k"
    first = min(counted, key=lambda edit: edit.start)
    yield Finding(
        "AL209",
        f"this edit invalidates about {amount} warm tokens{usd}, {' and '.join(places)}; it is free from {free} on",
        "warning",
        first.start,
        first.end,
    )


def _counted(edits: Sequence[Edit]) -> Iterator[Edit]:
    """Yields one edit a conversation. The head that new sessions share counts once a model."""
    shared: dict[tuple[str, str, str], Edit] = {}
    for one in edits:
        if one.file.taken != "new":
            yield one
            continue
        key = (one.file.provider, one.file.account, one.file.model)
        if key not in shared or shared[key].lost < one.lost:
            shared[key] = one
    yield from shared.values()


def _usd(one: Edit, rules: Rules, model: Model | None, at: float) -> float | None:
    if model is None:
        return None
    provider = rules.for_model(one.file.model)
    price, _ = model.prices(one.lost, at)
    return one.lost * price * (provider.write_price(one.file.ttl) - provider.read_price(model.id))
