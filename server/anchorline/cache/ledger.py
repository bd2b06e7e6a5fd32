"""The ledger of the prefixes that each provider is believed to hold now.

A prefix is identified by the hash of everything up to its end (`Segment.prefix`). It is warm until it
expires; a read refreshes it, and the clock runs from the *start* of a request (Anthropic's rule, the
strictest of all). The ledger is filled from outcomes and from transcripts, and read by every plan.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

import msgspec

from anchorline.cache.rules import Provider

Source = Literal["outcome", "transcript"]
CLOCKS_S = 60.0
"""By how much the clocks of two machines may differ."""


class Entry(msgspec.Struct, frozen=True):
    """One prefix that a provider holds: `tokens` of it, from `written_at` until `expires_at` (epoch seconds).

    `conversation` is a hash of the name of the conversation that it is of, empty where that is not known: each anchor
    of each of its requests is an entry of its own, and all but the longest are part of that.
    """

    provider: str
    account: str
    model: str
    prefix: bytes
    tokens: int
    ttl: str
    written_at: float
    expires_at: float
    source: Source = "outcome"
    conversation: str = ""

    def is_warm(self, now: float) -> bool:
        """Says whether it is held now. What a clock that was set back has written in the future says nothing."""
        return self.written_at <= now + CLOCKS_S and now < self.expires_at


def longest(entries: Iterable[Entry]) -> list[Entry]:
    """Returns of each conversation the longest prefix that each model holds, and all that are of no conversation."""
    best: dict[tuple[object, ...], Entry] = {}
    for entry in entries:
        key = (entry.provider, entry.account, entry.model, entry.conversation or entry.prefix)
        if key not in best or (entry.tokens, entry.expires_at) > (best[key].tokens, best[key].expires_at):
            best[key] = entry
    return list(best.values())


def entry(
    provider: Provider,
    *,
    account: str,
    model: str,
    prefix: bytes,
    tokens: int,
    ttl: str,
    started: float,
    used: float | None = None,
    conversation: str = "",
) -> Entry | None:
    """Returns what a provider holds after a request of a recorded session, by its own clock and lifetimes.

    `started` and `used` are the times at which the request began and its response did (epoch seconds). None
    where the provider caches nothing, names no such lifetime, or the prefix is below its minimum.
    """
    lifetime = provider.lifetime(ttl)
    if provider.mode == "none" or lifetime is None or tokens < provider.minimum(model):
        return None
    runs_from = started if provider.clock == "request_start" or used is None else used
    expires_at = runs_from + lifetime.seconds
    return Entry(
        provider.name,
        account,
        model,
        prefix,
        tokens,
        lifetime.name,
        started,
        expires_at,
        "transcript",
        conversation,
    )


Held = Mapping[bytes, tuple[Entry, ...]]
"""The entries of one account by prefix hash, one for each model that holds it."""


class Ledger(Protocol):
    """The interface of a ledger that the planner reads."""

    def held(self, provider: str, account: str) -> Held:
        """Returns the entries of one account, expired ones among them (they explain a miss)."""
        ...


class MemoryLedger:
    """A ledger in memory: for one process, and as the copy that a server reads while it plans."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._accounts: dict[tuple[str, str], dict[bytes, tuple[Entry, ...]]] = {}
        for entry in entries:
            self.put(entry)

    def held(self, provider: str, account: str) -> Held:
        """Returns the entries of one account."""
        return self._accounts.get((provider, account), {})

    def put(self, entry: Entry) -> None:
        """Takes in an entry; of two for one prefix and model the later expiry wins."""
        held = self._accounts.setdefault((entry.provider, entry.account), {})
        held[entry.prefix] = with_entry(held.get(entry.prefix, ()), entry)

    def forget_before(self, moment: float) -> int:
        """Drops what expired before `moment` (epoch seconds) and returns how many entries that were."""
        dropped = 0
        for held in self._accounts.values():
            for prefix, entries in list(held.items()):
                kept = tuple(entry for entry in entries if entry.expires_at >= moment)
                dropped += len(entries) - len(kept)
                if kept:
                    held[prefix] = kept
                else:
                    del held[prefix]
        return dropped


def with_entry(entries: tuple[Entry, ...], entry: Entry) -> tuple[Entry, ...]:
    """Returns the entries of one prefix with a further one, or without it if a later expiry is known."""
    others = tuple(other for other in entries if other.model != entry.model)
    same = [other for other in entries if other.model == entry.model]
    return (*others, max((*same, entry), key=lambda other: other.expires_at))
