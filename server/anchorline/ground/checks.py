"""The command that runs the tests of some files, from what the workspace is set up for. Nothing is run to find out.

Tests are found by their names beside the source, else by what was committed together with it and names it. Where the
tests or the runner are in doubt there is no command.
"""

import json
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

Read = Callable[[str], bytes | None]
Together = Callable[[Collection[str]], Mapping[str, float]]
"""How often files were committed together with the given ones: `History.together`."""

MOST_TESTS = 3
MOST_READ = 4
"""Test files that are read for whether they name the source."""
TOGETHER = 0.8
"""Weight from which files were committed together more than once: about two commits of four files."""
_PLAIN = re.compile(r"(?!-)[\w./@+-]{1,160}")
"""A path that needs no quoting in any shell."""
_FILLER = frozenset({"", ".", "src", "lib", "test", "tests", "__tests__", "spec", "unit"})
"""Folders that say nothing about which part of the code a test is of."""
_DOCUMENTS = frozenset({".md", ".mdx", ".rst", ".txt", ".adoc"})
_PYTHON_TEST = re.compile(r"test_(?P<before>\w+)\.py|(?P<after>\w+)_test\.py")
_SCRIPT = re.compile(r"(?P<stem>[^/]+?)(?P<test>[.-](?:test|spec))?\.[cm]?[jt]sx?")
_SCRIPT_RUNNERS = ("vitest", "jest", "mocha")
_MAKE_TEST = re.compile(rb"^test[ \t]*:(?!=)", re.MULTILINE)


class Check(NamedTuple):
    """A command that runs tests, and the file of the given ones that it was found for."""

    command: str
    file: str


def check(files: Sequence[str], paths: Collection[str], read: Read, together: Together) -> Check | None:
    """Returns the command that runs the tests of `files`, the most important first, or None.

    `paths` are the workspace's files. Where the files are of several languages it is that of the first with tests.
    """
    usable = [path for path in files if _PLAIN.fullmatch(path)]
    for path in usable:
        kind = next((kind for ends, kind in _KINDS.items() if path.endswith(ends)), None)
        command = kind(path, usable, _Workspace(paths, read, together)) if kind is not None else None
        if command is not None:
            return Check(command, path)
    code = [path for path in usable if PurePosixPath(path).suffix not in _DOCUMENTS]
    if code and "Makefile" in paths and _MAKE_TEST.search(read("Makefile") or b""):
        return Check("make test", code[0])
    return None


class _Workspace:
    """The files of a workspace, as far as a command needs them."""

    def __init__(self, paths: Collection[str], read: Read, together: Together) -> None:
        self.paths = paths if isinstance(paths, set | frozenset | dict) else frozenset(paths)
        self.together = together
        self._read = read

    def text(self, path: str) -> str:
        """Returns a file's text, empty where the workspace does not have it."""
        return (self._read(path) or b"").decode("utf-8", "replace") if path in self.paths else ""

    def tests(self, path: str, subject: Callable[[str], str | None]) -> list[str]:
        """Returns the test files of a file; `subject` names what a test file tests, None for any other file."""
        if subject(path) is not None:
            return [path]
        stem = _stem(path)
        suffix = PurePosixPath(path).suffix[:3]
        named = [
            other
            for other in self.paths
            if stem in other
            and subject(other) == stem
            and PurePosixPath(other).suffix[:3] == suffix
            and _PLAIN.fullmatch(other)
        ]
        if named:
            nearness = {other: _shared(path, other) for other in named}
            best = max(nearness.values())
            nearest = [other for other in named if nearness[other] == best]
            return nearest if len(nearest) == 1 else []
        changed = self.together((path,))
        often = sorted(
            (-weight, other)
            for other, weight in changed.items()
            if weight >= TOGETHER
            and other in self.paths
            and subject(other) is not None
            and _PLAIN.fullmatch(other)
        )
        mention = re.compile(rf"\b{re.escape(stem)}\b")
        return [other for _, other in often[:MOST_READ] if mention.search(self.text(other))][:1]


def _stem(path: str) -> str:
    """Returns what a file is about: its name, or its folder's where the name is that of any folder's main file."""
    pure = PurePosixPath(path)
    stem = pure.name.partition(".")[0]
    return (pure.parent.name if stem in ("__init__", "index", "mod", "main") else stem).strip("_")


def _shared(path: str, other: str) -> int:
    """Counts the folders that two paths share, which tests mirror; the same folder counts most."""
    mine, others = PurePosixPath(path).parent, PurePosixPath(other).parent
    if mine == others:
        return 100
    return len(set(mine.parts) & set(others.parts) - _FILLER)


def _folder(path: str) -> str:
    """Returns the folder of a file as a prefix of paths: empty for the root's."""
    return path[: path.rfind("/") + 1]


def _folders(path: str) -> Iterator[str]:
    """Yields the folders that a file is in, the nearest first, each as a prefix of paths; the last is the root's."""
    while path:
        path = _folder(path.rstrip("/"))
        yield path


def _in(folder: str, command: str) -> str | None:
    """Returns a command as it is run in the workspace's root, or None where the folder can't be named."""
    if not folder:
        return command
    return f"cd {folder.rstrip('/')} && {command}" if _PLAIN.fullmatch(folder) else None


def _python_subject(path: str) -> str | None:
    match = _PYTHON_TEST.fullmatch(PurePosixPath(path).name)
    return (match["before"] or match["after"]) if match is not None else None


def _python(path: str, files: Sequence[str], workspace: _Workspace) -> str | None:
    tests = workspace.tests(path, _python_subject)
    if not tests or not _uses_pytest(tests[0], workspace):
        return None
    for other in files:
        if other != path and other.endswith(".py"):
            tests += workspace.tests(other, _python_subject)
    return "pytest " + " ".join(list(dict.fromkeys(tests))[:MOST_TESTS])


def _uses_pytest(test: str, workspace: _Workspace) -> bool:
    for folder in _folders(test):
        if f"{folder}conftest.py" in workspace.paths or f"{folder}pytest.ini" in workspace.paths:
            return True
        if any(
            "pytest" in workspace.text(folder + name) for name in ("pyproject.toml", "tox.ini", "setup.cfg")
        ):
            return True
    return "import pytest" in workspace.text(test)


def _go(path: str, files: Sequence[str], workspace: _Workspace) -> str | None:
    module = next((folder for folder in _folders(path) if f"{folder}go.mod" in workspace.paths), None)
    if module is None:
        return None
    tested = {_folder(each) for each in workspace.paths if each.endswith("_test.go")}
    sources = [other for other in (path, *files) if other.endswith(".go") and other.startswith(module)]
    packages = dict.fromkeys(package for package in map(_folder, sources) if package in tested)
    if _folder(path) not in packages:
        return None
    patterns = ["." if package == module else f"./{package[len(module) :]}..." for package in packages]
    return _in(module, "go test " + " ".join(patterns))


def _rust(path: str, files: Sequence[str], workspace: _Workspace) -> str | None:
    folder = next(
        (folder for folder in _folders(path) if "[package]" in workspace.text(f"{folder}Cargo.toml")), None
    )
    if folder is None:
        return None
    try:
        name = tomllib.loads(workspace.text(f"{folder}Cargo.toml"))["package"]["name"]
    except (tomllib.TOMLDecodeError, KeyError, TypeError):
        return None
    if not isinstance(name, str) or not _PLAIN.fullmatch(name):
        return None
    command = f"cargo test -p {name}" if folder else "cargo test"
    inside = PurePosixPath(path[len(folder) :])
    if inside.parts[0] == "tests":
        return f"{command} --test {inside.stem}" if len(inside.parts) == 2 else None
    if inside.parts[0] != "src" or "#[cfg(test)]" not in workspace.text(path):
        return None
    several = sum(other.endswith(".rs") for other in files) > 1
    parts = [*inside.parts[1:-1], *(() if inside.stem in ("mod", "lib", "main") else (inside.stem,))]
    return command if several or not parts else f"{command} {'::'.join(parts)}::"


def _script_subject(path: str) -> str | None:
    match = _SCRIPT.fullmatch(PurePosixPath(path).name)
    if match is None or not (match["test"] or "__tests__/" in path):
        return None
    return match["stem"].partition(".")[0]


def _script(path: str, files: Sequence[str], workspace: _Workspace) -> str | None:
    tests = workspace.tests(path, _script_subject)
    runner = _script_runner(tests[0], workspace) if tests else None
    if runner is None:
        return None
    folder, command = runner
    for other in files:
        if other != path and _SCRIPT.fullmatch(PurePosixPath(other).name):
            tests += workspace.tests(other, _script_subject)
    inside = [test[len(folder) :] for test in dict.fromkeys(tests) if test.startswith(folder)]
    return _in(folder, f"{command} {' '.join(inside[:MOST_TESTS])}")


def _script_runner(test: str, workspace: _Workspace) -> tuple[str, str] | None:
    """Returns the folder whose package.json names a runner of tests, and the command that runs it there."""
    manifests = [(folder, _manifest(workspace.text(f"{folder}package.json"))) for folder in _folders(test)]
    managers = [str(manifest.get("packageManager", "")).partition("@")[0] for _, manifest in manifests]
    manager = next(filter(None, managers), "")
    execute = {"pnpm": "pnpm exec", "yarn": "yarn", "bun": "bunx"}.get(manager, "npx")
    for folder, manifest in manifests:
        script = str(_table(manifest, "scripts").get("test", ""))
        if "bun test" in script:
            return folder, "bun test"
        if "node --test" in script:
            return folder, "node --test"
        packages = {**_table(manifest, "dependencies"), **_table(manifest, "devDependencies")}
        runners = [name for name in _SCRIPT_RUNNERS if re.search(rf"\b{name}\b", script)]
        runners = runners or [name for name in _SCRIPT_RUNNERS if name in packages]
        if len(runners) == 1:
            return folder, f"{execute} {runners[0]}{' run' if runners[0] == 'vitest' else ''}"
        if runners:
            return None
    return None


def _manifest(text: str) -> dict[str, object]:
    try:
        manifest = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _table(manifest: dict[str, object], key: str) -> dict[str, object]:
    table = manifest.get(key)
    return table if isinstance(table, dict) else {}


_KINDS: dict[tuple[str, ...], Callable[[str, Sequence[str], _Workspace], str | None]] = {
    (".py",): _python,
    (".go",): _go,
    (".rs",): _rust,
    (".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".mts", ".cts"): _script,
}
