"""How a client caches, and what a simulation charges for it: the values that policies and simulations speak in."""

from collections.abc import Callable, Sequence
from functools import cached_property

import msgspec
import numpy as np

from anchorline.cache.lifetime import Action
from anchorline.cache.rules import Lifetime, Provider
from anchorline.replay.arrays import Floats, Integers
from anchorline.replay.timeline import Timeline


class Choices(msgspec.Struct, frozen=True):
    """The action for each request of a timeline, as an index of `actions`: where its prefix is `cold`, and `warm`.

    It is warm where the request shares something with the one before it, and comes as long as that one's action lasts.
    """

    actions: Sequence[Action]
    cold: Integers
    warm: Integers


class CachingRule(msgspec.Struct, frozen=True):
    """How a client caches. `choose` gives the choice of lifetime and pings for the requests of a timeline.

    An anchor stands at the end of the head, with the lifetime `head` (None, or none of the provider's: with the chosen
    one), and, unless `tail` is false, at the end of the request.
    """

    choose: Callable[[Timeline], Choices]
    head: str | None = None
    tail: bool = True

    def head_lifetime(self, provider: Provider, action: Action) -> Lifetime | None:
        """Returns the lifetime of the anchor at the end of the head, None where there is none."""
        own = provider.lifetime(self.head) if self.head else None
        return own or action.lifetime


class Charges:
    """What each request of a timeline is charged for.

    Tokens `read`, `written` and `uncached`. `write` is the cost of what was written and `ping` that of the pings after
    a request, in tokens at the base input price; `pings` counts these.
    """

    def __init__(self, provider: Provider, count: int) -> None:
        self._price = provider.read
        self.read: Integers = np.zeros(count, np.int64)
        self.written: Integers = np.zeros(count, np.int64)
        self.uncached: Integers = np.zeros(count, np.int64)
        self.write: Floats = np.zeros(count)
        self.ping: Floats = np.zeros(count)
        self.pings: Integers = np.zeros(count, np.int64)

    @property
    def reads(self) -> Floats:
        """The cost of what was read, in tokens at the base input price."""
        return np.multiply(self._price, self.read, dtype=np.float64)

    @cached_property
    def input(self) -> Floats:
        """The cost of each request and its pings, in tokens at the base input price."""
        return self.reads + self.write + self.uncached + self.ping
