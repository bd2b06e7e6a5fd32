"""Whether a plan's limits were told lately, without loading what reads them."""

from pathlib import Path

from anchorline.store import database


def limits_told(path: Path, since: float) -> bool:
    """Says whether they were from the epoch second `since` on. Raises StoreError where the database can't be read."""
    if not path.exists():
        return False
    with database.reading(path) as connection:
        if "limit_samples" not in database.tables(connection):
            return False
        told = connection.execute("SELECT 1 FROM limit_samples WHERE until >= ? LIMIT 1", [since])
        return told.fetchone() is not None
