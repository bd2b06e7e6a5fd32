"""The development data: real sessions and requests, which are not part of the repository."""

import gzip
import os
import re
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def data_folder() -> Path | None:
    """Where the data lies: `ANCHORLINE_TEST_DATA`, or `shared/data` beside the checkout."""
    named = os.environ.get("ANCHORLINE_TEST_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@cache
def models(data: Path) -> frozenset[str]:
    """Return the names of all models that occur in the recorded requests."""
    found: set[str] = set()
    for path in (data / "cache").glob("*.jsonl.gz"):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                found.update(re.findall(r'"model": ?"([^"]*)"', line))
    return frozenset(found)
