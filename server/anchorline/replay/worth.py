"""The worth of a change: what a history would have cost less in USD, both sides simulated by the exact replay."""

from collections import defaultdict
from collections.abc import Iterable

from anchorline.replay import history, policies
from anchorline.replay.bootstrap import total
from anchorline.replay.changes import Change, Requests
from anchorline.replay.costs import PricedHistory
from anchorline.replay.interval import Interval
from anchorline.route.pricing import Pricing
from anchorline.route.target import Targets
from anchorline.sessions.request import RecordedRequest


class WhatIf:
    """A history on which changes are tried. It is simulated once as it was, and once for each change."""

    def __init__(self, requests: Iterable[RecordedRequest], targets: Targets) -> None:
        self._rules = targets.rules
        self._pricing = Pricing(targets)
        self.history = history.read(requests, targets, self._pricing)
        self._recorded: dict[str, float] | None = None

    def worth(self, change: Change) -> Interval:
        """Returns the USD that a change saves over the recorded requests, with its 95 % interval over sessions.

        Only requests to providers whose anchors a client sets, and with known prices, count (`history.left_out`).
        """
        requests = self.history.requests
        was, changed = change.sides(requests, self._rules)
        if was is requests:
            if self._recorded is None:
                self._recorded = self._cost(requests)
            before = self._recorded
        else:
            before = self._cost(was)
        after = self._cost(changed)
        return total([before[session] - after.get(session, 0.0) for session in before])

    def _cost(self, requests: Requests) -> dict[str, float]:
        """Returns what each session costs in USD, answers and all."""
        costs: dict[str, float] = defaultdict(float)
        for request in requests:
            costs[request.session] += history.answer_usd(request, self._pricing)
        priced = PricedHistory(requests, self._rules, self._pricing)
        for session, usd in priced.costs(
            policies.named([policies.RECORDED])[policies.RECORDED]
        ).sessions.items():
            costs[session] += usd
        return costs
