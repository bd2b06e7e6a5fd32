"""The providers' prompt caches, simulated exactly: what a request reads, writes and pays, and why it misses.

One `ProviderCache` is what a provider holds of one account for one model; a `Simulator` keeps one for each. Feed
requests in the order of their starts. The rules are the provider's (`providers.toml`); docs/research/simulator.md
explains them.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

import msgspec
from xxhash import xxh3_128_digest

from anchorline.cache.rules import Lifetime, Provider, Rules, canonical
from anchorline.replay.request import (
    MissCause,
    RejectedError,
    SimulatedBill,
    SimulatedBlock,
    SimulatedRequest,
)
from anchorline.route.pricing import Bill, in_base_tokens

_WHOLE_RESPONSE = "once the response is complete"


class _Entry:
    """A prefix that is held: until `expires_at`, readable from `readable_at` on, built on the entry `below`."""

    __slots__ = ("below", "expires_at", "lifetime", "readable_at")

    def __init__(
        self, lifetime: Lifetime, expires_at: float, readable_at: float, below: "_Entry | None"
    ) -> None:
        self.lifetime = lifetime
        self.expires_at = expires_at
        self.readable_at = readable_at
        self.below = below


class LastRequest(msgspec.Struct, frozen=True):
    """The last request of a conversation, to explain the next one's misses.

    `path` are its prefix hashes as cached, `raw` as given (with thinking), `cached` is the last block that is held.
    """

    model: str
    path: list[bytes]
    raw: list[bytes]
    totals: list[int]
    cached: int
    settings: bytes


class ProviderCache:
    """What one provider holds of one account for one model."""

    def __init__(self, provider: Provider, model: str) -> None:
        self.provider = provider
        self.model = model
        self._minimum = provider.minimum(model)
        self._strips = provider.drops_thinking(model)
        self._entries: dict[bytes, _Entry] = {}
        self._sent: set[bytes] = set()

    def send(
        self, request: SimulatedRequest, last: LastRequest | None = None
    ) -> tuple[SimulatedBill, LastRequest]:
        """Returns what `request` is billed, and what explains the conversation's next one. `last`: the one before.

        Raises `RejectedError` where the provider would refuse the request, and leaves the cache as it was.
        """
        blocks = stripped(request.blocks) if self._strips else list(request.blocks)
        path = prefixes(self.provider, self.model, blocks, request)
        totals = list(accumulate(block.tokens for block in blocks))
        marks = self._marks(request, blocks, totals)
        raw = (
            path
            if len(blocks) == len(request.blocks)
            else prefixes(self.provider, self.model, request.blocks, request)
        )
        end = self._longest_prefix(path, marks, request.at)
        read = self._readable_tokens(totals, end)
        cause = self._cause(request, path, raw, totals, marks, end, read, last)
        written = self._write(request, path, totals, marks, end, read)
        self._sent.update(path)
        cached = marks[-1][0] if marks else -1
        total = totals[-1] if totals else 0
        billed = SimulatedBill(read, written, total - read - sum(written.values()), cause)
        settings = repr(sorted(request.settings.items())).encode()
        return billed, LastRequest(self.model, path, raw, totals, cached, settings)

    def bill(self, billed: SimulatedBill) -> Bill:
        """Returns what is paid for the input, in tokens at the base input price."""
        return in_base_tokens(self.provider, billed.uncached, billed.read, billed.written)

    def charge(self, billed: SimulatedBill) -> float:
        """Returns all of that."""
        return self.bill(billed).prompt

    def _marks(
        self, request: SimulatedRequest, blocks: list[SimulatedBlock], totals: list[int]
    ) -> list[tuple[int, Lifetime]]:
        """Returns the breakpoints in force: (block, lifetime) in order, those below the minimum left out."""
        provider = self.provider
        if not blocks or provider.mode == "none" or not provider.lifetimes:
            return []
        if provider.mode != "explicit":
            return [(i, provider.lifetimes[0]) for i, tokens in enumerate(totals) if tokens >= self._minimum]
        marks = {}
        shift = positions(request.blocks, blocks) if len(blocks) != len(request.blocks) else None
        for mark in request.breakpoints:
            lifetime = provider.lifetime(mark.ttl)
            if lifetime is None:
                raise RejectedError(f"{provider.title} knows no lifetime {mark.ttl!r}")
            if not 0 <= mark.block < len(request.blocks):
                raise RejectedError(f"there is no block {mark.block}")
            if not _markable(provider, request.blocks[mark.block]):
                raise RejectedError(f"block {mark.block} can't carry a breakpoint")
            marks[mark.block if shift is None else shift[mark.block]] = lifetime
        ordered = sorted(marks.items())
        automatic = provider.implicit if request.automatic is None else request.automatic
        ordered = _limited(provider, ordered, self._automatic(request, blocks, marks) if automatic else None)
        if provider.longer_first and any(
            later.seconds > earlier.seconds for (_, earlier), (_, later) in pairwise(ordered)
        ):
            raise RejectedError("a longer lifetime must stand before a shorter one")
        return [(block, lifetime) for block, lifetime in ordered if totals[block] >= self._minimum]

    def _automatic(
        self, request: SimulatedRequest, blocks: list[SimulatedBlock], marks: dict[int, Lifetime]
    ) -> tuple[int, Lifetime] | None:
        """Returns the provider's own breakpoint: the last block that may carry one."""
        rule = self.provider.automatic
        own = (
            rule.lifetime
            if rule is not None and request.automatic_ttl == "default"
            else request.automatic_ttl
        )
        lifetime = self.provider.lifetime(own)
        at = len(blocks) - 1
        if not self.provider.implicit:
            while at >= 0 and not _markable(self.provider, blocks[at]):
                at -= 1
        if at < 0 or lifetime is None:
            return None
        if at in marks and marks[at] != lifetime and self.provider.longer_first:
            raise RejectedError("the last block carries a breakpoint with another lifetime")
        return at, lifetime

    def _longest_prefix(self, path: list[bytes], marks: list[tuple[int, Lifetime]], now: float) -> int:
        """Returns the last block of the longest prefix that is read, or -1."""
        provider = self.provider
        if not marks:
            return -1
        if provider.mode == "explicit" and provider.lookback is not None:
            best = -1
            for block, _ in marks:
                for i in range(block, max(block - provider.lookback, best + 1, 0) - 1, -1):
                    if self._hit(path[i], now):
                        best = i
                        break
            return best
        seen = 0
        last = marks[-1][0]
        for i in range(last, -1, -1):
            entry = self._entries.get(path[i])
            if entry is None:
                continue
            if self._hit(path[i], now):
                return i
            seen += 1
            if provider.match_breakpoints is not None and seen >= provider.match_breakpoints:
                break
        return -1

    def _hit(self, prefix: bytes, now: float) -> bool:
        return self._alive(prefix, now) and self._entries[prefix].readable_at <= now

    def _alive(self, prefix: bytes, now: float) -> bool:
        entry = self._entries.get(prefix)
        while entry is not None:
            if entry.expires_at < now:
                return False
            if self.provider.longer_tail_covers_prefix or entry.below is None:
                return True
            entry = entry.below
        return False

    def _readable_tokens(self, totals: list[int], end: int) -> int:
        """Returns the tokens up to block `end`, in the provider's steps."""
        tokens = totals[end] if end >= 0 else 0
        tokens -= tokens % self.provider.increment
        return tokens if tokens >= self._minimum else 0

    def _write(
        self,
        request: SimulatedRequest,
        path: list[bytes],
        totals: list[int],
        marks: list[tuple[int, Lifetime]],
        end: int,
        read: int,
    ) -> dict[str, int]:
        """Refreshes what was read, holds what is marked; returns the tokens written by lifetime."""
        provider = self.provider
        if not marks:
            return {}
        begun = request.at if request.first_at is None else request.first_at
        done = begun if request.last_at is None else request.last_at
        clock = request.at if provider.clock == "request_start" else done
        readable_at = done if provider.readable == _WHOLE_RESPONSE else begun
        base = self._entries[path[end]] if end >= 0 else None
        if provider.refresh_on_read:
            for prefix in path[: end + 1]:
                if self._hit(prefix, request.at):
                    entry = self._entries[prefix]
                    entry.expires_at = max(entry.expires_at, clock + entry.lifetime.seconds)
        written: dict[str, int] = {}
        start = read
        for block, lifetime in marks:
            if block <= end:
                # Held as a part of what was read; a longer life than that one's is not to be had for nothing.
                if base is not None and not self._alive(path[block], request.at):
                    self._entries[path[block]] = _Entry(
                        base.lifetime, base.expires_at, request.at, base.below
                    )
                continue
            tokens = totals[block] - start
            start = totals[block]
            written[lifetime.name] = written.get(lifetime.name, 0) + tokens
            old = self._entries.get(path[block])
            expires_at = clock + lifetime.seconds
            if old is not None and self._alive(path[block], request.at):
                old.readable_at = min(old.readable_at, readable_at)
                if expires_at > old.expires_at:
                    old.expires_at, old.lifetime = expires_at, lifetime
                base = old
            else:
                base = self._entries[path[block]] = _Entry(lifetime, expires_at, readable_at, base)
        return written if provider.mode == "explicit" else {}

    def _cause(
        self,
        request: SimulatedRequest,
        path: list[bytes],
        raw: list[bytes],
        totals: list[int],
        marks: list[tuple[int, Lifetime]],
        end: int,
        read: int,
        last: LastRequest | None,
    ) -> MissCause | None:
        """Returns why less was read than had been sent before, None where nothing was missed."""
        now = request.at
        total = totals[-1] if totals else 0
        first = end + 1
        if self.provider.mode == "none":
            return MissCause("no_cache", total)
        if last is None:
            newest = next((i for i in range(len(path) - 1, -1, -1) if path[i] in self._sent), -1)
            if newest > end:
                return self._unread(path, totals, marks, newest, end, read, now)
            if total < self._minimum:
                return MissCause("below_minimum", total)
            return MissCause("never_sent", 0, first) if end < 0 else None
        if total < self._minimum:
            return MissCause("below_minimum", total)
        shared = common(path, last.path)
        if last.cached >= 0 and end >= min(last.cached, len(path) - 1) and shared > last.cached:
            return None
        lost = max(last.totals[last.cached] - read, 0) if last.cached >= 0 else 0
        if canonical(last.model) != canonical(self.model):
            return MissCause("model_changed", lost, first)
        if last.cached >= shared:  # the conversation before is not what this request begins with
            if self._dead(last.path[last.cached], now) and read == 0:
                return MissCause(
                    "expired", lost, first, now - self._entries[last.path[last.cached]].expires_at
                )
            settings = repr(sorted(request.settings.items())).encode()
            if request.compacted:
                return MissCause("compacted", lost, shared)
            if settings != last.settings:
                return MissCause("setting_changed", lost, first)
            if self._strips and common(last.raw, raw) > shared:
                return MissCause("thinking_stripped", lost, shared) if end < last.cached else None
            return MissCause("edited", lost, shared)
        return self._unread(path, totals, marks, shared - 1, end, read, now)

    def _dead(self, prefix: bytes, now: float) -> bool:
        return prefix in self._entries and not self._alive(prefix, now)

    def _unread(
        self,
        path: list[bytes],
        totals: list[int],
        marks: list[tuple[int, Lifetime]],
        newest: int,
        end: int,
        read: int,
        now: float,
    ) -> MissCause | None:
        """Returns why the prefix up to block `newest`, sent before, was read up to block `end` only."""
        held = [i for i in range(end + 1, newest + 1) if path[i] in self._entries]
        if not held:
            short = totals[newest] < self._minimum
            return MissCause("below_minimum" if short else "no_breakpoint", totals[newest] - read, end + 1)
        at = held[-1]
        entry = self._entries[path[at]]
        lost = totals[at] - read
        if not self._alive(path[at], now):
            return MissCause("expired", lost, end + 1, now - entry.expires_at)
        if entry.readable_at > now:
            return MissCause("not_readable", lost, end + 1, entry.readable_at - now)
        if not marks or at > marks[-1][0]:
            return MissCause("no_breakpoint", lost, end + 1)
        return MissCause("look_back", lost, end + 1)


class Simulator:
    """The caches of all providers, accounts and models that requests are sent to."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._caches: dict[tuple[str, str, str], ProviderCache] = {}
        self._last: dict[tuple[str, str], LastRequest] = {}

    def cache(self, model: str, account: str = "default") -> ProviderCache:
        """Returns the cache of an account for a model, empty at first."""
        provider = self.rules.for_model(model)
        key = (provider.name, account, canonical(model))
        if key not in self._caches:
            self._caches[key] = ProviderCache(provider, model)
        return self._caches[key]

    def send(self, request: SimulatedRequest, model: str, account: str = "default") -> SimulatedBill:
        """Returns what a request is billed. Raises `RejectedError` where the provider refuses it."""
        conversation = (account, request.session)
        last = self._last.get(conversation) if request.session else None
        billed, sent = self.cache(model, account).send(request, last)
        if request.session:
            self._last[conversation] = sent
        return billed


def _limited(
    provider: Provider, marks: list[tuple[int, Lifetime]], automatic: tuple[int, Lifetime] | None
) -> list[tuple[int, Lifetime]]:
    """Returns the breakpoints within the provider's number: more are refused, or the newest are taken."""
    if automatic is not None and automatic[0] in dict(marks):
        automatic = None
    slots = provider.max_breakpoints - (1 if automatic is not None else 0)
    if len(marks) > slots:
        if provider.match_breakpoints is None:
            raise RejectedError(f"at most {slots} breakpoints, {len(marks)} are set")
        marks = marks[len(marks) - slots :]
    return sorted([*marks, automatic]) if automatic is not None else marks


def _markable(provider: Provider, block: SimulatedBlock) -> bool:
    return block.kind not in provider.unmarkable and (
        provider.assistant_markable or block.kind not in ("assistant", "thinking")
    )


def stripped(blocks: Iterable[SimulatedBlock]) -> list[SimulatedBlock]:
    """Returns the blocks without the thinking of finished turns: what stands before the person's last message."""
    given = list(blocks)
    turn = next((i for i in range(len(given) - 1, -1, -1) if given[i].kind == "user"), -1)
    return [block for i, block in enumerate(given) if i > turn or block.kind != "thinking"]


def prefixes(
    provider: Provider, model: str, blocks: Sequence[SimulatedBlock], request: SimulatedRequest
) -> list[bytes]:
    """Returns the hash of everything up to the end of each block: content, order, and the settings that count there.

    A setting enters the chain where the first section begins that a change of it makes useless.
    """
    order = provider.render_order
    entering: dict[str, list[str]] = {}
    for key, value in sorted(request.settings.items()):
        useless = provider.made_useless(key, model)
        hit = [section for section in order if section in useless]
        if not hit:
            raise ValueError(f"{provider.title} has no rule for the setting {key!r}")
        entering.setdefault(hit[0], []).append(f"{key}={value}")
    chain = b""
    path = []
    reached = -1
    for block in blocks:
        index = order.index(block.section)
        if index < reached:
            raise RejectedError(f"{block.section} must stand before {order[reached]}")
        while reached < index:
            reached += 1
            chain = xxh3_128_digest(chain + "\0".join(entering.get(order[reached], ())).encode())
        chain = xxh3_128_digest(chain + block.digest)
        path.append(chain)
    return path


def positions(given: Sequence[SimulatedBlock], kept: Sequence[SimulatedBlock]) -> list[int]:
    """Returns, for each block given, the last block kept up to it: where its breakpoint falls."""
    positions = []
    at = -1
    for block in given:
        if at + 1 < len(kept) and block is kept[at + 1]:
            at += 1
        positions.append(max(at, 0))
    return positions


def common(path: Sequence[bytes], other: Sequence[bytes]) -> int:
    """Returns how many prefixes two chains share. Both are chains, so the first difference can be bisected."""
    low, high = 0, min(len(path), len(other))
    while low < high:
        middle = (low + high) // 2
        if path[middle] == other[middle]:
            low = middle + 1
        else:
            high = middle
    return low
