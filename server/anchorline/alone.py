"""One program at a time: a lock between the processes of this machine, which ends with its holder, however that ends.

It is SQLite's own lock, on an empty file: the same on every system, and waiting for it has an end.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

WAIT_S = 30.0


@contextmanager
def alone(file: Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold `file`, which is made where it is missing and stays empty; wait for who holds it for at most `wait_s`.

    Who holds it must not ask for it again. Raises TimeoutError, and OSError where the file can't be used.
    """
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    if not file.is_file():  # SQLite would wait for a pipe
        raise OSError(errno.EINVAL, "it is not a plain file", str(file))
    try:
        connection = sqlite3.connect(file, timeout=wait_s, isolation_level=None)
    except sqlite3.Error as error:
        raise _failed(error, file) from error
    with closing(connection):
        try:
            connection.execute("PRAGMA journal_mode = OFF")  # nothing is written, so no file is made for it
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            raise _failed(error, file) from error
        yield


def _failed(error: sqlite3.Error, file: Path) -> OSError:
    code = error.sqlite_errorcode & 0xFF
    if code == sqlite3.SQLITE_BUSY:
        return TimeoutError(errno.ETIMEDOUT, "another program keeps it locked", str(file))
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY):
        return PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
    return OSError(errno.EIO, str(error), str(file))
