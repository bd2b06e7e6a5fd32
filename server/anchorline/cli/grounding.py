"""Facts of a workspace for commands: brings its index up to date, with a progress bar, and asks it."""

import time
from collections.abc import Collection
from contextlib import ExitStack, closing
from pathlib import Path

import click

from anchorline.cli import reading
from anchorline.cli.progress import bar
from anchorline.config import Config, here
from anchorline.ground.propose import open_index, propose
from anchorline.ground.recent import recent, written
from anchorline.ground.threshold import KEPT_S, AdditionDecision
from anchorline.index.workspace_index import WorkspaceIndex
from anchorline.plan import Addition
from anchorline.prompt.model import PromptError
from anchorline.sessions.edited import edited
from anchorline.store.database import StoreError, locate
from anchorline.store.reader import Reader


def workspace(root: Path | None) -> Path:
    """Returns the folder that is meant: the one named, else the current one. Raises Unusable where that is gone."""
    folder = root or here()
    if folder is None:
        raise reading.Unusable("the current folder is gone; name one with --root")
    return folder.resolve()


def ground(
    draft: str,
    root: Path,
    config: Config,
    *,
    session: Path | None = None,
    without: Collection[Path] = (),
    refined: str | None = None,
    quiet: bool = False,
) -> tuple[Addition, ...]:
    """Returns what the workspace `root` has to add to a draft.

    `session` is a file of an agent's: what it has edited last counts. `without` are files that are not part of the
    workspace's work, such as the prompt itself. Raises UnindexableError and OSError.
    """
    now = time.time()
    with closing(open_index(root)) as index:
        _refresh(index, root, quiet=quiet)
        own = [path.resolve() for path in without]
        beside = {path.relative_to(root).as_posix() for path in own if path.is_relative_to(root)}
        edits = _edited(session, root)
        lately = () if edits else tuple(p for p in written(root, index.paths, now) if p not in beside)
        worked_on = recent(session=edits, lately=lately, history=index.history)
        decisions = _decisions(config, now)
        return propose(index, draft, worked_on, decisions, now=now, refined=refined, without=beside)


def _refresh(index: WorkspaceIndex, root: Path, *, quiet: bool) -> None:
    """Brings the index up to date; a bar is there from the first file that is read."""
    with ExitStack() as stack:
        advance = None

        def go_on() -> bool:
            nonlocal advance
            if advance is None:
                advance = stack.enter_context(bar(f"Indexing {root.name}", None, quiet=quiet))
            advance()
            return False

        index.refresh(go_on)


def _edited(session: Path | None, root: Path) -> tuple[str, ...]:
    try:
        return () if session is None else edited(session, root)
    except (OSError, PromptError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        click.echo(f"anchorline: {session} is left out: {reason or error}", err=True)
        return ()


def _decisions(config: Config, now: float) -> list[AdditionDecision]:
    try:
        return Reader(locate(config.store.path)).addition_decisions(now - KEPT_S)
    except StoreError as error:
        click.echo(f"anchorline: your earlier decisions are left out: {error}", err=True)
        return []
