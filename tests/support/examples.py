"""How many examples a property is tried on: all that it asks for, or 20 in the fast part of the tests."""

import os
from typing import Any

from hypothesis import settings

MOST = int(os.environ.get("ANCHORLINE_TEST_EXAMPLES", "1000000"))
"""`scripts/test --fast` sets it to 20."""


def examples(count: int = 100, **further: Any) -> settings:
    """Return the settings of a property that is worth so many examples. How long one takes is not what is tested."""
    return settings(max_examples=min(count, MOST), deadline=None, **further)
