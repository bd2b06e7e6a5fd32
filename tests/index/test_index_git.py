"""Opening a repository runs none of its code and reads nothing outside it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from anchorline.index import git
from anchorline.index.folder import FolderSnapshot
from anchorline.index.history import History
from anchorline.index.workspace_index import WorkspaceIndex
from support.repositories import ISOLATED, Repository

COMMANDS = (
    "core.fsmonitor",
    "core.pager",
    "core.editor",
    "core.askPass",
    "core.sshCommand",
    "core.gitProxy",
    "core.alternateRefsCommand",
    "credential.helper",
    "diff.external",
    "diff.evil.command",
    "diff.evil.textconv",
    "filter.evil.clean",
    "filter.evil.smudge",
    "filter.evil.process",
    "gpg.program",
    "gpg.ssh.program",
    "gpg.x509.program",
    "interactive.diffFilter",
    "merge.evil.driver",
    "pager.log",
    "pager.ls-files",
    "sequence.editor",
    "trailer.x.command",
    "uploadpack.packObjectsHook",
    "remote.origin.uploadpack",
)
"""Settings that name a program which some git command starts."""
HOOKS = (
    "post-index-change",
    "fsmonitor-watchman",
    "query-watchman",
    "post-checkout",
    "reference-transaction",
    "pre-auto-gc",
)


@pytest.fixture
def hostile(tmp_path: Path) -> tuple[Repository, Path]:
    """A repository whose every program would leave a mark, and where the mark would be."""
    repository, mark = Repository(tmp_path / "project"), tmp_path / "mark"
    repository.commit(
        {"a.py": "def first(): pass\n", ".gitattributes": "* filter=evil diff=evil merge=evil\n"}
    )
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$0 $@" >> {mark}\n')
    program.chmod(0o755)
    hooks = repository.folder / ".git" / "hooks"
    for hook in HOOKS:
        (hooks / hook).write_text(program.read_text())
        (hooks / hook).chmod(0o755)
    repository.write({"c.py": "def other(): pass\n"})
    repository.git("add", "c.py")
    tree, head = repository.git("write-tree"), repository.git("rev-parse", "HEAD")
    who = "A <a@example.org> 1700000300 +0000"
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQEz\n -----END PGP SIGNATURE-----"
    repository.write(
        {"signed": f"tree {tree}\nparent {head}\nauthor {who}\ncommitter {who}\n{signature}\n\nsigned\n"}
    )
    repository.git(
        "update-ref", "refs/heads/main", repository.git("hash-object", "-t", "commit", "-w", "signed")
    )
    (repository.folder / "signed").unlink()
    for name in COMMANDS:
        repository.git("config", name, str(program))
    for name, value in {
        "core.hooksPath": str(hooks),
        "log.showSignature": "true",
        "alias.ls-files": f"!{program}",
        "alias.log": f"!{program}",
        "core.untrackedCache": "true",
        "diff.orderFile": str(tmp_path / "absent"),
        "submodule.recurse": "true",
        "extensions.partialClone": "origin",
        "remote.origin.url": f"ext::{program}",
        "remote.origin.promisor": "true",
        "protocol.ext.allow": "always",
    }.items():
        repository.git("config", name, value)
    mark.unlink(missing_ok=True)
    return repository, mark


@pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")
def test_the_marks_would_be_left(hostile: tuple[Repository, Path]):
    repository, mark = hostile
    for command in ("status", "log"):
        subprocess.run(
            ["git", command],
            check=False,
            cwd=repository.folder,
            env=os.environ | ISOLATED,
            capture_output=True,
        )
    said = mark.read_text()
    assert "fsmonitor" in said or "program 2" in said or "program 1" in said
    assert "--verify" in said or "--status-fd" in said  # the signature's check


@pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")
def test_no_program_of_a_repository_is_started(hostile: tuple[Repository, Path]):
    repository, mark = hostile
    index = WorkspaceIndex(FolderSnapshot(repository.folder))
    repository.write({"b.py": "def second(): pass\n"})
    assert index.refresh().files == 3
    assert len(index.history.commits) == 2
    repository.write({"a.py": "def third(): pass\n"})
    assert index.update("a.py")
    index.refresh()
    assert not mark.exists(), mark.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")
def test_missing_objects_are_not_fetched(hostile: tuple[Repository, Path]):
    repository, mark = hostile
    tree = repository.git("rev-parse", "HEAD^^{tree}")
    (repository.folder / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    index = WorkspaceIndex(FolderSnapshot(repository.folder))
    assert index.refresh().files == 2
    assert not mark.exists(), mark.read_text()


def test_a_work_tree_elsewhere_is_not_read(tmp_path: Path):
    (tmp_path / "private.py").write_text("SECRET_PLAN = 1\n")
    repository = Repository(tmp_path / "project")
    repository.write({"a.py": "def first(): pass\n"})
    for folder in (str(tmp_path), "/"):
        repository.git("config", "core.worktree", folder)
        paths = FolderSnapshot(repository.folder).files()
        assert set(paths) <= {"a.py"}


def test_names_in_a_repository_lead_nowhere_else(tmp_path: Path):
    (tmp_path / "private.py").write_text("SECRET_PLAN = 1\n")
    repository = Repository(tmp_path / "project")
    repository.write({"a.py": "def first(): pass\n"})
    blob = repository.git("hash-object", "-w", "a.py")
    for name in ("folder/b.py", "deep/er/c.py"):
        repository.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    if sys.platform != "win32":
        (repository.folder / "folder").symlink_to(tmp_path, target_is_directory=True)
        (tmp_path / "b.py").write_text("OTHER = 1\n")
        (repository.folder / "link.py").symlink_to(tmp_path / "private.py")
    snapshot = FolderSnapshot(repository.folder)
    assert set(snapshot.files()) == {"a.py"}
    assert snapshot.read("folder/b.py") is None
    assert snapshot.read("link.py") is None
    assert snapshot.read("../private.py") is None
    assert snapshot.read(str(tmp_path / "private.py")) is None
    assert snapshot.file("folder/b.py") is None


def test_a_program_called_git_in_the_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    repository = Repository(tmp_path / "project")
    repository.commit({"a.py": "A = 1\n"})
    fake = repository.folder / "git"
    fake.write_text(f"#!/bin/sh\ntouch {tmp_path}/mark\n")
    fake.chmod(0o755)
    monkeypatch.chdir(repository.folder)
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.pathsep}{os.environ['PATH']}")
    git.program.cache_clear()
    try:
        assert FolderSnapshot(repository.folder).history(History()).head
    finally:
        git.program.cache_clear()
    assert not (tmp_path / "mark").exists()


def test_variables_of_a_hook_lead_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    other = Repository(tmp_path / "other")
    other.commit({"other.py": "B = 1\n"})
    repository = Repository(tmp_path / "project")
    repository.commit({"a.py": "A = 1\n"})
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.folder))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.folder / ".git" / "index"))
    snapshot = FolderSnapshot(repository.folder)
    assert set(snapshot.files()) == {"a.py"}
    assert snapshot.history(History()).last == {"a.py": 0}


def test_where_git_refuses_the_index_stays_as_it_was(tmp_path: Path):
    repository = Repository(tmp_path / "project")
    repository.commit({"a.py": "A = 1\n"})
    index = WorkspaceIndex(FolderSnapshot(repository.folder))
    index.refresh()
    head = (repository.folder / ".git" / "HEAD").read_text()
    (repository.folder / ".git" / "HEAD").write_text("nonsense\n")
    repository.write({"b.py": "B = 1\n"})
    with pytest.raises(OSError, match="not a git repository"):
        index.refresh()
    assert index.paths == ("a.py",)
    (repository.folder / ".git" / "HEAD").write_text(head)
    assert index.refresh().read == 1


def test_a_repository_in_the_folder_that_git_refuses_has_no_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    for name in ("one", "two"):
        Repository(tmp_path / name).commit({"a.py": "A = 1\n"})
    (tmp_path / "two" / ".git" / "HEAD").write_text("nonsense\n")
    assert set(FolderSnapshot(tmp_path).files()) == {"one/a.py"}
    assert "is not indexed" in caplog.text


def test_a_git_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    repository = Repository(tmp_path / "project")
    repository.commit({"a.py": "A = 1\n"})
    monkeypatch.setattr(git, "TIMEOUT_S", 0.2)
    if sys.platform == "win32":
        pytest.skip("no pipes with names")
    os.mkfifo(tmp_path / "pipe")
    repository.git("config", "core.excludesFile", str(tmp_path / "pipe"))
    with pytest.raises(git.GitError, match=r"more than 0"):
        git.listing(repository.folder)
