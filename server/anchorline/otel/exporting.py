"""One pass of the export: what a collector has not got yet, in batches, each noted once it was taken."""

import time
from collections.abc import Callable
from heapq import nsmallest
from pathlib import Path
from typing import NamedTuple

from anchorline.otel.collector import Collector, ExportError
from anchorline.otel.sent import SentKeys
from anchorline.otel.usage import RequestKey, UsageRecord, read
from anchorline.route.target import Targets

BATCH = 512
"""Requests that are sent at once, as the SDK's own processor has it."""
MOST = 20_000
"""Requests that are held in memory; what is more comes in the next round."""


class Exported(NamedTuple):
    """What a pass did: `sent` requests, `rejected` ones (or points) that the collector dropped, why it ended early."""

    sent: int
    rejected: int = 0
    problem: str | None = None


def export(
    path: Path,
    targets: Targets,
    collector: Collector,
    sent: SentKeys,
    since: float,
    *,
    names: bool,
    clock: Callable[[], float] = time.time,
) -> Exported:
    """Sends what was billed since then and the collector has not got, oldest first. Raises StoreError.

    It ends at the first batch that is not taken: what is left comes in the next pass. Where the program ends between a
    batch and its note, that one batch is sent again; its spans have the same ids.
    """
    count = 0
    before = collector.rejected
    while True:
        waiting = _waiting(path, targets, sent, since, names=names, now=clock())
        for start in range(0, len(waiting), BATCH):
            batch = waiting[start : start + BATCH]
            try:
                collector.send(batch)
            except ExportError as error:
                return Exported(count, collector.rejected - before, str(error))
            sent.add(key for record in batch for key in record.keys)
            count += len(batch)
        if len(waiting) < MOST:
            return Exported(count, collector.rejected - before)


def _waiting(
    path: Path, targets: Targets, sent: SentKeys, since: float, *, names: bool, now: float
) -> list[UsageRecord]:
    """Returns what is to be sent, oldest first. Of a request that was sent under one name the other is noted, too."""
    aliases: list[RequestKey] = []
    unsent = (
        record
        for record in read(path, targets, since, names=names)
        if not _is_sent(record, sent, aliases) and record.settles_at <= now
    )
    waiting = nsmallest(MOST, unsent, key=lambda record: record.at)
    sent.add(aliases)
    return waiting


def _is_sent(record: UsageRecord, sent: SentKeys, aliases: list[RequestKey]) -> bool:
    """Says whether a request was sent, and adds the names of it that are not noted yet."""
    unnoted = [key for key in record.keys if key not in sent]
    if len(unnoted) == len(record.keys):
        return False
    aliases += unnoted
    return True
