"""A quote for sending a prompt to one model: where its breakpoints stand, and what it is expected to cost.

    request = price·(read·R + write·W + 1·(T − R − W)) + output
    next    = price·(p_next·rewrite·T − p_reuse·(rewrite − read)·A)

T tokens are sent, R of them read from the cache, W written to it, A anchored for the next request, which comes at all
with `p_next` and while the anchor lives with `p_reuse`. What it does not find it writes again, at `rewrite`; a client
that anchors nothing pays 1. The choice of a lifetime counts the same (`lifetime.py`). The next request's own new tokens
cost the same either way and are left out. docs/explain/cost.md explains it with an example.
"""

from collections.abc import Callable, Sequence

import msgspec

from anchorline.cache import breakpoints, lifetime
from anchorline.cache.gaps import Gaps
from anchorline.cache.lifetime import Bet
from anchorline.cache.predict import Reach, Warmth
from anchorline.cache.rules import Lifetime, Provider
from anchorline.plan import LOST, Anchor, CachePlan, Miss
from anchorline.prompt.model import Prompt

OUTPUT_TOKENS = 437
"""Expected output of a request: the mean over 30 856 requests of the WEKA traces, train split (median 217)."""

NEVER_S = 3 * 3600.0
"""A next request later than this starts from nothing with every provider: it counts as none."""


class Terms(msgspec.Struct, frozen=True):
    """One way to send a prompt: tokens, the cache's price multipliers, and what becomes of the prefix.

    `price` and `output_price` are USD per token, `read`, `write` and `rewrite` multiples of `price`.
    """

    price: float
    output_price: float
    total: int
    read_tokens: float
    write_tokens: float
    anchored: int
    read: float
    write: float
    rewrite: float
    output: int
    p_next: float
    p_reuse: float

    @property
    def request_usd(self) -> float:
        """This request's input and output."""
        plain = self.total - self.read_tokens - self.write_tokens
        billed = self.read * self.read_tokens + self.write * self.write_tokens + plain
        return self.price * billed + self.output_price * self.output

    @property
    def next_usd(self) -> float:
        """The next request's reading of this one's prefix, in expectation."""
        saved = self.p_reuse * (self.rewrite - self.read) * self.anchored
        return self.price * (self.p_next * self.rewrite * self.total - saved)

    @property
    def usd(self) -> float:
        """Both."""
        return self.request_usd + self.next_usd


class Quote(msgspec.Struct, frozen=True):
    """A prompt with the model that it may be sent to, its prices, and what is believed warm there.

    `price` and `output_price` are USD per token; `totals` are the cumulative tokens at each segment's end.

    `warmth` is what is believed warm at all, `within` says what of it the request's breakpoints can reach. `gaps` is
    the time to the next request.
    """

    prompt: Prompt
    provider: Provider
    model: str
    price: float
    output_price: float
    warmth: Warmth
    totals: Sequence[int]
    gaps: Gaps
    within: Callable[[Reach], Warmth]

    @property
    def total(self) -> int:
        """All input tokens."""
        return self.totals[-1] if self.totals else 0

    def planned(self, mode: str, ttl: str) -> tuple[CachePlan, Terms]:
        """Returns the cache's part of the plan, and its costs. `mode` and `ttl` are the settings of that name."""
        bet = lifetime.best(self._bets(), ttl)
        anchors = self.client_anchors()
        if self.provider.mode == "explicit":
            anchors = breakpoints.place(
                self.prompt, self.provider, self.model, self.warmth, bet, self.totals, mode
            )
        terms = self.terms(anchors)
        return self._cached(anchors, terms, self._reason(bet, anchors)), terms

    def sent(self, anchors: tuple[Anchor, ...]) -> CachePlan:
        """Returns what is to be expected of the cache where it is sent with these anchors, whatever the plan is."""
        terms = self.terms(anchors)
        cache = self._cached(anchors, terms, "")
        if terms.anchored or cache.lost is None:
            return cache
        unread = Miss("no_anchor", "it has no breakpoint, so nothing is read or written")
        return msgspec.structs.replace(cache, miss_reasons=(unread,))

    def _cached(self, anchors: tuple[Anchor, ...], terms: Terms, reason: str) -> CachePlan:
        warmth = self.reached(anchors)
        misses = warmth.misses
        if self.provider.mode == "none":
            misses = (Miss("no_cache", self.provider.note or "this provider has no prompt cache"),)
        elif not terms.anchored and not misses:
            misses = (Miss("no_anchor", "no breakpoint pays, so nothing is read or written"),)
        expires = warmth.expires_in
        # Counted as the whole prompt is, so that what was billed can be set against both alike.
        warm = self.totals[warmth.last] if warmth.last >= 0 and terms.anchored else 0
        return CachePlan(
            provider=self.provider.name,
            mode=self.provider.mode,
            anchors=anchors,
            p_hit=warmth.p_hit if terms.anchored else 0.0,
            warm_tokens=warm,
            expires_in_s=int(expires) if expires is not None else None,
            expected_read_tokens=round(terms.read_tokens),
            expected_write_tokens=round(terms.write_tokens),
            miss_reasons=misses,
            reason=reason,
        )

    def reached(self, anchors: Sequence[Anchor]) -> Warmth:
        """Returns what is believed warm of what a request with these anchors can read.

        A provider with explicit breakpoints looks back from each for a number of blocks, and finds nothing else.
        """
        if self.provider.mode != "explicit" or not self.totals:
            return self.warmth
        ends = [anchor.segment for anchor in anchors]
        if self.provider.implicit or self.prompt.automatic_ttl:
            ends.append(len(self.totals) - 1)
        reach = Reach(tuple(ends), self.provider.lookback)
        warmth = self.warmth
        lost = warmth.last < 0 and any(miss.code in LOST for miss in warmth.misses)
        if not ends or warmth.last in reach or (warmth.last < 0 and not lost):
            return warmth
        return self.within(reach)

    def client_anchors(self) -> tuple[Anchor, ...]:
        """Returns the anchors that the client has set itself."""
        return breakpoints.clients(self.prompt, self.totals)

    def usual_anchors(self) -> tuple[Anchor, ...]:
        """Returns the anchors that it would be sent with if nobody planned it.

        A session file does not hold its requests' markers, but their usage tells with which lifetime they were written.
        """
        own = self.client_anchors()
        ttl = next((sent.ttl for sent in reversed(self.prompt.sent) if sent.ttl is not None), None)
        if own or ttl is None or not self.totals:
            return own
        last = len(self.totals) - 1
        reason = "as the session's requests had it"
        return (Anchor(last, self.prompt.pointer(last), self.total, ttl, reason, "client"),)

    def terms(self, anchors: Sequence[Anchor]) -> Terms:
        """Returns what sending it with these anchors costs."""
        provider, total = self.provider, self.total
        anchored, written = self._anchored(anchors)
        warmth = self.reached(anchors)
        read_tokens = warmth.p_hit * min(warmth.tokens, anchored) if anchored else 0.0
        return Terms(
            price=self.price,
            output_price=self.output_price,
            total=total,
            read_tokens=read_tokens,
            write_tokens=max(anchored - read_tokens, 0.0),
            anchored=anchored,
            read=provider.read_price(self.model),
            write=written.write if written is not None else 1.0,
            rewrite=lifetime.rewrite(provider) if anchored else 1.0,
            output=OUTPUT_TOKENS,
            p_next=self.gaps.within(NEVER_S),
            p_reuse=self.gaps.within(written.seconds) if written is not None else 0.0,
        )

    def _bets(self) -> list[Bet]:
        fresh = max(self.total - round(self.warmth.p_hit * self.warmth.tokens), 0)
        return lifetime.bets(self.provider, self.model, self.gaps, fresh, self.total)

    def _anchored(self, anchors: Sequence[Anchor]) -> tuple[int, Lifetime | None]:
        """Returns how many tokens the next request could read, and the lifetime that they are written with."""
        provider, total = self.provider, self.total
        if provider.mode == "none" or total < provider.minimum(self.model):
            return 0, None
        automatic = self.prompt.automatic_ttl
        if provider.mode != "explicit" or provider.implicit or automatic:
            return total, provider.lifetime(automatic or "default")
        if not anchors:
            return 0, None
        tail = anchors[-1]
        return tail.prefix_tokens, provider.lifetime(tail.ttl)

    def _reason(self, bet: Bet, anchors: Sequence[Anchor]) -> str:
        if self.provider.mode == "none":
            return self.provider.note or "This provider has no prompt cache."
        if self.provider.mode != "explicit":
            return f"{self.provider.name} caches by itself; keep what stands first stable."
        minimum = self.provider.minimum(self.model)
        if self.total < minimum:
            return f"No breakpoint: {self.total:,} tokens, and {self.model} caches from {minimum:,} on."
        if not anchors and self.provider.implicit:
            return f"{self.provider.title} anchors the end of the prompt itself; a further breakpoint would not pay."
        if not anchors and self.prompt.automatic_ttl:
            return "The request asks for an automatic breakpoint at its end; a further one would not pay."
        if not anchors:
            return "No breakpoint: the reuse of this prompt would not pay for the write."
        if bet.lifetime is None or all(anchor.origin == "client" for anchor in anchors):
            return "The client's own breakpoints are kept."
        return (
            f"{bet.lifetime.name}: writing costs {bet.premium:,.0f} tokens more and saves {bet.saving:,.0f} "
            f"in expectation (the next request comes in time with probability {bet.p_reuse:.2f})."
        )
