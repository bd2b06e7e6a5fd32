"""The response cache's file where several programs use it."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from anchorline.store import answers, database
from anchorline.store.answers import AnswerFile, Bounds, KeptAnswer, QuestionHashes
from anchorline.store.database import StoreError


def test_a_gateway_that_starts_while_another_makes_the_file_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    with closing(sqlite3.connect(path, check_same_thread=False)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN EXCLUSIVE")
        opening = pool.submit(AnswerFile, path)
        with pytest.raises(TimeoutError):
            opening.result(2 * answers.BUSY_S)
        other.rollback()
        opening.result(60).close()


def test_a_file_that_is_in_use_is_not_removed_under_its_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "answers.db"
    file = AnswerFile(path)
    file.keep(QuestionHashes(b"asked"), KeptAnswer(()), b"told", Bounds(9, 1 << 20, 60))
    monkeypatch.setattr(database, "BUSY_S", 0.1)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program"):
            answers.purge(path)
    assert answers.purge(path) == 1
    assert file.find("exact", b"asked", 0.0) is None
    file.close()
