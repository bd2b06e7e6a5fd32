"""From ranked files to what a draft is offered: files, symbols and the command that runs their tests, with reasons.

At most three files, five symbols and one command, nothing below the threshold, nothing that the draft names already,
nothing that the guard refuses. Every fact comes from the workspace's index; a name that could be read otherwise than
as a name is not used.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

import msgspec

from anchorline.ground import reasons
from anchorline.ground.checks import check
from anchorline.ground.retrieval import MOST_SHOWN, RankedFile, Retrieval
from anchorline.plan import Addition
from anchorline.refine import guard
from anchorline.refine.context_lines import (
    CHECK,
    command_line,
    context_lines,
    file_line,
    own_words,
    symbol_line,
    with_additions,
)
from anchorline.refine.ground import usable
from anchorline.refine.language import english, language
from anchorline.refine.mask import CJK, Masked
from anchorline.refine.specification import unfinished

MOST_SYMBOLS = 5
SYMBOLS_OF_FILE = 3
P_SYMBOL = 0.3
"""That a definition which the draft names whole is edited, given that its file is.

Measured on fixes of public projects: 12 of 42. Of those that only share words with the draft 2 of 53 were edited, so
these are not offered.
"""
FEWEST_WORDS = 2
"""Words of a draft that are more than an answer, at least; with fewer it says nothing of where."""

HEAD = 2000
"""Characters of a draft that are looked at for such words."""

_WORD = re.compile(r"[^\W_]+")
_FILE = re.compile(r"[\w.@+/\\-]*\w\.\w{1,12}\b")
_SYMBOL = re.compile(r"[^\W\d][\w$]{2,79}")
REPLIES = """
    yes no yep yeah nope ok okay sure fine right correct exactly good great nice perfect cool thanks thank thx please
    continue go on ahead proceed do it that this these those them next again retry stop wait done ready now then and
    so well all both either first second third one two option the a an is are was be i you we me my your to of for
    with in at by as let lets s m re ve ll t d can could would should will want need keep going commit push merge
    ship yourself resume looks look lgtm try more same like just also too not don have has approve approved agreed
"""
_REPLIES = frozenset(REPLIES.split())
"""Words that answer or carry on, and say nothing of where."""


class Workspace(Protocol):
    """What is asked of the workspace's index."""

    @property
    def paths(self) -> Collection[str]:
        """The files that the index holds."""
        ...

    def read(self, path: str) -> bytes | None:
        """Returns the bytes of a file, None where it is gone."""
        ...

    def together(self, paths: Collection[str]) -> Mapping[str, float]:
        """Returns how often files were committed together with the given ones."""
        ...


def additions(
    draft: str,
    retrieval: Retrieval,
    workspace: Workspace,
    *,
    now: float,
    threshold: float | None = None,
    refined: str | None = None,
) -> tuple[Addition, ...]:
    """Returns what the draft is offered: files, then symbols, then a command, most probable first of each kind.

    `retrieval` is what was retrieved for the draft's `own_words`: so a draft that has some of these facts is offered
    the others, and nothing new. `threshold` stands in for the retrieval's own. What `refined`, the refined draft, names
    is not offered beside it. `now` is in epoch seconds.
    """
    own = own_words(draft)
    if says_nothing_of_where(own) or unfinished(own) is not None:
        return ()
    least = retrieval.threshold if threshold is None else threshold
    likely = [file for file in retrieval.files if file.probability >= least and usable(file.path)]
    named = _named(own, workspace.paths)
    shown = [file for file in likely if file.path not in named][:MOST_SHOWN]
    about = [file for file in likely if file.path in named][:MOST_SHOWN]
    worded = language(own) in (None, "en") and english(Masked(own).prose)
    candidates = [
        *_files(shown, now, worded=worded),
        *_symbols([*about, *shown], worded=worded),
        *_command([*about, *shown], workspace, worded=worded),
    ]
    fresh = [each for each in candidates if not _stands_in(each, own, context_lines(draft), refined or "")]
    kept: list[Addition] = []
    subject = Masked(draft)
    for each in fresh:
        if _passes(subject, [each]) and _passes(subject, [*kept, each]):
            kept.append(each)
    return tuple(msgspec.structs.replace(each, id=f"a{number}") for number, each in enumerate(kept, 1))


def says_nothing_of_where(draft: str) -> bool:
    """Says whether a draft only answers or carries on ("yes", "continue with the second one")."""
    words = {match[0].lower() for match in _WORD.finditer(draft[:HEAD])} - _REPLIES
    # Scripts without spaces write a sentence as one word.
    return sum(1 if word < CJK else len(word) // 2 for word in words if not word.isdecimal()) < FEWEST_WORDS


def _named(draft: str, paths: Collection[str]) -> frozenset[str]:
    """Returns the files that a draft names: by their path, or by an ending of it that no other file has."""
    tokens = {match[0].replace("\\", "/").removeprefix("./") for match in _FILE.finditer(draft)}
    by_name: dict[str, list[str]] = {}
    names = {token[token.rfind("/") + 1 :] for token in tokens}
    for path in paths if names else ():
        name = path[path.rfind("/") + 1 :]
        if name in names:
            by_name.setdefault(name, []).append(path)
    named = set()
    for token in tokens:
        same = by_name.get(token[token.rfind("/") + 1 :], [])
        ending = [path for path in same if f"/{path}".endswith(f"/{token}") or token.endswith(f"/{path}")]
        named.update(ending if len(ending) == 1 else [path for path in ending if path == token])
    return frozenset(named)


def _files(shown: list[RankedFile], now: float, *, worded: bool) -> Iterator[Addition]:
    for file in shown:
        yield Addition(
            "",
            "file",
            file_line(file.path, english=worded),
            reasons.of_file(file.evidence, now),
            file.probability,
            file.path,
        )


def _symbols(files: list[RankedFile], *, worded: bool) -> list[Addition]:
    matches = [
        (file, symbol)
        for file in sorted(files, key=lambda file: -file.probability)
        for symbol in [each for each in file.evidence.symbols if each.exact][:SYMBOLS_OF_FILE]
        if _SYMBOL.fullmatch(symbol.name) and usable(f"{file.path}:{symbol.line}")
    ]
    return [
        Addition(
            "",
            "symbol",
            symbol_line(symbol.name, file.path, symbol.line, english=worded),
            reasons.of_symbol(symbol),
            round(file.probability * P_SYMBOL, 4),
            file.path,
            symbol.line,
            symbol.name,
        )
        for file, symbol in matches
    ][:MOST_SYMBOLS]


def _command(files: list[RankedFile], workspace: Workspace, *, worded: bool) -> Iterator[Addition]:
    ranked = {file.path: file for file in sorted(files, key=lambda file: -file.probability)}
    tests = check(list(ranked), workspace.paths, workspace.read, workspace.together)
    if tests is not None and usable(tests.command):
        text = command_line(tests.command, english=worded)
        yield Addition(
            "", "command", text, f"runs the tests of `{tests.file}`", ranked[tests.file].probability
        )


def _stands_in(addition: Addition, own: str, lines: tuple[str, ...], refined: str) -> bool:
    """Says whether a fact stands in the draft already, wherever the symbol was then."""
    if addition.kind == "command":
        return any(line.startswith(CHECK) or line == addition.text for line in lines) or (
            addition.text.removeprefix(CHECK).strip("`") in own
        )
    if addition.kind == "file":
        return any(f"`{addition.path}`" in line or f"`{addition.path}:" in line for line in lines)
    place = re.compile(rf"`{re.escape(addition.symbol or '')}`.*`{re.escape(addition.path or '')}:\d+`")
    return any(map(place.search, lines)) or f"`{addition.path}:{addition.line}`" in refined


def _passes(draft: Masked, chosen: list[Addition]) -> bool:
    """Says whether the guard lets the draft pass with these facts: what their code spans hold may come in."""
    facts = [span for each in chosen for span in each.text.split("`")[1::2]]
    return guard.check(draft, with_additions(draft.text, chosen), allowed=facts).ok
