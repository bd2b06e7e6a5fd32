"""Which files exist: real folders, links out of them, and folders with too much in them."""

import difflib
import os
from pathlib import Path

import pytest

from anchorline.workspace import files
from anchorline.workspace.files import WorkspaceFiles


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name in ("src/config.py", "pkg/deep/parse.ts", "README.md", "node_modules/left/index.js"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x", "utf-8")
    return root


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("src/config.py", "exists"),
        ("config.py", "exists"),
        ("deep/parse.ts", "exists"),
        ("node_modules/left/index.js", "exists"),
        ("node_modules/right/index.js", "unknown"),
        ("src/confg.py", "absent"),
        ("eep/parse.ts", "absent"),
        ("../outside.py", "unknown"),
        ("src/../../outside.py", "unknown"),
        ("/etc/passwd.txt", "unknown"),
        ("a\x00.py", "unknown"),
    ],
)
def test_a_file_exists_is_absent_or_can_not_be_told(root: Path, name: str, found: str) -> None:
    assert WorkspaceFiles((root,)).find(name) == found


def test_all_folders_of_the_workspace_count(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "main.go").write_text("package main", "utf-8")
    assert WorkspaceFiles((root, other)).find("main.go") == "exists"
    assert WorkspaceFiles((root,)).find("main.go") == "absent"
    assert WorkspaceFiles(()).find("main.go") == "unknown"


def test_links_are_not_followed_out_of_the_folders(root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.py").write_text("KEY = 1", "utf-8")
    (root / "linked").symlink_to(secret)
    (root / "key.py").symlink_to(secret / "key.py")
    (root / "loop").symlink_to(root)
    found = WorkspaceFiles((root,))
    assert found.find("linked/key.py") == "unknown"
    assert found.find("key.py") == "unknown"
    assert found.find("loop/src/config.py") == "exists", "a link within the folder is part of it"
    assert found.read("linked/key.py") is None
    assert found.read("key.py") is None
    assert found.read("src/config.py") == b"x"
    assert not [path for paths in found.listing().by_name.values() for path in paths if "key" in path]


def test_what_is_no_small_regular_file_is_not_read(root: Path) -> None:
    (root / "large.py").write_bytes(b"x" * (files.LARGEST + 1))
    os.mkfifo(root / "pipe.py")
    found = WorkspaceFiles((root,))
    assert found.read("large.py") is None
    assert found.read("pipe.py") is None
    assert found.read("src") is None


def test_with_too_many_files_nothing_is_said_to_be_absent(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_FILES", 2)
    assert WorkspaceFiles((root,)).find("src/confg.py") == "unknown"
    assert WorkspaceFiles((root,)).find("src/config.py") == "exists"


def test_a_new_file_is_seen_after_a_while_or_when_told(root: Path) -> None:
    now = [0.0]
    found = WorkspaceFiles((root,), clock=lambda: now[0])
    assert found.find("later.py") == "absent"
    (root / "pkg" / "later.py").write_text("x", "utf-8")
    assert found.find("later.py") == "absent"
    now[0] = files.FRESH_S + 1
    assert found.find("later.py") == "exists"
    (root / "pkg" / "last.py").write_text("x", "utf-8")
    found.forget()
    assert found.find("last.py") == "exists"


def test_the_file_that_may_be_meant(root: Path) -> None:
    found = WorkspaceFiles((root,))
    assert found.similar("src/confg.py") == "src/config.py"
    assert found.similar("lib/parse.ts") == "pkg/deep/parse.ts"
    assert found.similar("quite/other.rs") is None


def test_names_that_are_nearly_there_are_found_among_thousands_of_their_kind(tmp_path: Path) -> None:
    base = "a_rather_long_name_of_a_module_that_a_generator_has_made_"
    for number in range(900):
        (tmp_path / f"{base}{number:05}.py").touch()
    found = WorkspaceFiles((tmp_path,))
    assert found.similar(f"{base}x00417.py") == f"{base}00417.py"
    compared = 0

    class Counting(difflib.SequenceMatcher):
        def ratio(self) -> float:
            nonlocal compared
            compared += 1
            return super().ratio()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("difflib.SequenceMatcher", Counting)
        assert found.similar(f"{base}y00418.py") == f"{base}00418.py"
        assert found.similar(f"src/{base}y00418.py") == f"{base}00418.py"
    assert 0 < compared <= 2 * files.MOST_CANDIDATES  # the library asks twice
