"""The KV caches of instructions, kept in memory and on disk, so that only the draft is prefilled.

The files lie in the model's own folder (0600) and go with it. They hold the instruction's keys and values only, never
anything of a prompt. A file is named by all that it depends on, so it is either right or not found.
"""

import copy
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlx_lm.models.cache import load_prompt_cache, save_prompt_cache

from anchorline import files

Cache = list[Any]
"""Keys and values of each layer (mlx_lm's)."""

FOLDER = ".prefixes"
IN_MEMORY = 4
ON_DISK = 16
log = logging.getLogger(__name__)


class Prefixes:
    """The kept prefixes of one model. `identity` names the model and whatever else its numbers depend on."""

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder / FOLDER
        self._identity = identity
        self._kept: OrderedDict[str, Cache] = OrderedDict()
        self._unwritten: set[str] = set()

    def find(self, tokens: Sequence[int]) -> Cache | None:
        """Returns a cache to go on from that holds `tokens`, from memory or disk; None where none is kept."""
        name = self._name(tokens)
        if name not in self._kept:
            read = self._read(name)
            if read is None:
                return None
            self._remember(name, read)
        self._kept.move_to_end(name)
        return copy.deepcopy(self._kept[name])

    def keep(self, tokens: Sequence[int], cache: Cache) -> None:
        """Keeps a cache that holds just `tokens`; `write` puts it on disk."""
        name = self._name(tokens)
        self._remember(name, copy.deepcopy(cache))
        self._unwritten.add(name)

    def write(self) -> None:
        """Writes what is new: for a moment when nobody waits. What can't be written stays in memory only."""
        for name in self._unwritten & self._kept.keys():
            try:
                self._write(name)
            except (OSError, RuntimeError, ValueError) as error:
                log.debug("a prefix is not written: %s", error)
        self._unwritten.clear()

    def _name(self, tokens: Sequence[int]) -> str:
        return hashlib.sha256(f"{self._identity} {list(tokens)}".encode()).hexdigest()[:32]

    def _remember(self, name: str, cache: Cache) -> None:
        self._kept[name] = cache
        while len(self._kept) > IN_MEMORY:
            self._kept.popitem(last=False)

    def _read(self, name: str) -> Cache | None:
        file = self._folder / f"{name}.safetensors"
        if not file.is_file():
            return None
        try:
            cache: Cache = load_prompt_cache(str(file))
            file.touch()
        except Exception as error:  # noqa: BLE001  (whatever a damaged file gives: it is made anew)
            log.debug("the prefix cache %s is not read: %s", file, error)
            return None
        return cache

    def _write(self, name: str) -> None:
        files.make_folder(self._folder)
        with files.replacing(self._folder / f"{name}.safetensors") as part:
            save_prompt_cache(str(part), self._kept[name])
        by_age = sorted(self._folder.glob("*.safetensors"), key=lambda file: file.stat().st_mtime)
        for old in by_age[:-ON_DISK]:
            old.unlink(missing_ok=True)
