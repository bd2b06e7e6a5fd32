"""What the database tells a plan: what is warm, in which form tool results were sent, and instruction files in it."""

from typing import NamedTuple

from anchorline.cache.ledger import Ledger, MemoryLedger
from anchorline.config import Store
from anchorline.instructions.warm_files import WarmFiles
from anchorline.store.database import StoreError, locate
from anchorline.store.reader import Reader


class RecordedState(NamedTuple):
    """What plans are made from. `problem` says why nothing is known, where the database can't be read."""

    ledger: Ledger
    replays: dict[bytes, bytes]
    warm_files: WarmFiles
    problem: str | None = None


def recorded(settings: Store, now: float) -> RecordedState:
    """Returns what is recorded; nothing where there is no database, it can't be read or recording is off."""
    nothing = RecordedState(MemoryLedger(), {}, WarmFiles())
    if not settings.enabled:
        return nothing
    try:
        reader = Reader(locate(settings.path))
        return RecordedState(MemoryLedger(reader.ledger(now)), reader.replays(), reader.instructions(now))
    except StoreError as error:
        return nothing._replace(problem=str(error))
