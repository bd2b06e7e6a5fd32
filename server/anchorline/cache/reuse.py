"""How soon a prefix is asked for again, if at all.

`GapModel` is the interface that every later model serves as well. The first one is the plain share of requests that
were followed by another one in time, by what triggered them.
"""

from math import log
from typing import Literal, Protocol

Trigger = Literal["user", "tool", "compact"]


class GapModel(Protocol):
    """The distribution of the time from the start of a request to the start of the next one on its prefix."""

    def within(self, trigger: Trigger, seconds: float) -> float:
        """Return the probability that the next request starts within `seconds`."""
        ...


class EmpiricalGaps:
    """Shares observed in 36 834 requests of Claude Code and Codex, train split.

    ``python tests/bench/gaps.py --requests requests.jsonl.gz requests_more.jsonl.gz`` reproduces them. A session that
    ends counts as never. Between the times it interpolates on the logarithm of time.
    """

    TIMES = (1.0, 300.0, 1800.0, 3600.0)
    SHARES: dict[Trigger, tuple[float, float, float, float]] = {  # noqa: RUF012  (a constant table)
        "user": (0.0, 0.931, 0.981, 0.986),
        "tool": (0.0, 0.956, 0.979, 0.983),
        "compact": (0.0, 0.967, 0.975, 0.983),
    }

    def within(self, trigger: Trigger, seconds: float) -> float:
        """Return the share of requests after which the next one started within `seconds`."""
        shares = self.SHARES[trigger]
        if seconds <= self.TIMES[0]:
            return 0.0
        for index in range(1, len(self.TIMES)):
            if seconds <= self.TIMES[index]:
                low, high = self.TIMES[index - 1], self.TIMES[index]
                part = log(seconds / low) / log(high / low)
                return shares[index - 1] + part * (shares[index] - shares[index - 1])
        return shares[-1]
