"""A progress bar on standard error, for commands that take long."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress as rich
from rich.console import Console
from rich.progress import Progress

from anchorline.cli.terminal import steered, visible


@contextmanager
def bar(label: str, total: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """Show a bar of `total` steps on a terminal, elsewhere nothing; call what is yielded after each step."""
    if quiet or not sys.stderr.isatty():
        yield lambda: None
        return

    with Progress(console=Console(file=steered(sys.stderr)), transient=True) as progress:
        task = progress.add_task(visible(label), total=total)
        yield lambda: progress.advance(task)


@contextmanager
def share(label: str, *, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Show how much is done; call what is yielded with the share, 0 to 1."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done: None
        return

    with Progress(console=Console(file=steered(sys.stderr)), transient=True) as progress:
        task = progress.add_task(visible(label), total=1.0)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def download(label: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` bytes have come (0: nobody knows how many); call what is yielded with the number."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done: None
        return

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.DownloadColumn(),
        rich.TransferSpeedColumn(),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=Console(file=steered(sys.stderr)), transient=True) as shown:
        task = shown.add_task(visible(label), total=total or None)
        yield lambda done: shown.update(task, completed=min(done, total) if total else done)
