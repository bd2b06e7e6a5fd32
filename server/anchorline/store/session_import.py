"""Imports session files: what is new in them is read, and written with what of it is still warm."""

import gc
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import msgspec

from anchorline.config import Config
from anchorline.instructions.in_sessions import files_of_session
from anchorline.prompt.model import PromptError
from anchorline.route.target import Targets
from anchorline.sessions import importing
from anchorline.sessions.importing import LineProblem
from anchorline.sessions.request import Newest, warm
from anchorline.store import imports
from anchorline.store.database import locate


class ImportSummary(msgspec.Struct):
    """What an import did. `requests` counts those that are new; sizes in bytes, time in seconds.

    `notice` tells what the developer should know about the opening of the database.
    """

    agent: str
    files: int = 0
    unchanged: int = 0
    bytes: int = 0
    requests: int = 0
    warm: int = 0
    seconds: float = 0.0
    problems: list[LineProblem] = []
    notice: str | None = None


def import_sessions(
    agent: str, files: Iterable[Path], settings: Config, targets: Targets, step: Callable[[], None]
) -> ImportSummary:
    """Imports session files of one agent; `step` is called after each. Raises StoreError.

    What can't be read is among the summary's problems, and the rest is imported.
    """
    started = time.perf_counter()
    collecting = gc.isenabled()
    gc.disable()  # hundreds of thousands of small objects, none in a cycle: looking for some takes long
    try:
        summary = _import(agent, files, settings, targets, step)
    finally:
        if collecting:
            gc.enable()
    summary.seconds = round(time.perf_counter() - started, 3)
    return summary


def _import(
    agent: str, files: Iterable[Path], settings: Config, targets: Targets, step: Callable[[], None]
) -> ImportSummary:
    summary = ImportSummary(agent, problems=[])
    with imports.opened(locate(settings.store.path)) as store:
        summary.notice = store.notice
        key = store.key
        waiting: list[imports.ImportedFile] = []
        for path in files:
            summary.files += 1
            now = time.time()
            try:
                piece = importing.read(
                    path,
                    agent,
                    store.position(path, agent),
                    now,
                    features=settings.store.features,
                    key=key,
                    names=settings.store.names,
                )
                if piece is None:
                    summary.unchanged += 1
                    continue
                newest = Newest()
                requests = newest.passing(piece.requests)
                last = list(islice(requests, imports.PART))
                added = None
                if len(last) == imports.PART:
                    summary.requests += store.put(waiting)  # before: whoever has a request first keeps it
                    waiting.clear()
                    last, added = store.put_parts(path, agent, last, requests, anew=piece.anew)
            except (OSError, PromptError) as error:
                summary.problems.append(
                    LineProblem(str(path), 0, getattr(error, "strerror", None) or str(error))
                )
                continue
            finally:
                step()
            held = warm(newest.requests(), targets, settings.cache.account, now)
            files_seen = files_of_session(path, agent, newest.requests(), held, key) if held else None
            waiting.append(imports.ImportedFile(path, agent, last, piece, held, files_seen, added))
            if sum(1 + len(file.requests) for file in waiting) >= imports.BATCH:
                summary.requests += store.put(waiting)
                waiting.clear()
            summary.bytes += piece.bytes
            summary.warm += len(held)
            summary.problems.extend(piece.problems)
        summary.requests += store.put(waiting)
    return summary
