"""The gateway's token: the same one for all programs, whatever became of the file."""

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
