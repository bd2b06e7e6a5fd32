"""Installed models: each is a folder that mlx_lm loads, or that holds a GGUF file, with a receipt of its files.

A file of the user's own may be linked instead of copied: the receipt says where it is and when it was last changed.

A model is put together in a staging folder and renamed into place, so what has a receipt is whole.
"""

import hashlib
import os
import shutil
from pathlib import Path

import msgspec

from anchorline import files
from anchorline.engine.errors import DamagedModelError
from anchorline.engine.manifest import LocalModel
from anchorline.engine.requirements import Format

RECEIPT = "installed.json"
GGUF = "model.gguf"
"""The only file of a model that stays as it is: for llama.cpp."""
STAGING = ".staging-"
_CHUNK = 1 << 20


class InstalledFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file of a model. Of a linked one also where it is, and when it was last changed as its hash was taken."""

    size: int
    sha256: str
    link: str = ""
    mtime_ns: int = 0


class Receipt(msgspec.Struct, frozen=True):
    """What was installed, its files by name, and where it came from if not from the model's own source."""

    model: LocalModel
    files: dict[str, InstalledFile]
    mirror: str = ""

    @property
    def format(self) -> Format:
        """What its engine must load: a GGUF file (`GGUF` in its folder), or a folder of mlx_lm."""
        return "gguf" if GGUF in self.files else "mlx"

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.size for file in self.files.values())

    @property
    def stamp(self) -> str:
        """A hash of the contents: what was computed with one installation holds for the same stamp only."""
        named = "\n".join(f"{name} {file.sha256}" for name, file in sorted(self.files.items()))
        return hashlib.sha256(named.encode()).hexdigest()[:32]


def root() -> Path:
    """Returns the folder of models: `ANCHORLINE_MODELS_DIR`, else `models` in the data folder."""
    folder = os.environ.get("ANCHORLINE_MODELS_DIR")
    return Path(folder) if folder else files.data_folder() / "models"


def folder(name: str) -> Path:
    """Returns where the model with this id is, or would be."""
    return root() / name


def staging(name: str) -> Path:
    """Returns the folder in which a model is put together; an interrupted pull goes on from it."""
    return root() / f"{STAGING}{name}"


def receipt(path: Path) -> Receipt | None:
    """Returns the receipt of the model in `path`; None where none is installed."""
    try:
        return msgspec.json.decode((path / RECEIPT).read_bytes(), type=Receipt)
    except (OSError, msgspec.DecodeError):
        return None


def receipts() -> dict[str, Receipt]:
    """Returns what is installed, by id."""
    try:
        paths = sorted(path for path in root().iterdir() if not path.name.startswith("."))
    except OSError:
        return {}
    return {path.name: record for path in paths if (record := receipt(path)) is not None}


def sha256(file: Path) -> str:
    """Returns the hash of a file."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def verify(path: Path) -> Receipt:
    """Returns the receipt of the model in `path` after hashing each file. Raises DamagedModelError.

    A linked file may be large, and was hashed when it was linked: it is hashed again once it was written to.
    """
    record = receipt(path)
    if record is None:
        raise DamagedModelError(f"{path} holds no installed model: run `anchorline model pull {path.name}`")
    for name, expected in record.files.items():
        file = Path(expected.link) if expected.link else path / name
        again = f"run `anchorline model pull {path.name}` again"
        try:
            status = (path / name).stat()
            if status.st_size != expected.size:
                raise DamagedModelError(
                    f"{file} has {status.st_size} bytes instead of {expected.size}: {again}"
                )
            if expected.link and status.st_mtime_ns == expected.mtime_ns:
                continue
            if sha256(path / name) != expected.sha256:
                raise DamagedModelError(f"{file} has changed since it was installed (wrong SHA-256): {again}")
        except OSError as error:
            raise DamagedModelError(f"{file} can't be read ({error.strerror or error}): {again}") from error
    return record


def install(model: LocalModel, staged: Path, mirror: str = "") -> Receipt:
    """Writes the receipt of the files in `staged` and renames it into place, over an older installation."""
    contents = {
        file.relative_to(staged).as_posix(): _described(file)
        for file in sorted(staged.rglob("*"))
        if file.is_file() and not file.relative_to(staged).parts[0].startswith(".")
    }
    for kept in staged.glob(".*"):
        shutil.rmtree(kept)  # parts that an interrupted pull would have gone on from
    record = Receipt(model, contents, mirror)
    (staged / RECEIPT).write_bytes(msgspec.json.format(msgspec.json.encode(record)))
    path = folder(model.id)
    old = root() / f".old-{model.id}"
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    staged.rename(path)
    shutil.rmtree(old, ignore_errors=True)
    return record


def _described(file: Path) -> InstalledFile:
    status = file.stat()
    if not file.is_symlink():
        return InstalledFile(status.st_size, sha256(file))
    return InstalledFile(status.st_size, sha256(file), str(file.readlink()), status.st_mtime_ns)


def remove(name: str) -> bool:
    """Removes a model and what an interrupted pull of it left. Returns whether there was anything."""
    removed = False
    for path in (folder(name), staging(name)):
        if path.is_dir():
            removed = True
            shutil.rmtree(path)
    return removed
