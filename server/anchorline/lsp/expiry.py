"""A timer for the next warm prefix that expires."""

import asyncio
import time
from collections.abc import Callable, Sequence

from anchorline.cache.ledger import Entry

PAUSE_S = 5.0
"""The least time between two calls: a conversation's prefixes expire one by one."""


class Expiry:
    """Calls `expired` when the first of some entries has expired. Used on the event loop only."""

    def __init__(self, expired: Callable[[], None]) -> None:
        self._expired = expired
        self._timer: asyncio.TimerHandle | None = None

    def wait_for(self, entries: Sequence[Entry]) -> None:
        """Waits for these entries, and no longer for those before."""
        self.cancel()
        if entries:
            left_s = min(entry.expires_at for entry in entries) - time.time()
            self._timer = asyncio.get_running_loop().call_later(max(left_s, PAUSE_S), self._expired)

    def cancel(self) -> None:
        """Waits for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
