"""What each collector has got: the keys of requests, in a file beside the database.

A date would not do: an import brings requests of weeks ago, and the gateway's requests again.
"""

import hashlib
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from anchorline import files
from anchorline.otel.usage import RequestKey
from anchorline.store import database
from anchorline.store.database import StoreError

FILE_NAME = "otel.db"
BUSY_S = 5.0
_TABLE = """
CREATE TABLE IF NOT EXISTS sent (collector BLOB NOT NULL, key BLOB NOT NULL, PRIMARY KEY (collector, key)) WITHOUT ROWID
"""


def locate(path: Path) -> Path:
    """Returns where it is noted what was sent of the database at `path`."""
    return path.parent / FILE_NAME


class SentKeys:
    """The keys that one collector has of one signal. Raises StoreError where the file can't be used."""

    def __init__(self, file: Path, collector: str) -> None:
        self.file = file
        self._collector = hashlib.blake2b(collector.encode(), digest_size=16).digest()
        with self._connected() as connection:
            rows = connection.execute("SELECT key FROM sent WHERE collector = ?", [self._collector])
            self._keys: set[RequestKey] = {key for (key,) in rows}

    def __contains__(self, key: RequestKey) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, keys: Iterable[RequestKey]) -> None:
        """Notes keys, on the disk before it returns."""
        new = [key for key in keys if key not in self._keys]
        if not new:
            return
        with self._connected() as connection, connection:
            connection.executemany(
                "INSERT OR IGNORE INTO sent VALUES (?, ?)", [(self._collector, key) for key in new]
            )
        self._keys.update(new)

    def _connected(self) -> "closing[sqlite3.Connection]":
        try:
            files.make_folder(self.file.parent)
            files.make_empty(self.file)
            connection = sqlite3.connect(self.file, timeout=BUSY_S)
            connection.execute(_TABLE)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(database.explain(self.file, error)) from error
        return closing(connection)
