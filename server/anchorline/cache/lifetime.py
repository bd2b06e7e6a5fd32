"""The actions that keep a prefix warm, and the cheapest of them in expectation.

An action is a lifetime for what is written now, and a number of keep-alive pings: requests without output that read
the prefix just before it expires. For a prefix of T tokens, W of them to be written, in tokens at the base input price,

    premium = (write − 1)·W
    pings   = read·T·Σ P(the next request comes later than ping k)
    saving  = (rewrite − read)·T·P(the next request comes while the prefix is warm)

`rewrite` is what the next request would pay for what it does not find: it writes it again, at the cheapest lifetime's
price. That is as far as a decision is followed. That a hit also leaves the next tail small, and cheap to insure, is
worth some more; that a request after a long pause shares less with this one takes as much away
(docs/explain/lifetimes.md).
"""

from collections.abc import Sequence

import msgspec

from anchorline.cache.gaps import Gaps
from anchorline.cache.rules import Lifetime, Provider


class Action(msgspec.Struct, frozen=True):
    """A lifetime (None: nothing is written) and how many pings may prolong it while no request comes."""

    lifetime: Lifetime | None = None
    pings: int = 0

    @property
    def alive(self) -> float:
        """Seconds that the prefix stays warm, all pings counted; negative where it never is."""
        if self.lifetime is None:
            return -1.0
        return self.lifetime.seconds + self.pings * ping_every(self.lifetime)

    @property
    def write(self) -> float:
        """The price of a new token, in multiples of the base input price."""
        return self.lifetime.write if self.lifetime is not None else 1.0

    def paid(self, gap: float) -> int:
        """Returns how many pings are sent before a next request that starts after `gap` seconds (inf: never)."""
        if self.lifetime is None or not self.pings:
            return 0
        every = ping_every(self.lifetime)
        return self.pings if gap >= self.pings * every else int(gap / every)


class Bet(msgspec.Struct, frozen=True):
    """The expected cost and saving of one action, in tokens at the base input price."""

    action: Action
    premium: float
    saving: float
    p_reuse: float

    @property
    def lifetime(self) -> Lifetime | None:
        """The action's lifetime."""
        return self.action.lifetime

    @property
    def gain(self) -> float:
        """Expected saving after the premium (pings included)."""
        return self.saving - self.premium


NOTHING = Bet(Action(), 0.0, 0.0, 0.0)


def ping_every(lifetime: Lifetime) -> float:
    """Returns after how many seconds a ping is sent: 295 for five minutes (aider's interval), 3590 for an hour."""
    return lifetime.seconds - max(5.0, lifetime.seconds / 360)


def rewrite(provider: Provider) -> float:
    """Returns what writing a token again costs that is no longer found: the cheapest lifetime's price."""
    return min((lifetime.write for lifetime in provider.lifetimes), default=1.0)


def bets(provider: Provider, model: str, gaps: Gaps, fresh: int, prefix: int, *, pings: int = 0) -> list[Bet]:
    """Returns every action but doing nothing, for a prefix of `prefix` tokens, `fresh` of them to be written.

    `pings` is how many may be sent, 0 where nobody sends any.
    """
    read = provider.read_price(model)
    again = rewrite(provider)
    options = []
    for lifetime in provider.lifetimes:
        premium = (lifetime.write - 1) * fresh
        every = ping_every(lifetime)
        for count in range(pings + 1):
            if count:
                premium += read * prefix * (1 - gaps.within(count * every))
            p_reuse = gaps.within(lifetime.seconds + count * every)
            options.append(Bet(Action(lifetime, count), premium, p_reuse * (again - read) * prefix, p_reuse))
    return options


def prolonging(
    provider: Provider, model: str, gaps: Gaps, lifetime: Lifetime, prefix: int, waited: float, pings: int
) -> Bet:
    """Returns the best number of pings, the first one now and at most `pings`; NOTHING where none pays.

    The request that wrote or read the prefix of `prefix` tokens started `waited` seconds ago and no other has come
    since; what is warm is so for an interval less than a lifetime more. As above, but given that it has come to this:

        pings  = read·T·Σ P(later than ping k | later than now)
        saving = (rewrite − read)·T·P(after the prefix would have expired, before it does so now | later than now)
    """
    left = 1 - gaps.within(waited)
    if left <= 0:
        return NOTHING
    read, every = provider.read_price(model), ping_every(lifetime)
    expiry = gaps.within(waited - every + lifetime.seconds)
    options, premium = [], 0.0
    for count in range(1, pings + 1):
        latest = waited + (count - 1) * every
        premium += read * prefix * (1 - gaps.within(latest)) / left
        p_reuse = (gaps.within(latest + lifetime.seconds) - expiry) / left
        saving = p_reuse * (rewrite(provider) - read) * prefix
        options.append(Bet(Action(lifetime, count), premium, saving, p_reuse))
    return max((NOTHING, *options), key=lambda bet: bet.gain)


def best(candidates: Sequence[Bet], wanted: str = "auto") -> Bet:
    """Returns the action of least expected cost, nothing where none pays; or the one whose lifetime is `wanted`."""
    named = [bet for bet in candidates if bet.lifetime is not None and bet.lifetime.name == wanted]
    return max(named or (NOTHING, *candidates), key=lambda bet: bet.gain)
