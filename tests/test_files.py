"""Files are written whole, for their owner alone and never through a link; a lock ends with its holder."""

import os
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from anchorline import files

posix = pytest.mark.skipif(os.name != "posix", reason="rights are POSIX's")


@contextmanager
def umask(value: int):
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"home"}


@posix
def test_what_is_made_is_its_owners_alone_whatever_the_umask(tmp_path: Path):
    folder = tmp_path / "a" / "b" / "c"
    with umask(0):
        files.make_folder(folder)
        files.write(folder / "page.html", "<p>naïve</p>\n")
        files.make_empty(folder / "empty")
        with files.lock(folder / "lock"), files.replacing(folder / "table.bin") as part:
            assert mode(part) == 0o600
            part.write_bytes(b"\0")
    assert [mode(path) for path in (folder, folder.parent, folder.parent.parent)] == [0o700] * 3
    assert {path.name: mode(path) for path in folder.iterdir()} == dict.fromkeys(
        ["page.html", "empty", "lock", "table.bin"], 0o600
    )
    assert (folder / "page.html").read_bytes() == "<p>naïve</p>\n".encode()


@posix
def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path):
    mine = tmp_path / "mine"
    mine.write_text("mine", "utf-8")
    page = tmp_path / "report.html"
    page.symlink_to(mine)
    files.write(page, "<p>naïve</p>")
    assert mine.read_text("utf-8") == "mine"
    assert not page.is_symlink()
    assert page.read_text("utf-8") == "<p>naïve</p>"
    assert mode(page) == 0o600
    assert names(tmp_path) == {"mine", "report.html"}


@posix
def test_an_open_file_becomes_its_owners_alone(tmp_path: Path):
    page = tmp_path / "report.html"
    page.write_text("old", "utf-8")
    page.chmod(0o644)
    files.write(page, "new")
    assert mode(page) == 0o600


@posix
def test_a_device_is_written_to():
    files.write(Path("/dev/null"), "nothing")
    assert Path("/dev/null").is_char_device()


def test_a_writer_that_fails_leaves_the_old_content_and_nothing_else(tmp_path: Path):
    file = tmp_path / "table.bin"
    file.write_bytes(b"old")

    def fail(part: Path):
        part.write_bytes(b"ne")
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"), files.replacing(file) as part:
        fail(part)
    assert file.read_bytes() == b"old"
    assert names(tmp_path) == {"table.bin"}


@posix
@pytest.mark.process
def test_a_full_disk_leaves_the_old_content_and_nothing_else(tmp_path: Path):
    file = tmp_path / "table.bin"
    file.write_bytes(b"old")
    program = (
        "import pathlib, resource, signal, sys; from anchorline import files\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: files.write(pathlib.Path(sys.argv[1]), b'x' * 2000)\n"
        "except OSError as error: print(error.strerror)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "File too large\n"
    assert file.read_bytes() == b"old"
    assert names(tmp_path) == {"table.bin"}


@pytest.mark.process
def test_a_lock_excludes_and_ends_with_a_holder_that_is_killed(tmp_path: Path):
    file = tmp_path / "lock"
    program = (
        "import pathlib, sys; from anchorline import files\n"
        "with files.lock(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TimeoutError, match="another program keeps it locked"), files.lock(file, wait_s=0):
            pass
        holder.kill()
    with files.lock(file, wait_s=0):
        assert names(tmp_path) == {"lock"}


def test_a_lock_that_can_not_be_made_says_which(tmp_path: Path):
    with pytest.raises(OSError, match="lock") as failed, files.lock(tmp_path / "missing" / "lock"):
        pass
    assert failed.value.filename == str(tmp_path / "missing" / "lock")


class Reader:
    """Reads the file in whose place another is put: Windows refuses that until it is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refusals: int) -> None:
        self.refusals = refusals
        replace = Path.replace

        def refused(part: Path, file: Path) -> Path:
            if self.refusals > 0:
                self.refusals -= 1
                raise PermissionError(13, "The process cannot access the file", str(file))
            return replace(part, file)

        monkeypatch.setattr(Path, "replace", refused)


def test_on_windows_a_file_that_is_read_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "a"
    files.write(file, "old")
    reader = Reader(monkeypatch, 3)
    monkeypatch.setattr(files, "_REFUSES_OPEN", True)
    files.write(file, "new")
    assert file.read_text("utf-8") == "new"
    assert reader.refusals == 0
    assert names(tmp_path) == {"a"}


@pytest.mark.parametrize("windows", [True, False])
def test_a_file_that_stays_refused_is_an_error_with_the_old_content_kept(
    windows: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "a"
    files.write(file, "old")
    reader = Reader(monkeypatch, 10**9)
    monkeypatch.setattr(files, "_REFUSES_OPEN", windows)
    monkeypatch.setattr(files, "REPLACE_S", 0.02)
    with pytest.raises(PermissionError):
        files.write(file, "new")
    assert file.read_text("utf-8") == "old"
    assert names(tmp_path) == {"a"}
    assert (reader.refusals == 10**9 - 1) is not windows
