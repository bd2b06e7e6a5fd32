"""What the network sees of a decision: numbers only, and cheap enough to be noted with every plan."""

import msgspec

from anchorline.cache.gaps import Moment
from anchorline.cache.hits import Return
from anchorline.learn import drafts, moments

VERSION = 1
"""Of the lists `DRAFT`, `MOMENT` and `RETURN` and of the hashing. Features of another version train nothing."""


class Features(msgspec.Struct, frozen=True, array_like=True):
    """A decision's numbers: buckets of the draft, and what `DRAFT`, `MOMENT` and `RETURN` name. None: not known."""

    grams: tuple[int, ...] = ()
    draft: tuple[float, ...] | None = None
    moment: tuple[float, ...] | None = None
    back: tuple[float, ...] | None = None


def of(draft: str | None = None, moment: Moment | None = None, back: Return | None = None) -> Features:
    """Return the features of what is known."""
    return Features(
        drafts.grams(draft) if draft else (),
        drafts.numbers(draft) if draft else None,
        moments.of_moment(moment) if moment is not None else None,
        moments.of_return(back) if back is not None else None,
    )
