"""Requests that were recorded twice: by the gateway or a reported outcome, and in a client's session file.

The ids that the provider gave the answer and the request say so. A relay may give all answers one id, and a client may
write none down: then the times say which answers are one, since a client writes an answer's first line while the answer
comes in. Of requests without an id the tokens must be the same as well. Each is taken once, so that equal requests stay
as many as they were.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import Generic, TypeVar

import msgspec

NEAR_S = 10.0
"""How much later than an answer's end its client may write it down, and how much clocks may differ."""
UNTIMED_S = 600.0
"""The same where it is not known how long the answer took."""

Bill = tuple[int, int, int]
"""Tokens of the prompt, those of them that were read, and of the answer."""


class SeenRequest(msgspec.Struct, gc=False):
    """A request that was sent at `at`, epoch seconds, and answered after `seconds`. `answer` and `request` name it."""

    at: float
    seconds: float | None
    answer: str | None
    request: str | None
    bill: Bill
    taken: bool = False

    def far(self, at: float) -> float:
        """Returns how many seconds a time lies outside of the answer; infinite where that is too many to be of it."""
        distance = max(self.at - at, at - self.at - (self.seconds or 0.0), 0.0)
        return distance if distance <= (UNTIMED_S if self.seconds is None else NEAR_S) else inf


Seen = TypeVar("Seen", bound=SeenRequest)


class SeenRequests(Generic[Seen]):
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

    def take(self, at: float, answer: str | None, request: str | None, bill: Bill) -> Seen | None:
        """Returns the one of these that a request of the other side is, and takes it; None where it is none.

        `at` is when its answer began.
        """
        if not self._billed:
            return None
        named = self._named.get(answer, ()) if answer is not None else ()
        match = self._by_name(named, at, answer, request, bill) if named else None
        if match is None:
            same = self._billed.get(bill, ())
            match = _nearest(
                (candidate for candidate in same if candidate.answer is None or answer is None), at
            )
        if match is not None:
            match.taken = True
        return match

    def left(self) -> Iterator[Seen]:
        """Yields those that were not taken."""
        for same in self._billed.values():
            yield from (seen for seen in same if not seen.taken)

    def _by_name(
        self, named: Sequence[Seen], at: float, answer: str | None, request: str | None, bill: Bill
    ) -> Seen | None:
        left = [
            candidate
            for candidate in named
            if not candidate.taken and (candidate.request is None or request in (None, candidate.request))
        ]
        exact = [candidate for candidate in left if request is not None and candidate.request == request]
        if len(exact) == 1 and (answer, request) not in self._repeated:
            return exact[0]
        match = _nearest(left, at)
        if match is None and len(left) == len(named) == 1 and answer not in self._shared:
            match = left[0] if left[0].bill[0] == bill[0] else None  # whose clock was another one
        return match


def _nearest(candidates: Iterable[Seen], at: float) -> Seen | None:
    best: Seen | None = None
    least = inf
    for candidate in candidates:
        if not candidate.taken and (distance := candidate.far(at)) < least:
            best, least = candidate, distance
    return best
