"""What of the disk an agent may have planned: plain files in the folders that its user named, and nothing else."""

import os
import sys
from pathlib import Path

import psutil
import pytest

from anchorline.mcp.roots import LARGEST, OutsideError, Roots

posix = pytest.mark.skipif(sys.platform == "win32", reason="links, pipes and descriptors are POSIX's")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    (folder / "docs").mkdir(parents=True)
    (folder / "docs" / "a.prompt.md").write_text("Fix it")
    (tmp_path / "secret.md").write_text("secret")
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    return folder


def refused(roots: Roots, name: str) -> str:
    with pytest.raises(OutsideError) as error:
        roots.read(name)
    return str(error.value)


def test_a_file_is_read_by_its_path_from_the_folder_and_by_its_whole_one(workspace: Path):
    path = workspace / "docs" / "a.prompt.md"
    assert Roots([workspace]).read("docs/a.prompt.md") == (path, b"Fix it")
    assert Roots([workspace]).read(str(path)) == (path, b"Fix it")


@posix
def test_a_folder_may_itself_be_named_by_a_link(workspace: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(workspace)
    roots = Roots([tmp_path / "link"])
    assert roots.read(str(tmp_path / "link" / "docs" / "a.prompt.md"))[1] == b"Fix it"
    assert roots.read(str(workspace / "docs" / "a.prompt.md"))[1] == b"Fix it"


@pytest.mark.parametrize(
    "name",
    ["../secret.md", "docs/../../secret.md", "/etc/passwd", "", "\x00", "docs/a\x00.md", "nothing.md", "."],
)
def test_what_is_outside_or_no_file_is_refused(workspace: Path, name: str):
    assert "secret" not in refused(Roots([workspace]), name).replace("secret.md", "")


@posix
def test_no_link_is_followed_wherever_it_stands_in_the_path_or_leads(workspace: Path, tmp_path: Path):
    (workspace / "out.md").symlink_to(tmp_path / "secret.md")
    (workspace / "in.md").symlink_to(workspace / "docs" / "a.prompt.md")
    (workspace / "up").symlink_to(tmp_path)
    (workspace / "dangling").symlink_to(tmp_path / "nothing")
    roots = Roots([workspace])
    for name in ("out.md", "in.md", "up/secret.md", "dangling"):
        assert "links are not followed" in refused(roots, name)


@posix
def test_a_pipe_is_not_waited_for_and_a_folder_is_no_file(workspace: Path):
    os.mkfifo(workspace / "pipe")
    roots = Roots([workspace])
    assert "not a plain file" in refused(roots, "pipe")
    assert "not a plain file" in refused(roots, "docs")


def test_a_large_file_is_refused(workspace: Path):
    with (workspace / "large.md").open("wb") as file:
        file.truncate(LARGEST + 1)
    assert "larger than 8 MB" in refused(Roots([workspace]), "large.md")


def opened() -> int:
    return psutil.Process().num_fds()


@posix
def test_nothing_is_left_open(workspace: Path):
    roots = Roots([workspace])
    before = opened()
    for _ in range(20):
        roots.read("docs/a.prompt.md")
        refused(roots, "docs")
        refused(roots, "nothing/at/all.md")
    assert opened() == before


@pytest.mark.parametrize("folder", ["/", "home", "."])
def test_a_home_and_what_is_above_it_are_no_workspace(workspace: Path, tmp_path: Path, folder: str):
    roots = Roots([tmp_path / folder])
    assert roots.folders == ()
    assert "--root" in refused(roots, "work/docs/a.prompt.md")


def test_a_folder_in_the_home_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    (tmp_path / "src").mkdir()
    assert Roots([tmp_path / "src"]).folders == (tmp_path / "src",)
