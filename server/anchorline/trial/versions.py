"""The versions of the network on disk, where each comes from, and which of them decides.

    router/standing.json          what is in force (`experiment.Standing`)
    router/VERSION/version.json   provenance, metrics, and a checksum of every file
    router/VERSION/…              the files of the network

A version appears whole or not at all (a folder is renamed into place), files are the owner's alone (0600), and what is
read is not trusted: a folder that is damaged or was changed is refused with the reason, and the heuristic decides.
"""

import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from anchorline import files
from anchorline.trial.experiment import HEURISTIC, Standing, VersionId, without

FOLDER = "router"
"""Below the data folder."""
PRIOR = "prior-"
"""Versions that ship begin so: they know nothing of this machine."""
STANDING = "standing.json"
ABOUT = "version.json"
LOCK = "lock"
PART = ".part-"
"""A version that is being written."""
LARGEST_JSON = 1 << 20
LARGEST_FILE = 256 << 20
"""Bytes. The network itself has some megabytes."""
MOST_FILES = 64

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


class DamagedVersionError(Exception):
    """A version or the standing can't be used. The message names the file and says why."""


class TrainingData(msgspec.Struct, frozen=True):
    """What a version was trained on: decisions and sessions of this machine from `since` to `until` (epoch seconds).

    All None or 0 for the prior, which knows nothing of this machine. `splits` names the splits that were trained on.
    """

    since: float | None = None
    until: float | None = None
    decisions: int = 0
    sessions: int = 0
    splits: tuple[str, ...] = ()


class StoredFile(msgspec.Struct, frozen=True):
    """A file of a version."""

    bytes: Annotated[int, Meta(ge=0, le=LARGEST_FILE)]
    blake2b: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Version(msgspec.Struct, frozen=True):
    """A trained network: `parent` is the version it was trained from, `metrics` are figures by head and name."""

    version: VersionId
    created_at: float
    data: TrainingData = TrainingData()
    parent: VersionId | None = None
    seed: int = 0
    metrics: dict[str, dict[str, float]] = {}
    files: Annotated[dict[str, StoredFile], Meta(max_length=MOST_FILES)] = {}


def new_id(now: float | None = None) -> str:
    """Returns an id for a version that is trained now."""
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    return f"r-{moment}-{secrets.token_hex(2)}"


class Registry:
    """The versions below `folder`, and those of `shipped`, which are only read."""

    def __init__(self, folder: Path, prior: Path | None = None) -> None:
        self.folder = folder
        self._shipped = prior if prior is not None else files.shipped() / FOLDER

    @property
    def standing_file(self) -> Path:
        """The file that says what is in force. It is replaced, never changed: a new one has another identity."""
        return self.folder / STANDING

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the registry: what is read of it stays so until it is written. Raises OSError."""
        self._make_folder()
        with files.lock(self.folder / LOCK):
            yield

    def standing(self) -> Standing:
        """Returns what is in force: the heuristic, where nothing else was said. Raises DamagedVersionError."""
        try:
            return msgspec.json.decode(_read(self.standing_file, LARGEST_JSON), type=Standing)
        except FileNotFoundError:
            return Standing()
        except (OSError, ValueError) as error:
            raise DamagedVersionError(f"{self.standing_file}: {_reason(error)}") from error

    def put_standing(self, standing: Standing) -> None:
        """Puts something in force, in one step. Raises OSError."""
        self._make_folder()
        files.write(self.standing_file, msgspec.json.format(msgspec.json.encode(standing), indent=1))

    def names(self) -> tuple[str, ...]:
        """Returns the ids of all versions, damaged ones as well, the newest last."""
        ids = {name for folder in (self._shipped, self.folder) for name in _folders(folder)}
        return tuple(sorted(ids, key=lambda name: (name.startswith("r-"), name)))

    def path(self, version: str) -> Path:
        """Returns the folder of a version. Raises DamagedVersionError where there is none."""
        if _ID.match(version):
            for folder in (self.folder, self._shipped):
                if (folder / version / ABOUT).is_file():
                    return folder / version
        if version == HEURISTIC:
            raise DamagedVersionError(
                f"{HEURISTIC} is no version of the network; `anchorline rollback --to {HEURISTIC}` has it decide"
            )
        versions = ", ".join((HEURISTIC, *self.names()))
        raise DamagedVersionError(f"there is no version {version!r} in {self.folder}; known: {versions}")

    def about(self, version: str) -> Version:
        """Returns what is known of a version. Raises DamagedVersionError."""
        file = self.path(version) / ABOUT
        try:
            record = msgspec.json.decode(_read(file, LARGEST_JSON), type=Version)
        except (OSError, ValueError) as error:
            raise DamagedVersionError(f"{file}: {_reason(error)}") from error
        if record.version != version:
            raise DamagedVersionError(f"{file}: it says that it is {record.version}")
        return record

    def verified(self, version: str) -> Path:
        """Returns the folder of a version whose files are as they were written. Raises DamagedVersionError."""
        about, folder = self.about(version), self.path(version)
        for name, stored in about.files.items():
            if not _FILE.match(name):
                raise DamagedVersionError(f"{folder / ABOUT}: a file has the name {name!r}")
            file = folder / name
            try:
                content = _read(file, stored.bytes)
            except (OSError, ValueError) as error:
                raise DamagedVersionError(f"{file}: {_reason(error)}") from error
            if len(content) != stored.bytes or blake2b(content, digest_size=32).hexdigest() != stored.blake2b:
                raise DamagedVersionError(f"{file}: its checksum is not the one in {ABOUT}")
        return folder

    def add(self, version: Version, write: Callable[[Path], None]) -> Version:
        """Stores a version: `write` gets an empty folder to put the network's files into.

        Nobody removes anything meanwhile. Returns it with its checksums. Raises OSError, ValueError where there is one
        with this id, and what `write` raises.
        """
        if not _ID.match(version.version) or version.version == HEURISTIC:
            raise ValueError(f"{version.version!r} can't be the id of a new version")
        with self.alone():
            return self._add(version, write)

    def _add(self, version: Version, write: Callable[[Path], None]) -> Version:
        target = self.folder / version.version
        if target.exists():
            raise ValueError(f"{version.version!r} can't be the id of a new version")
        part = Path(tempfile.mkdtemp(dir=self.folder, prefix=PART))
        try:
            write(part)
            stored = {}
            for file in sorted(part.iterdir()):
                file.chmod(0o600)
                content = _read(file, LARGEST_FILE)
                stored[file.name] = StoredFile(len(content), blake2b(content, digest_size=32).hexdigest())
            whole = msgspec.structs.replace(version, files=stored)
            files.write(part / ABOUT, msgspec.json.format(msgspec.json.encode(whole), indent=1))
            part.rename(target)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        return whole

    def trained_before(self, limit: float) -> tuple[str, ...]:
        """Returns the versions that know something recorded before an epoch second, by themselves or by an ancestor.

        A version of which nobody can say so any more, because it is damaged, is among them.
        """
        memo: dict[str, bool] = {}

        def knows(version: str) -> bool:
            if version.startswith(PRIOR):
                return False
            if version not in memo:
                memo[version] = True  # what descends from itself is damaged
                try:
                    about = self.about(version)
                except DamagedVersionError:
                    return True
                own = about.data.since is not None and about.data.since < limit
                memo[version] = own or (about.parent is not None and knows(about.parent))
            return memo[version]

        return tuple(name for name in _folders(self.folder) if knows(name))

    def purge(self, limit: float) -> tuple[str, ...]:
        """Removes what `trained_before` tells, and what was never finished; returns the versions that are gone.

        What they decide falls back to what was there before. Raises OSError.
        """
        if not self.folder.is_dir():
            return ()
        with self.alone():
            gone = self.trained_before(limit)
            if gone:
                try:
                    self.put_standing(without(self.standing(), frozenset(gone)))
                except DamagedVersionError:
                    self.put_standing(Standing())
            for folder in (*(self.folder / version for version in gone), *self.folder.glob(f"{PART}*")):
                shutil.rmtree(folder)
            return gone

    def _make_folder(self) -> None:
        files.make_folder(self.folder)


def _folders(folder: Path) -> list[str]:
    """Returns the names below `place` that may be versions."""
    if not folder.is_dir():
        return []
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if _ID.match(entry.name) and entry.is_dir() and not entry.is_symlink()
    )


def _read(file: Path, most: int) -> bytes:
    """Returns the content of a plain file of at most `most` bytes. Raises OSError and ValueError."""
    if not stat.S_ISREG(file.lstat().st_mode):  # before it is opened: opening a pipe would wait
        raise ValueError("it is not a plain file")
    with file.open("rb") as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most:,} bytes")
    return content


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
