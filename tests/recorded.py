"""What the recorded requests of the development data hold."""

import gzip
import re
from functools import cache
from pathlib import Path


@cache
def models(data: Path) -> frozenset[str]:
    """Return the names of all models that occur in the recorded requests."""
    found: set[str] = set()
    for path in (data / "cache").glob("*.jsonl.gz"):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                found.update(re.findall(r'"model": ?"([^"]*)"', line))
    return frozenset(found)
