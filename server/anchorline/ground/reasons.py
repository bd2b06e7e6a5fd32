"""Why a file or a symbol is offered, in words that a developer can check in a second."""

from collections.abc import Iterable, Iterator

from anchorline.ground.retrieval import Evidence, SymbolMatch

MOST = 3
"""Facts of one reason."""
MOST_WORDS = 3
LONGEST = 60
_DAY = 86_400
_LATELY = 14
"""Days for which a commit is worth a word."""


def of_file(evidence: Evidence, now: float) -> str:
    """Returns what speaks for a file, the strongest first. `now` is in epoch seconds."""
    return ", ".join([fact for fact, _ in zip(_facts(evidence, now), range(MOST), strict=False)]) or (
        "fits the draft best"
    )


def are_there(evidence: Evidence, now: float) -> bool:
    """Says whether there is a reason that can be checked."""
    return next(_facts(evidence, now), None) is not None


def of_symbol(symbol: SymbolMatch) -> str:
    """Returns what speaks for a definition: the draft holds its name."""
    return f"the draft names {_quoted((symbol.name,))}"


def _facts(evidence: Evidence, now: float) -> Iterator[str]:
    if evidence.trace_line is not None:
        yield f"in the stack trace, line {evidence.trace_line}"
    if evidence.literal:
        yield f"holds {_quoted((evidence.literal,))}"
    exact = [symbol.name for symbol in evidence.symbols if symbol.exact]
    if exact:
        yield f"defines {_quoted(exact)}"
    words = {word.lower(): word for word in (*evidence.words, *evidence.path_words)}
    if words:
        yield f"matches {_quoted(words.values())}"
    if evidence.recent is not None and evidence.recent_origin == "edits":
        yield "edited last" if evidence.recent == 0 else "edited lately"
    if evidence.tests is not None:
        yield f"tests `{_short(evidence.tests)}`"
    if evidence.changed_with is not None and evidence.changed_with.commits > 1:
        with_file = evidence.changed_with
        yield f"changed together with `{_short(with_file.path)}` in {with_file.commits} commits"
    if evidence.imported_by is not None:
        yield f"imported by `{_short(evidence.imported_by)}`"
    elif evidence.imports is not None:
        yield f"imports `{_short(evidence.imports)}`"
    if evidence.committed is not None and now - evidence.committed < _LATELY * _DAY:
        yield f"committed {_ago(now - evidence.committed)}"


def _ago(seconds: float) -> str:
    days = int(seconds // _DAY)
    return "today" if days <= 0 else "yesterday" if days == 1 else f"{days} days ago"


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"“{_short(word)}”" for word in list(words)[:MOST_WORDS])


def _short(text: str) -> str:
    line = "".join(letter if letter.isprintable() and letter != "`" else " " for letter in text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
