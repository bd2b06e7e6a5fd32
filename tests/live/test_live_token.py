"""The gateway's token: the same one for all programs, whatever became of the file."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from anchorline.live.token import BYTES, FILE, renewed, token

ASK = "import pathlib, sys; from anchorline.live.token import token; input(); print(token(pathlib.Path(sys.argv[1])))"


@pytest.mark.process
@pytest.mark.parametrize("before", [None, b"", b"cut-sh", b"\xff" * 40])
def test_programs_that_ask_at_once_get_the_one_that_is_kept(tmp_path: Path, before: bytes | None) -> None:
    if before is not None:
        (tmp_path / FILE).write_bytes(before)
    asking = [
        Popen([sys.executable, "-c", ASK, str(tmp_path)], stdin=PIPE, stdout=PIPE, text=True)
        for _ in range(4)
    ]
    with ThreadPoolExecutor(len(asking)) as pool:
        told = list(pool.map(lambda one: one.communicate("\n", timeout=60)[0].strip(), asking))
    assert set(told) == {(tmp_path / FILE).read_text("ascii").strip()}
    assert len(told[0]) >= BYTES


def test_a_token_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    known = token(tmp_path)
    (tmp_path / FILE).chmod(0o644)
    assert token(tmp_path) == known
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_token_that_may_have_been_shown_is_made_anew(tmp_path: Path) -> None:
    known = token(tmp_path)
    made = renewed(tmp_path)
    assert made != known
    assert token(tmp_path) == made
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("ends", [b"", b"\n", b"\r\n", b" \r\n\r\n"])
def test_line_ends_of_another_system_are_no_part_of_the_token(tmp_path: Path, ends: bytes) -> None:
    known = token(tmp_path)
    (tmp_path / FILE).write_bytes(b"  " + known.encode() + ends)
    assert token(tmp_path) == known


@pytest.mark.parametrize(
    "content", ["../" * 12, "a b " * 12, "abcdefgh\r\n" * 6, "%2e%2e%2f" * 6, "x?y#z" * 9, "é" * 40]
)
def test_what_can_be_no_token_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_bytes(content.encode())
    made = token(tmp_path)
    assert (tmp_path / FILE).read_text("ascii") == made + "\n"
    assert made == token(tmp_path)
    assert made.replace("-", "").replace("_", "").isalnum()


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are POSIX's")
def test_links_in_the_place_of_the_token_are_not_written_through(tmp_path: Path) -> None:
    folder, victim = tmp_path / "data", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("theirs")
    for name in (FILE, f"{FILE}.part", f".{FILE}.part"):
        (folder / name).symlink_to(victim)
    token(folder)
    renewed(folder)
    assert victim.read_text() == "theirs"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are POSIX's")
def test_a_pipe_in_the_place_of_the_token_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(OSError, match="not a plain file"):
        token(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX's modes")
def test_every_folder_that_is_made_for_the_token_is_the_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        token(tmp_path / "share" / "anchorline")
    finally:
        os.umask(before)
    for path in (tmp_path / "share").rglob("*"):
        assert not path.stat().st_mode & 0o077
    assert not (tmp_path / "share").stat().st_mode & 0o077
