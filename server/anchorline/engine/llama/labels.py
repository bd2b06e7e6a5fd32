"""Packs labels into passes of the model in which tokens that several labels begin with are read once.

A label of several tokens needs the model's answer after each of them but the last. The tokens of the labels of one
pass form a tree: a node is read once, and belongs to the sequence of each label that runs through it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from anchorline.engine.llama.sequences import AT_ONCE, BRANCHES, Entry

LONGEST_LABEL = AT_ONCE
"""Tokens of a label that fit in one pass beside nothing else; a longer one is read by itself."""


class Pass(NamedTuple):
    """What is read at once: the tree's nodes, the branches in use, and of nodes by index the tokens to look up.

    Each of those is a label's index with the token that follows there.
    """

    entries: list[Entry]
    branches: list[int]
    wanted: dict[int, list[tuple[int, int]]]


def passes(labels: Sequence[Sequence[int]], position: int) -> Iterator[Pass]:
    """Yields the passes over labels of 2 to `LONGEST_LABEL` tokens, which begin at `position`."""
    fitting = [index for index, tokens in enumerate(labels) if 1 < len(tokens) <= LONGEST_LABEL]
    fitting.sort(key=lambda index: tuple(labels[index]))
    group: list[int] = []
    nodes: set[tuple[int, ...]] = set()
    for index in fitting:
        own = {tuple(labels[index][:end]) for end in range(1, len(labels[index]))}
        if group and (len(group) == BRANCHES or len(nodes | own) > AT_ONCE):
            yield _pass(labels, group, position)
            group, nodes = [], set()
        group.append(index)
        nodes |= own
    if group:
        yield _pass(labels, group, position)


def _pass(labels: Sequence[Sequence[int]], group: Sequence[int], position: int) -> Pass:
    members: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for branch, label in enumerate(group, 1):
        tokens = tuple(labels[label])
        for end in range(1, len(tokens)):
            members.setdefault(tokens[:end], []).append((branch, label))
    ordered = sorted(members, key=len)  # parents before children
    entries = [
        Entry(path[-1], position + len(path) - 1, tuple(branch for branch, _ in members[path]), True)
        for path in ordered
    ]
    wanted = {
        at: [(label, labels[label][len(path)]) for _, label in members[path]]
        for at, path in enumerate(ordered)
    }
    return Pass(entries, list(range(1, len(group) + 1)), wanted)
