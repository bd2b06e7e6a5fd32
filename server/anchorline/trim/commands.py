"""The shell commands that draw on a terminal, and show nothing that a file holds.

Their output may be rendered (`anchorline.trim.terminal`), which can't be undone. So this is a list of what is known to
be safe, command by command: what it does not name, and every line that a shell would expand, is left alone. ``cat``,
``sed``, ``git show``, a test runner or a script of the project may print a file with escape codes of its own.
"""

import re
import shlex
from collections.abc import Iterator

_DRAWING: dict[str, frozenset[str]] = {
    "apk": frozenset({"add", "update", "upgrade"}),
    "apt": frozenset({"install", "update", "upgrade"}),
    "apt-get": frozenset({"install", "update", "upgrade"}),
    "brew": frozenset({"install", "update", "upgrade"}),
    "bun": frozenset({"add", "install"}),
    "bundle": frozenset({"install", "update"}),
    "cargo": frozenset({"build", "check", "fetch", "install", "update"}),
    "composer": frozenset({"install", "require", "update"}),
    "conda": frozenset({"create", "install", "update"}),
    "dnf": frozenset({"install", "update", "upgrade"}),
    "docker": frozenset({"pull", "push"}),
    "gem": frozenset({"install", "update"}),
    "git": frozenset({"clone", "fetch", "pull", "push"}),
    "npm": frozenset({"ci", "i", "install", "update"}),
    "pip": frozenset({"download", "install", "wheel"}),
    "pnpm": frozenset({"add", "i", "install", "update"}),
    "podman": frozenset({"pull", "push"}),
    "poetry": frozenset({"add", "install", "lock", "update"}),
    "rustup": frozenset({"install", "update"}),
    "uv": frozenset({"add", "lock", "sync"}),
    "yarn": frozenset({"add", "install"}),
}
"""Programs that show their progress, and the commands of theirs that show nothing else."""
_SILENT = frozenset({"cd", "export", "mkdir", "set", "true"})
_FILTERS = frozenset({"head", "tail"})
_EXPANDED = re.compile(r"[`$<>(){}\n\\*?]|\A\s*\Z")
_SEPARATORS = frozenset({";", "&&", "||", "|"})
_OPERATORS = ";&|"
_JOINED = re.compile(r"2>\s*&1|[12]?>>?\s*/dev/null")


def drawn(command: str) -> bool:
    """Says whether every program of a command line only draws its progress."""
    line = _JOINED.sub(" ", command)
    if _EXPANDED.search(line):
        return False
    try:
        programs = list(_programs(line))
    except ValueError:  # a quote that is not closed, a program in the background
        return False
    return any(_draws(words) for _, words in programs) and all(
        _draws(words) or (words[:1] and words[0] in _SILENT) or (piped and _filters(words))
        for piped, words in programs
    )


def _programs(line: str) -> Iterator[tuple[bool, list[str]]]:
    """Yields each simple command of a line, and whether it reads what the one before it writes."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace_split = True
    lexer.commenters = ""
    piped, words = False, list[str]()
    for word in lexer:
        if word in _SEPARATORS:
            yield piped, words
            piped, words = word == "|", []
        elif not word.strip(_OPERATORS):
            raise ValueError(word)
        else:
            words.append(word)
    if words or piped:
        yield piped, words


def _draws(words: list[str]) -> bool:
    if words[:1] == ["sudo"]:
        words = words[1:]
    if len(words) > 2 and words[0] in ("python", "python3") and words[1] == "-m":
        words = words[2:]
    if words[:2] == ["uv", "pip"]:
        words = words[1:]
    return len(words) > 1 and words[1] in _DRAWING.get(words[0].removesuffix("3"), ())


def _filters(words: list[str]) -> bool:
    return (
        words[:1] != []
        and words[0] in _FILTERS
        and all(word[0] == "-" or word.isdigit() for word in words[1:])
    )
