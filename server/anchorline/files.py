"""Locates Anchorline's files and writes them: for their owner alone, whole, by one program at a time."""

import errno
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from platformdirs import PlatformDirs

WAIT_S = 30.0
"""How long a lock is waited for, seconds."""
REPLACE_S = 1.0
"""How long a file that is open elsewhere is waited for on Windows, seconds."""
_REFUSES_OPEN = sys.platform == "win32"
"""Whether no file takes the place of one that is open."""


def data_folder() -> Path:
    """Returns the folder of the database, models and token: ``ANCHORLINE_DATA_DIR``, else the platform's."""
    folder = os.environ.get("ANCHORLINE_DATA_DIR")
    return Path(folder) if folder else platform_data_folder()


def platform_data_folder() -> Path:
    """Returns the platform's folder for Anchorline's data, which nobody else has files in."""
    return _platform().user_data_path


def config_folder() -> Path:
    """Returns the platform's folder for the user's settings."""
    return _platform().user_config_path


def _platform() -> "PlatformDirs":
    from platformdirs import PlatformDirs  # noqa: PLC0415  (5 ms, where no variable names the folder)

    return PlatformDirs("anchorline", appauthor=False)


def shipped() -> Path:
    """Returns the folder of shipped models and tables: in the installed package, or `models/` of the checkout."""
    packaged = Path(__file__).parent / "models"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "models"


def with_tilde(path: Path) -> str:
    """Returns a path as people write it, the home folder as ``~``."""
    for home in (Path.home(), Path.home().resolve()):
        if path.is_relative_to(home):
            return f"~/{path.relative_to(home).as_posix()}"
    return str(path)


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it that are missing, each for its owner alone (0700), whatever the umask.

    An existing folder is left as it is. Raises OSError.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):  # `parents=True` would make all but the last as the umask says
        path.mkdir(mode=0o700, exist_ok=True)


def check_plain(file: Path) -> None:
    """Raises OSError where `file` is there and is no plain file: a pipe or a device would be waited for without end.

    It is looked at once: it may be removed at any moment by whoever else uses it.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(file.stat().st_mode):
            raise OSError(errno.EINVAL, "it is not a plain file", str(file))


def make_empty(file: Path) -> None:
    """Makes an empty file for its owner alone (0600) where there is none. Raises OSError, also for a pipe."""
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    check_plain(file)  # SQLite would wait for a pipe


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Yields an empty file beside `file`, for its owner alone (0600), that takes its place at the end.

    Readers see the old content or all of the new. A link in the place of `file` is replaced and not followed: it may
    lead to a file of the developer's. After an error `file` is as it was. Raises OSError.
    """
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=file.suffix)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())  # before the new name: a power cut leaves no empty file
        _take_place(part, file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _take_place(part: Path, file: Path) -> None:
    """Renames `part` to `file`. Windows refuses that while anyone reads the old file: then for `REPLACE_S` at most."""
    until = time.monotonic() + REPLACE_S
    while True:
        try:
            part.replace(file)
        except PermissionError:
            if not _REFUSES_OPEN or time.monotonic() > until:
                raise
            time.sleep(REPLACE_S / 100)
        else:
            return


def write(file: Path, content: str | bytes, *, mode: int = 0o600) -> None:
    """Writes a whole file in one step, as `replacing` does; a pipe or a device is written to.

    Text is written as UTF-8, its line ends as they are. Raises OSError.
    """
    raw = content.encode() if isinstance(content, str) else content
    if file.exists() and not file.is_file() and not file.is_dir():
        file.write_bytes(raw)
        return
    with replacing(file) as part:
        part.write_bytes(raw)
        if mode != 0o600:
            part.chmod(mode)


@contextmanager
def lock(file: Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """Holds `file`, which is made where it is missing and stays empty, against the other programs of this machine.

    The lock is SQLite's own, the same on every system: it ends with its holder, however that ends, and waiting for it
    has an end. Its holder must not take it again. (filelock does the same, but takes ten times as long to import and,
    on a file system without flock, leaves a lock that outlives its holder.) Raises TimeoutError after `wait_s`
    seconds, and OSError where the file can't be used.
    """
    make_empty(file)
    with closing(_lock_holder(file, wait_s)):
        yield


def _lock_holder(file: Path, wait_s: float) -> "sqlite3.Connection":
    import sqlite3  # noqa: PLC0415  (9 ms, which the language server's start does without)

    try:
        connection = sqlite3.connect(file, timeout=wait_s, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = OFF")  # nothing is written, so no file is made for it
            connection.execute("BEGIN EXCLUSIVE")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        code = error.sqlite_errorcode & 0xFF
        if code == sqlite3.SQLITE_BUSY:
            raise TimeoutError(errno.ETIMEDOUT, "another program keeps it locked", str(file)) from error
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file)) from error
        raise OSError(errno.EIO, str(error), str(file)) from error
    return connection
