"""What a finding took of a plan's windows, as a value, and those that were worked out last."""

from contextlib import suppress
from pathlib import Path

import msgspec

from anchorline import files
from anchorline.figures import share
from anchorline.limits.model import Estimate, title
from anchorline.store.database import worked_out_file


class FindingShare(msgspec.Struct, frozen=True):
    """What the finding with the `code` took of each `window` of a provider's plan, in per cent, on average."""

    code: str
    provider: str
    window: str
    percent: Estimate

    def __str__(self) -> str:
        low, high = share(self.percent.low / 100), share(self.percent.high / 100)
        return f"about {share(self.percent.value / 100)} ({low} to {high}) of each {title(self.window)}"


class _Kept(msgspec.Struct, frozen=True):
    """`basis` tells the state of the database and the prices that they were worked out of."""

    basis: str
    shares: tuple[FindingShare, ...]


def read(path: Path, basis: str) -> tuple[FindingShare, ...] | None:
    """Returns the shares that are kept for the database at `path` in this state; None where there are none."""
    try:
        kept = msgspec.msgpack.decode(worked_out_file(path, "shares").read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError):
        return None
    return kept.shares if kept.basis == basis else None


def write(path: Path, basis: str, shares: tuple[FindingShare, ...]) -> None:
    """Keeps shares, where that is possible: without them, they are worked out anew."""
    with suppress(OSError):
        files.write(worked_out_file(path, "shares"), msgspec.msgpack.encode(_Kept(basis, shares)))
