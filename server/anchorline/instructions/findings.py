"""Rule AL209, for an edit of an instruction file, where enough is warm behind it."""

import time
from collections.abc import Iterator, Sequence

from anchorline.instructions.warm_files import InstructionEdit, Taken
from anchorline.lint.finding import Finding
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
    prices = [_usd(edit, targets.find(edit.file.model), now) for edit in counted]
    usd = "" if None in prices else f", ${sum(price or 0.0 for price in prices):.2f}"
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
