"""A progress bar on standard error, for commands that take long."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from anchorline.cli.terminal import steered, visible

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


@contextmanager
def bar(label: str, total: int | None, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """Shows a bar of `total` steps (None: not known) on a terminal, elsewhere nothing.

    Yields what is to be called after each step.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda: None
        return

    with _shown() as progress:
        task = progress.add_task(visible(label), total=total)
        yield lambda: progress.advance(task)


@contextmanager
def share(label: str, *, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Shows how much is done. Yields what is to be called with the share, 0 to 1."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done: None
        return

    with _shown() as progress:
        task = progress.add_task(visible(label), total=1.0)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def download(label: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Shows how many of `total` bytes have come (0: not known). Yields what is to be called with the number."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done: None
        return

    from rich import progress as rich  # noqa: PLC0415  (as below)

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.DownloadColumn(),
        rich.TransferSpeedColumn(),
        rich.TimeRemainingColumn(),
    )
    with _shown(*columns) as shown:
        task = shown.add_task(visible(label), total=total or None)
        yield lambda done: shown.update(task, completed=min(done, total) if total else done)


def _shown(*columns: "ProgressColumn") -> "Progress":
    from rich.console import Console  # noqa: PLC0415  (60 ms, which a command without a terminal does without)
    from rich.progress import Progress  # noqa: PLC0415

    return Progress(*columns, console=Console(file=steered(sys.stderr)), transient=True)
