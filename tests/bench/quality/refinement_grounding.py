"""R5 with the repository at hand: how many real messages get a fact, how many of these hold, and what it does to R1 to R4.

A message of an agent's session is refined in the source tree of its moment, with the files that the session had edited
before. What is emitted is the draft with every addition, once as the developer wrote it and once as it is refined.
A fact is checked against the tree itself, not against the index: the file is there, the symbol on its line, the
files of a command. It holds if its file is among those that the agent then edited.
"""

import datetime
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from anchorline.ground.propose import propose
from anchorline.index.workspace_index import WorkspaceIndex
from anchorline.plan import Addition
from anchorline.refine.context_lines import with_additions, without_additions
from anchorline.refine.propose import propose as refine
from bench.data import localization
from bench.data.git_trees import GitTreeSnapshot
from bench.data.refinement_data import blocks, entities, obligations

Row = dict[str, str | float | int]
CODE = re.compile(r"`[^`\n]+`")


class Proposal(NamedTuple):
    """What one message got, and what became of it."""

    split: str
    kind: str
    named: bool
    draft: str
    refined: str
    additions: tuple[Addition, ...]
    gold: frozenset[str]
    untrue: int
    again: int


def proposals(folder: Path, repositories: Path, every: int) -> Iterator[Proposal]:
    """Yield what every so manieth message of the sessions gets, repository by repository."""
    rows = [row for row in localization.rows(folder, repositories) if row["source"] == "session"]
    for _, group in groupby(rows, key=lambda row: row["repo"]):
        for row, index in localization.indexed(list(group)[::every]):
            yield _proposal(row, index)


def _proposal(row: dict, index: WorkspaceIndex) -> Proposal:
    draft = row["prompt"]
    now = datetime.datetime.fromisoformat(row["at"]).timestamp()
    refined = refine(draft).text
    recent = localization.recent(row)
    given = propose(index, draft, recent, now=now, refined=refined)
    again = propose(index, with_additions(draft, given), recent, now=now, refined=refined)
    tree = GitTreeSnapshot(Path(row["git"]), row["commit"])
    untrue = sum(not _true(each, tree) for each in given)
    return Proposal(
        row["split"], row["kind"], row["named"], draft, refined or draft, given, frozenset(row["gold"]), untrue, len(again)
    )  # fmt: skip


def _true(addition: Addition, tree: GitTreeSnapshot) -> bool:
    """Tell whether the tree says so, too."""
    text = addition.text.split("`")[1::2]
    if addition.kind == "command":
        files = re.findall(r"(?<=\s)(?:\./)?[\w./+@-]+\.(?:py|[cm]?[jt]sx?)\b", text[0])
        folder = re.match(r"cd (\S+) && ", text[0])
        return all(f"{folder[1] + '/' if folder else ''}{file}" in tree.files() for file in files)
    raw = tree.read(addition.path or "")
    if addition.kind == "file" or raw is None:
        return raw is not None and text == [addition.path]
    lines = raw.decode("utf-8", "replace").splitlines()
    line = addition.line or 0
    return 0 < line <= len(lines) and (addition.symbol or "?") in " ".join(lines[line - 1 : line + 2])


def _kept(before: str, after: str, given: tuple[Addition, ...]) -> tuple[bool, int, bool]:
    """Return whether all entities stand, how many are new beside the facts, and whether obligations and blocks stand."""
    facts = entities("\n".join(each.text for each in given))
    was, now = entities(before), entities(after)
    spoken = [obligations(CODE.sub("", text)) for text in (before, after)]
    return (
        not was - now,
        sum((now - was - facts).values()),
        blocks(before) == blocks(after) and spoken[0] == spoken[1],
    )


def measure(
    folder: Path, repositories: Path, every: int, share: Callable[..., Row], count: Callable[..., Row],
    spoken: Callable[[str, str], bool],
) -> list[Row]:  # fmt: skip
    """Return R1 to R5 of what is emitted with additions, by split and kind of message."""
    made = list(proposals(folder, repositories, every))
    subsets: dict[str, list[Proposal]] = defaultdict(list)
    for each in made:
        kind = "named" if each.named else "unnamed"
        for subset in ("all", each.split, kind, f"{each.split}, {kind}", f"{kind}, {each.kind}"):
            subsets[subset].append(each)
    out: list[Row] = []
    for subset, own in subsets.items():
        given = [each for each in own if each.additions]
        files = [
            (each, addition) for each in given for addition in each.additions if addition.path is not None
        ]
        out += [
            share("grounded", subset, "R5", (bool(each.additions) for each in own)),
            share("grounded", subset, "R5_held", (_holds(each) for each in given)),
            *(
                share("grounded", subset, f"R5_{kind}", (_has(each, kind) for each in own))
                for kind in ("file", "symbol", "command")
            ),
            share("grounded", subset, "file_held", (
                addition.path in each.gold for each, addition in files if addition.kind == "file"
            )),
        ]  # fmt: skip
    emitted = [
        (before, with_additions(before, each.additions), each)
        for each in made
        if each.additions
        for before in dict.fromkeys((each.draft, each.refined))
    ]
    kept = [_kept(before, after, each.additions) for before, after, each in emitted]
    out += [
        share("grounded", "emitted", "R1", (entities_stand for entities_stand, _, _ in kept)),
        count("grounded", "emitted", "R2", [new for _, new, _ in kept]),
        count("grounded", "emitted", "untrue", [each.untrue for each in made]),
        share("grounded", "emitted", "R3", (stand for _, _, stand in kept)),
        share("grounded", "emitted", "R4", (spoken(CODE.sub("", before), CODE.sub("", after)) for before, after, _ in emitted)),
        share("grounded", "emitted", "undone", (
            without_additions(after, each.additions) == before for before, after, each in emitted
        )),
        count("grounded", "emitted", "again", [each.again for each in made]),
    ]  # fmt: skip
    return out


def _holds(proposal: Proposal) -> bool:
    return any(addition.path in proposal.gold for addition in proposal.additions)


def _has(proposal: Proposal, kind: str) -> bool:
    return any(addition.kind == kind for addition in proposal.additions)
