"""Rule AL209, for an edit of an instruction file, where enough is warm behind it; and what such a file costs."""

import time
from collections.abc import Iterator, Sequence

from anchorline.figures import cents
from anchorline.instructions.warm_files import InstructionEdit, Taken, WarmFile
from anchorline.lint.finding import Finding
from anchorline.plan import InstructionCost
from anchorline.route.target import Target, Targets

LEAST_TOKENS = 1000
"""Below this an edit costs too little to speak of."""

_WHERE: dict[Taken, str] = {
    "request": "in {}",
    "resume": "in {} if resumed",
    "new": "that a new session would read",
}


def edit_findings(edits: Sequence[InstructionEdit], targets: Targets, now: float) -> Iterator[Finding]:
    """Yields the finding where enough is warm behind the edits of one file."""
    counted = list(_counted(edits))
    lost = sum(edit.lost for edit in counted)
    if lost < LEAST_TOKENS:
        return
    price = _sum(counted, targets, now)
    usd = "" if price is None else f", {cents(price)}"
    kinds = [edit.file.taken for edit in counted]
    places = [
        where.format(f"{count} conversation{'s' * (count > 1)}")
        for kind, where in _WHERE.items()
        if (count := kinds.count(kind))
    ]
    free = time.strftime("%H:%M", time.localtime(max(edit.file.expires_at for edit in counted) + 60))
    amount = f"{lost / 1000:.0f} k" if lost >= 10_000 else f"{lost / 1000:.1f} k"
    first = min(counted, key=lambda edit: edit.start)
    yield Finding(
        "AL209",
        f"this edit invalidates about {amount} warm tokens{usd}, {' and '.join(places)}; it is free from {free} on",
        "warning",
        first.start,
        first.end,
    )


def cost(
    tokens: int, target: Target, warm: Sequence[WarmFile], targets: Targets, now: float
) -> InstructionCost:
    """Returns what an instruction file of so many tokens costs with `target`, and an edit of it where it is `warm`."""
    edits = list(_counted([InstructionEdit(file, 0, 0, file.tokens + file.behind) for file in warm]))
    model, rules = target.model, target.provider
    usd = target.prices(tokens, now)[0] * tokens
    return InstructionCost(
        model=target.name,
        context=model.context if model is not None else None,
        warm_usd=round(usd * rules.read_price(target.id), 8) if model is not None else None,
        cold_usd=round(usd * rules.write_price(), 8) if model is not None else None,
        prefixes=len(warm),
        edit_tokens=sum(edit.lost for edit in edits),
        edit_usd=_sum(edits, targets, now),
        edit_free_at=max((edit.file.expires_at for edit in edits), default=None),
    )


def _counted(edits: Sequence[InstructionEdit]) -> Iterator[InstructionEdit]:
    """Yields one edit a conversation. The head that new sessions share counts once a model."""
    shared: dict[tuple[str, str, str], InstructionEdit] = {}
    for edit in edits:
        file = edit.file
        if file.taken != "new":
            yield edit
            continue
        key = (file.provider, file.account, file.model)
        if key not in shared or shared[key].lost < edit.lost:
            shared[key] = edit
    yield from shared.values()


def _sum(edits: Sequence[InstructionEdit], targets: Targets, at: float) -> float | None:
    """Returns what the edits cost, in USD; None where the price of one is not known."""
    prices = [_usd(edit, targets.find(edit.file.model), at) for edit in edits]
    return None if None in prices else round(sum(price or 0.0 for price in prices), 8)


def _usd(edit: InstructionEdit, target: Target, at: float) -> float | None:
    """Returns what writing the lost tokens again costs more than reading them; None where no price is known."""
    if target.model is None:
        return None
    price, _ = target.prices(edit.lost, at)
    return (
        edit.lost
        * price
        * (target.provider.write_price(edit.file.ttl) - target.provider.read_price(target.id))
    )
