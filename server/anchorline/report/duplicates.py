"""Which requests were seen twice: on their way through the gateway, or told of, and in a client's session file.

The ids that the provider gave the answer and the request say so. A relay may give all answers one id, and a client may
write none down: then the times say which answers are one, since a client writes an answer's first line while the answer
comes in. Of requests without an id the tokens must be the same as well. Each is taken once, so that equal requests stay
as many as they were.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import inf

import msgspec

NEAR_S = 10.0
"""How much later than an answer's end its client may write it down, and how much clocks may differ."""
UNTIMED_S = 600.0
"""The same where it is not known how long the answer took."""

Bill = tuple[int, int, int]
"""Tokens of the prompt, those of them that were read, and of the answer."""


class Seen(msgspec.Struct, gc=False):
    """A request that was sent at `at`, epoch seconds, and answered after `seconds`. `answer` and `request` name it."""

    at: float
    seconds: float | None
    answer: str | None
    request: str | None
    bill: Bill
    taken: bool = False

    def far(self, at: float) -> float:
        """Returns how many seconds a time lies outside of the answer; infinite where that is too many to be of it."""
        away = max(self.at - at, at - self.at - (self.seconds or 0.0), 0.0)
        return away if away <= (UNTIMED_S if self.seconds is None else NEAR_S) else inf


class Requests:
    """The requests that were seen by one side.

    `shared` are the ids of answers, each with that of the request, for answers that the other side has several times.
    """

    def __init__(self, shared: Iterable[tuple[str, str | None]] = ()) -> None:
        pairs = Counter(shared)
        self._shared = {answer for answer, _ in pairs}
        self._repeated = {pair for pair, count in pairs.items() if count > 1}
        self._named: defaultdict[str, list[Seen]] = defaultdict(list)
        self._billed: defaultdict[Bill, list[Seen]] = defaultdict(list)

    def note(self, seen: Seen) -> None:
        """Takes in a request."""
        if seen.answer is not None:
            self._named[seen.answer].append(seen)
        self._billed[seen.bill].append(seen)

    def take(self, at: float, answer: str | None, request: str | None, bill: Bill) -> bool:
        """Says whether a request of the other side is one of these, and count that as found.

        `at` is when its answer began.
        """
        if not self._billed:
            return False
        named = self._named.get(answer, ()) if answer is not None else ()
        found = self._by_name(named, at, answer, request, bill) if named else None
        if found is None:
            same = self._billed.get(bill, ())
            found = _nearest((one for one in same if one.answer is None or answer is None), at)
        if found is None:
            return False
        found.taken = True
        return True

    def _by_name(
        self, named: Sequence[Seen], at: float, answer: str | None, request: str | None, bill: Bill
    ) -> Seen | None:
        left = [
            one for one in named if not one.taken and (one.request is None or request in (None, one.request))
        ]
        exact = [one for one in left if request is not None and one.request == request]
        if len(exact) == 1 and (answer, request) not in self._repeated:
            return exact[0]
        found = _nearest(left, at)
        if found is None and len(left) == len(named) == 1 and answer not in self._shared:
            found = left[0] if left[0].bill[0] == bill[0] else None  # whose clock was another one
        return found


def _nearest(some: Iterable[Seen], at: float) -> Seen | None:
    best, least = None, inf
    for one in some:
        if not one.taken and (away := one.far(at)) < least:
            best, least = one, away
    return best
