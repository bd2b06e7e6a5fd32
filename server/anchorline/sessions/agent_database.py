"""Opens an agent's SQLite database for reading: beside the running agent, and without changing a byte of it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from anchorline import files
from anchorline.prompt.model import PromptError
from anchorline.prompt.source import MAX_LINE

BUSY_S = 2.0
MAX_BYTES = 64 * 1024 * 1024 * 1024
_WAL = 2
"""What bytes 18 and 19 of a database with a write-ahead log are (https://sqlite.org/fileformat2.html)."""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Opens a database in one read transaction, so that all that is read is of one moment.

    Raises OSError, and PromptError where SQLite can't read it. Rows of more than `MAX_LINE` bytes are refused.
    """
    files.check_plain(path)
    if path.stat().st_size > MAX_BYTES:
        raise PromptError(f"the database has more than {MAX_BYTES} bytes", offset=0)
    try:
        with closing(_connected(path)) as connection:
            connection.execute("BEGIN")
            yield connection
    except (
        sqlite3.Error,
        UnicodeDecodeError,
    ) as error:  # where the schema is damaged, its message is no text
        raise PromptError(f"SQLite can't read it ({error.__class__.__name__})", offset=0) from error


def _connected(path: Path) -> sqlite3.Connection:
    # Without a log nobody has a database of this kind open. Opened the ordinary way, SQLite would lay one beside it,
    # or fail where it may not; it reads a log that is there with the agent that writes it.
    alone = _has_log(path) and not path.with_name(f"{path.name}-wal").exists()
    uri = f"file:{quote(str(path.absolute()))}?mode=ro{'&immutable=1' if alone else ''}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_LINE)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _has_log(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(20)
    return len(header) == 20 and header[18] == _WAL


def has_tables(connection: sqlite3.Connection, columns: dict[str, tuple[str, ...]]) -> bool:
    """Says whether a database has these tables with these columns, as tables of its own and no views."""
    for table, names in columns.items():
        kind = connection.execute("SELECT type FROM sqlite_master WHERE name = ?", [table]).fetchone()
        if kind is None or kind[0] != "table":
            return False
        present = {name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")}
        if not present.issuperset(names):
            return False
    return True
