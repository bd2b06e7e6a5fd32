"""The worth of a change: what a history would have cost less in USD, both sides simulated by the exact replay."""

from operator import is_not

import numpy as np

from anchorline.replay import policies, stretches
from anchorline.replay.arrays import Flags, Floats, Integers
from anchorline.replay.bootstrap import total
from anchorline.replay.changes import Change, Requests
from anchorline.replay.costs import PricedHistory, by_session
from anchorline.replay.history import History, answer_usd
from anchorline.replay.interval import Interval
from anchorline.route.pricing import Pricing
from anchorline.route.target import Targets


class WhatIf:
    """A history on which changes are tried. It is simulated once as it was, and for each change what that reaches."""

    def __init__(self, history: History, targets: Targets) -> None:
        self.history = history
        self._targets = targets
        self._rule = policies.named([policies.RECORDED])[policies.RECORDED]
        self._pricing = Pricing(targets)
        requests = history.requests
        numbers: dict[tuple[str, str], int] = {}
        self._chain: Integers = np.array(
            [numbers.setdefault((request.session, request.chain), len(numbers)) for request in requests],
            np.int64,
        )
        self._recorded: Floats | None = None

    def worth(self, change: Change) -> Interval:
        """Returns the USD that a change saves over the recorded requests, with its 95 % interval over sessions.

        Only requests to providers whose anchors a client sets, and with known prices, count (`History.left_out`).
        """
        was, changed = change.sides(self.history.requests, self._targets.rules)
        saved = self._reached(changed) if was is self.history.requests else self._added(was, changed)
        return total(list(saved.values()))

    def _reached(self, changed: Requests) -> dict[str, float]:
        """Returns what each session saves. A stretch in which nothing changes costs what it did."""
        requests = self.history.requests
        other = np.fromiter(map(is_not, requests, changed), bool, len(requests))
        # Where a chain was changed, what it goes on with stands on something else.
        first = np.full(len(requests), len(requests))
        np.minimum.at(first, self._chain[other], np.flatnonzero(other))
        reached = stretches.touched(self.history.stretch, np.arange(len(requests)) >= first[self._chain])
        if self._recorded is None:
            self._recorded = PricedHistory(requests, self._targets).charges(self._rule).usd
        saved = np.where(reached, self._recorded, 0.0) - self._charged(changed, reached)
        for number in np.flatnonzero(other).tolist():
            before, after = requests[number], changed[number]
            if before.model != after.model:
                saved[number] += answer_usd(before, self._pricing) - answer_usd(after, self._pricing)
        return by_session(requests, saved)

    def _charged(self, requests: Requests, only: Flags) -> Floats:
        """Returns what some of the requests cost."""
        charged = np.zeros(len(requests))
        numbers = np.flatnonzero(np.isin(self._chain, self._chain[only])).tolist()
        priced = PricedHistory([requests[number] for number in numbers], self._targets, only[numbers])
        charged[numbers] = priced.charges(self._rule).usd
        return charged

    def _added(self, was: Requests, changed: Requests) -> dict[str, float]:
        """Returns what each session saves where both sides have requests that were not recorded."""
        before, after = (
            by_session(requests, PricedHistory(requests, self._targets).charges(self._rule).usd)
            for requests in (was, changed)
        )
        return {session: usd - after[session] for session, usd in before.items()}
