"""From a draft to what its workspace has to add to it: one way for command line, hooks, agents and editors."""

import os
from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path

import msgspec

from anchorline.ground import reasons
from anchorline.ground.additions import additions
from anchorline.ground.retrieval import Recent
from anchorline.ground.retrieve import retrieve
from anchorline.ground.threshold import AdditionDecision, threshold
from anchorline.index import database
from anchorline.index.folder import FolderSnapshot, UnindexableError
from anchorline.index.workspace_index import WorkspaceIndex
from anchorline.plan import Addition
from anchorline.refine.context_lines import own_words

MOST_LIKELY = 10
"""Files above the threshold that are looked at: more than are shown, as a draft may name some of them."""
FEWEST_FILES = 10
"""Files of a workspace in which there is something to find; how likely a place is was measured on 11 files and more."""
DRAFTS = (".prompt.md", ".request.json", ".chat.json")
"""How the names of files end that are prompts themselves."""
FEWEST_CHARACTERS = 40
"""A shorter draft may stand in any file."""


def open_index(root: Path) -> WorkspaceIndex:
    """Opens the index of a folder; `refresh` brings it up to date.

    Raises UnindexableError for what is no folder, and for a home folder, a disk's root or a folder above the home:
    these hold everything.
    """
    try:
        folder = Path(os.path.realpath(root, strict=True))
        home = Path(os.path.realpath(Path.home()))
    except (OSError, RuntimeError) as error:
        raise UnindexableError(f"{root}: {getattr(error, 'strerror', None) or error}") from error
    if not folder.is_dir():
        raise UnindexableError(f"{root}: this is no folder")
    if folder == Path(folder.anchor) or home.is_relative_to(folder):
        raise UnindexableError(
            f"{folder} is not indexed: it holds everything of yours. Name a project's folder"
        )
    return WorkspaceIndex(FolderSnapshot(folder), database.locate(folder))


def propose(
    index: WorkspaceIndex,
    draft: str,
    recent: Recent,
    decisions: Iterable[AdditionDecision] = (),
    *,
    now: float,
    refined: str | None = None,
    without: Collection[str] = (),
) -> tuple[Addition, ...]:
    """Returns what the workspace has to add to a draft: nothing where nothing is likely enough.

    `recent` are the files that were worked on last, `decisions` what the developer made of earlier additions, `refined`
    is the refined draft, where there is one. The file that the draft stands in is nothing to add, nor are other prompts
    and those in `without`, nor one of which nothing can be said that a developer could check. Reads the index as it is;
    `now` is in epoch seconds. Raises OSError.
    """
    if len(index.paths) < FEWEST_FILES:
        return ()
    own = own_words(draft)
    retrieval = retrieve(index, own, recent)
    least = threshold(retrieval.threshold, decisions, now)
    likely = (file for file in retrieval.files if file.probability >= least and file.path not in without)
    files = tuple(
        file
        for file in islice(likely, MOST_LIKELY)
        if not file.path.endswith(DRAFTS)
        and reasons.are_there(file.evidence, now)
        and not _holds(index.read(file.path), own)
    )
    retrieval = msgspec.structs.replace(retrieval, files=files)
    return additions(draft, retrieval, index, now=now, threshold=least, refined=refined)


def _holds(raw: bytes | None, draft: str) -> bool:
    """Says whether a file holds the whole draft: it is the prompt itself, or a copy of it."""
    if raw is None or len(draft.strip()) < FEWEST_CHARACTERS:
        return False
    return " ".join(draft.split()) in " ".join(raw.decode("utf-8", "replace").split())
