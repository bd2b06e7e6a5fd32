"""What a finding took of a plan's windows, as a value."""

import msgspec

from anchorline.figures import share
from anchorline.limits.model import Estimate, title


class FindingShare(msgspec.Struct, frozen=True):
    """What the finding with the `code` took of each `window` of a provider's plan, in per cent, on average."""

    code: str
    provider: str
    window: str
    percent: Estimate

    def __str__(self) -> str:
        low, high = share(self.percent.low / 100), share(self.percent.high / 100)
        return f"about {share(self.percent.value / 100)} ({low} to {high}) of each {title(self.window)}"
