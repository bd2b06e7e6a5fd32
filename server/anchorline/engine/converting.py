"""Converts a GGUF file in a process of its own: what reads it trusts the file, and what it says of sizes.

A file of a stranger may end that process, or fill it up to its limits, and nothing else:
`python -m anchorline.engine.converting FILE FOLDER` converts; where it can't, it says why on standard error.
"""

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from anchorline import isolated
from anchorline.engine.errors import ConversionError

if sys.platform != "win32":
    import resource

MEMORY_BYTES = 4 << 30
"""Address space beside four times the file's size: MLX itself maps about 2 GiB, and fp16 weights become fp32."""
SECONDS = 600
REFUSED = 1
LAST_WORDS = 500


def convert(file: Path, folder: Path) -> None:
    """Writes the model in `file` into `folder` (which exists). Raises ConversionError."""
    command = isolated.python("anchorline.engine.converting", str(file), str(folder))
    try:
        done = subprocess.run(  # noqa: S603  (our own program)
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConversionError(f"{file.name} was not converted in {SECONDS} s") from None
    if done.returncode == 0:
        return
    last = (done.stderr.strip().splitlines() or [""])[-1][:LAST_WORDS]
    if done.returncode == REFUSED:
        raise ConversionError(last)
    name = f"code {done.returncode}"
    with suppress(ValueError):
        name = signal.Signals(-done.returncode).name
    raise ConversionError(f"{file.name} is damaged: reading it ended the converter ({name})")


def main() -> None:
    """Converts, within limits; exit with `REFUSED` and the reason where that is not possible."""
    file, folder = Path(sys.argv[1]), Path(sys.argv[2])
    _limit(file.stat().st_size)
    from anchorline.engine import gguf  # noqa: PLC0415  (imports MLX)

    try:
        gguf.convert(file, folder)
    except ImportError as error:
        reason = f"converting it needs MLX and the package gguf, which are not installed ({error})"
    except ConversionError as error:
        reason = str(error)
    except MemoryError:
        reason = f"{file.name} asks for more memory than a model of its size needs"
    except Exception as error:  # noqa: BLE001  (whatever a stranger's file leads to)
        reason = f"{file.name} is not a model that can be converted ({type(error).__name__})"
    else:
        return
    sys.stderr.write(" ".join(reason.split()) + "\n")
    sys.exit(REFUSED)


def _limit(size: int) -> None:
    if sys.platform != "win32":
        most = MEMORY_BYTES + 4 * size
        for which, limit in (
            (resource.RLIMIT_AS, most),
            (resource.RLIMIT_FSIZE, most),
            (resource.RLIMIT_CPU, SECONDS),
            (resource.RLIMIT_CORE, 0),
        ):
            with suppress(ValueError, OSError):  # a system may allow less already, or not know it
                resource.setrlimit(which, (limit, limit))


if __name__ == "__main__":
    main()
