"""A time in the past as people write it: an age (``12h``, ``30d``, ``2w``) or a date (``2026-11-23``)."""

import re
from datetime import datetime

_AGE = re.compile(r"\s*(\d{1,5})\s*([hdw])(?:\s+ago)?\s*\Z")
_SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


def since(text: str, now: float) -> float:
    """Returns the epoch seconds that `text` names, an age counted back from `now`. Raises ValueError."""
    age = _AGE.match(text)
    if age:
        return max(now - int(age[1]) * _SECONDS[age[2]], 0.0)
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"{text!r} is neither an age (30d, 12h, 2w) nor a date (2026-11-23)") from error
