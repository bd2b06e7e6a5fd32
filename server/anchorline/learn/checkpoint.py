"""The checkpoint of a training: after each epoch, all that is needed to go on from there."""

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from anchorline import files

FILE = "checkpoint.safetensors"


class TrainingState(msgspec.Struct, frozen=True):
    """Where a training stands after `epoch` epochs."""

    epoch: int
    best_epoch: int
    best_loss: float
    seconds: float
    arrays: dict[str, npt.NDArray[np.generic]]


def forget(folder: Path) -> None:
    """Removes the checkpoint in `folder`: what it led to is kept. Raises OSError."""
    (folder / FILE).unlink(missing_ok=True)


class Checkpoint:
    """A file in `folder` (None: nothing is kept). `name` is of this very training: another one's is not taken up."""

    def __init__(self, folder: Path | None, name: str) -> None:
        self._path = folder / FILE if folder is not None else None
        self._name = name

    def save(self, state: TrainingState) -> None:
        """Replaces what was kept. Raises OSError."""
        if self._path is None:
            return
        files.make_folder(self._path.parent)
        about = {
            "name": self._name,
            "epoch": str(state.epoch),
            "best_epoch": str(state.best_epoch),
            "best_loss": repr(state.best_loss),
            "seconds": repr(state.seconds),
        }
        files.write(self._path, save(state.arrays, metadata=about))

    def load(self) -> TrainingState | None:
        """Returns what was kept of this training; None where there is nothing, or nothing that can be read."""
        if self._path is None or not self._path.is_file():
            return None
        try:
            with safe_open(self._path, framework="numpy") as file:
                about = file.metadata() or {}
            if about.get("name") != self._name:
                return None
            return TrainingState(
                int(about["epoch"]),
                int(about["best_epoch"]),
                float(about["best_loss"]),
                float(about["seconds"]),
                load_file(self._path),
            )
        except (OSError, SafetensorError, KeyError, ValueError):
            return None
