"""Models that the user has: a file, a folder, or what LM Studio, Ollama, llama.cpp and the Hugging Face cache keep.

They are linked, not copied: what they say of themselves decides nothing but how they are shown.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from anchorline.engine import gguf_header
from anchorline.engine.errors import ConversionError, PullError

SUFFIX = ".gguf"
_SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
_PROJECTOR = re.compile(r"(^|[-_.])mmproj", re.IGNORECASE)
"""Files beside a model that turn pictures into tokens."""
_OLLAMA_WEIGHTS = "application/vnd.ollama.image.model"
_OLLAMA_REGISTRY = "registry.ollama.ai"
_OLLAMA_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
MOST_FILES = 2_000
"""Files of one program that are looked at."""


class _Layer(msgspec.Struct):
    digest: str
    mediaType: str = ""  # noqa: N815  (Ollama's name)


class _OllamaManifest(msgspec.Struct):
    layers: list[_Layer]


class ModelFile(msgspec.Struct, frozen=True):
    """A model of another program: `source` is what `anchorline model pull` takes; `size` is in bytes."""

    program: str
    source: str
    file: str
    size: int
    title: str = ""
    licence: str = ""
    architecture: str = ""
    quantisation: str = ""


# What the user names


def weights(source: Path) -> Path | None:
    """Returns the GGUF file that a path means; None for a folder that has none. Raises PullError.

    The path may be the file, its folder, a model in the Hugging Face cache, or a model's manifest of Ollama's.
    """
    if source.is_dir():
        return _in_folder(_snapshot(source))
    if not source.is_file():
        raise PullError(f"{source} is no file and no folder")
    if _SPLIT.search(source.name):
        raise PullError(f"{source.name} is a part of a model: join them with `llama-gguf-split --merge`")
    if gguf_header.is_gguf(source):
        return source
    if (blob := _ollama_blob(source)) is not None:
        return blob
    raise PullError(f"{source} is neither a GGUF file nor a folder with a model")


def _in_folder(folder: Path) -> Path | None:
    files = sorted(file for file in folder.glob("*") if file.suffix.lower() == SUFFIX and file.is_file())
    whole = [file for file in files if not _PROJECTOR.search(file.name)]
    if len(whole) > 1:
        names = ", ".join(file.name for file in whole)
        raise PullError(f"{folder} holds {len(whole)} GGUF files: name one of them ({names})")
    if whole and _SPLIT.search(whole[0].name):
        return weights(whole[0])  # says why not
    return whole[0] if whole else None


def _snapshot(folder: Path) -> Path:
    """Returns the folder itself, or of a model in the Hugging Face cache the files of its main commit."""
    with suppress(OSError, UnicodeDecodeError):
        commit = (folder / "refs" / "main").read_text("utf-8").strip()
        snapshot = folder / "snapshots" / commit
        if snapshot.parent == folder / "snapshots" and snapshot.is_dir():
            return snapshot
    return folder


def mlx_folder(source: Path) -> Path:
    """Returns the folder in which the files of an MLX model are."""
    return _snapshot(source)


def ollama(name: str) -> Path | None:
    """Returns Ollama's manifest of a model by its name there (`qwen2.5-coder:0.5b`); None where it has none."""
    path, _, tag = name.partition(":")
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in (*parts, tag or "latest")):
        return None
    if len(parts) == 1:
        parts = ["library", *parts]
    if len(parts) == 2:
        parts = [_OLLAMA_REGISTRY, *parts]
    for root in _ollama_roots():
        manifest = root.joinpath("manifests", *parts, tag or "latest")
        if manifest.is_file():
            return manifest
    return None


def _ollama_blob(manifest: Path) -> Path | None:
    """Returns the weights that a manifest of Ollama's names; None where it is no manifest, or they are gone."""
    try:
        if manifest.stat().st_size > gguf_header.LONGEST_VALUE:
            return None
        layers = msgspec.json.decode(manifest.read_bytes(), type=_OllamaManifest).layers
    except (OSError, msgspec.DecodeError):
        return None
    root = next((parent.parent for parent in manifest.parents if parent.name == "manifests"), None)
    for layer in layers:
        digest = _OLLAMA_DIGEST.fullmatch(layer.digest)
        if layer.mediaType == _OLLAMA_WEIGHTS and digest and root is not None:
            blob = root / "blobs" / f"sha256-{digest[1]}"
            return blob if gguf_header.is_gguf(blob) else None
    return None


# What other programs have


def models() -> list[ModelFile]:
    """Returns the models that other programs keep on this machine."""
    seen: set[Path] = set()
    models = []
    for program, source, file in _candidates():
        with suppress(OSError):
            target = file.resolve(strict=True)
            if target in seen or not gguf_header.is_gguf(target):
                continue
            seen.add(target)
            with suppress(ConversionError):
                header = gguf_header.read(target)
                models.append(
                    ModelFile(
                        program,
                        source,
                        str(file),
                        target.stat().st_size,
                        header.name,
                        header.licence,
                        header.architecture,
                        header.quantisation,
                    )
                )
    return models


def _candidates() -> Iterator[tuple[str, str, Path]]:
    """Yields program, source and file of what may be a model."""
    for root in _lm_studio_roots():
        yield from (("LM Studio", f"path:{file}", file) for file in _gguf_files(root))
    for root in _ollama_roots():
        manifests = root / "manifests"
        for manifest in _bounded(manifests):
            if (blob := _ollama_blob(manifest)) is not None:
                yield "Ollama", f"ollama:{ollama_name(manifest.relative_to(manifests))}", blob
    for root in _llama_cpp_roots():
        yield from (("llama.cpp", f"path:{file}", file) for file in _gguf_files(root))
    yield from (("Hugging Face", f"path:{file}", file) for file in _gguf_files(_hub_cache()))


def ollama_name(manifest: Path) -> str:
    """Returns Ollama's name of a model by its manifest's path in the folder of manifests."""
    *parts, tag = manifest.parts
    if parts[:1] == [_OLLAMA_REGISTRY]:
        parts = parts[1:]
    if parts[:1] == ["library"]:
        parts = parts[1:]
    return f"{'/'.join(parts)}:{tag}"


def _gguf_files(root: Path) -> Iterator[Path]:
    for file in _bounded(root):
        if (
            file.suffix.lower() == SUFFIX
            and not _PROJECTOR.search(file.name)
            and not _SPLIT.search(file.name)
        ):
            yield file


def _bounded(root: Path) -> Iterator[Path]:
    """Yields files below a folder, few enough of them; links to folders are not followed."""
    count = 0
    for parent, _, names in os.walk(root):
        for name in sorted(names):
            count += 1
            if count > MOST_FILES:
                return
            yield Path(parent, name)


def _lm_studio_roots() -> list[Path]:
    return [Path.home() / ".lmstudio" / "models", Path.home() / ".cache" / "lm-studio" / "models"]


def _ollama_roots() -> list[Path]:
    named = os.environ.get("OLLAMA_MODELS")
    own = Path(named) if named else Path.home() / ".ollama" / "models"
    return [own, Path("/usr/share/ollama/.ollama/models")] if sys.platform == "linux" else [own]


def _llama_cpp_roots() -> list[Path]:
    if named := os.environ.get("LLAMA_CACHE"):
        return [Path(named)]
    if sys.platform == "darwin":
        return [Path.home() / "Library" / "Caches" / "llama.cpp"]
    if sys.platform == "win32":
        return [Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "llama.cpp"]
    return [Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "llama.cpp"]


def _hub_cache() -> Path:
    """Returns the folder that huggingface_hub keeps models in, by its own variables."""
    if named := os.environ.get("HF_HUB_CACHE"):
        return Path(named).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("HF_HOME", cache / "huggingface")).expanduser() / "hub"
