"""Whatever happens to its file, an index answers; what is kept of it is used again."""

import itertools
import logging
import os
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorline.index import database, location, workspace_index
from anchorline.index.folder import FolderSnapshot
from anchorline.index.history import Commit, History
from anchorline.index.snapshot import Listed
from anchorline.index.workspace_index import Bounds, WorkspaceIndex
from anchorline.store import purging
from support.repositories import Repository

COUNT = 150


class MadeSnapshot:
    """Files that are nowhere. `reads` has which were read."""

    def __init__(self, count: int = COUNT) -> None:
        self.texts = {
            f"pkg{number % 7}/file_{number}.py": f"def name_{number}(): pass\n" for number in range(count)
        }
        self.reads: list[str] = []
        self.commits: tuple[Commit, ...] = ()

    def files(self) -> dict[str, Listed]:
        return {path: Listed(str(hash(text)), len(text)) for path, text in self.texts.items()}

    def file(self, path: str) -> Listed | None:
        return self.files().get(path)

    def read(self, path: str) -> bytes | None:
        self.reads.append(path)
        return self.texts[path].encode()

    def history(self, known: History) -> History:
        return History("head", self.commits)


def damage(path: Path, at: int, junk: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at % path.stat().st_size)
        file.write(junk)


def test_what_is_kept_is_not_read_again(tmp_path: Path):
    snapshot, file = MadeSnapshot(), tmp_path / "folder" / "index.db"
    WorkspaceIndex(snapshot, file).refresh()
    assert len(snapshot.reads) == COUNT
    again = WorkspaceIndex(snapshot, file)
    snapshot.texts["pkg1/file_1.py"] += "def another(): pass\n"
    assert again.refresh().read == 1
    assert len(again.paths) == COUNT
    assert again.defining("another") == (("pkg1/file_1.py", 2),)
    assert again.defining("name_7") == (("pkg0/file_7.py", 1),)


@pytest.mark.skipif(sys.platform == "win32", reason="modes are no access rights there")
def test_the_file_is_the_owners_alone(tmp_path: Path):
    old = os.umask(0)
    try:
        WorkspaceIndex(MadeSnapshot(), tmp_path / "folder" / "index.db").refresh()
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "folder").iterdir()}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o700


def test_words_of_a_text_are_not_in_the_file(tmp_path: Path):
    snapshot, file = MadeSnapshot(1), tmp_path / "index.db"
    snapshot.texts = {"a.py": 'password = "correct horse battery"\n'}
    WorkspaceIndex(snapshot, file).refresh()
    assert not any(
        word in path.read_bytes() for path in tmp_path.glob("index.db*") for word in (b"horse", b"battery")
    )


@pytest.mark.parametrize("junk", [b"", b"This is no database", b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_index_is_made_anew(tmp_path: Path, junk: bytes, caplog: pytest.LogCaptureFixture):
    file = tmp_path / "index.db"
    file.write_bytes(junk)
    index = WorkspaceIndex(MadeSnapshot(), file)
    assert index.refresh().files == COUNT
    assert caplog.text.count("is made anew") == bool(junk)
    index.close()
    assert WorkspaceIndex(MadeSnapshot(0), file).refresh().removed == COUNT


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=600)), min_size=1, max_size=4)
)
def test_a_damaged_index_answers_as_a_new_one(
    tmp_path_factory: pytest.TempPathFactory, damages: list[tuple[int, bytes]]
):
    file = tmp_path_factory.mktemp("damaged") / "index.db"
    first = WorkspaceIndex(MadeSnapshot(40), file)
    first.refresh()
    first.close()
    for at, junk in damages:
        damage(file, at, junk)
    index = WorkspaceIndex(MadeSnapshot(40), file)
    assert index.refresh().files == 40
    for path in index.paths:
        index.symbols(path)
    index.refresh()
    assert sorted(index.paths) == sorted(MadeSnapshot(40).texts)
    for number in range(40):
        assert index.defining(f"name_{number}") == ((f"pkg{number % 7}/file_{number}.py", 1),)
        assert index.search(f"name_{number}").text.bm25.argmax() == index.paths.index(
            f"pkg{number % 7}/file_{number}.py"
        )
    index.close()


def test_a_newer_version_of_the_file_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "index.db"
    WorkspaceIndex(MadeSnapshot(), file).refresh()
    monkeypatch.setattr(database, "VERSION", database.VERSION + 1)
    assert WorkspaceIndex(MadeSnapshot(), file).refresh().read == COUNT


def test_on_a_full_disk_the_index_is_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    index = WorkspaceIndex(MadeSnapshot(), tmp_path / "index.db")
    index._database._connection.execute("PRAGMA max_page_count = 5")
    assert index.refresh().files == COUNT
    assert index.defining("name_7") == (("pkg0/file_7.py", 1),)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "in memory alone" in caplog.text


def test_where_no_file_can_be_the_index_is_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "file").write_text("")
    index = WorkspaceIndex(MadeSnapshot(), tmp_path / "file" / "index.db")
    assert index.refresh().files == COUNT
    assert "in memory alone" in caplog.text


def test_a_refresh_goes_on_where_it_was_stopped(tmp_path: Path):
    snapshot, file = MadeSnapshot(), tmp_path / "index.db"
    asked = itertools.count()
    index = WorkspaceIndex(snapshot, file)
    first = index.refresh(lambda: next(asked) >= 100)
    assert (first.complete, first.read) == (False, 100)
    index.close()
    assert WorkspaceIndex(snapshot, file).refresh().read == COUNT - 100
    assert len(snapshot.reads) == COUNT


def test_two_programs_share_what_they_read(tmp_path: Path):
    snapshot, file = MadeSnapshot(), tmp_path / "index.db"
    one, two = WorkspaceIndex(snapshot, file), WorkspaceIndex(snapshot, file)
    two.refresh(lambda: True)
    one.refresh()
    assert two.refresh().files == COUNT
    assert len(snapshot.reads) == COUNT
    one.refresh()
    assert one.defining("name_3") == two.defining("name_3") == (("pkg3/file_3.py", 1),)


def test_a_program_that_keeps_the_file_locked_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "BUSY_S", 0.01)
    file = tmp_path / "index.db"
    holder = WorkspaceIndex(MadeSnapshot(0), file)
    index = WorkspaceIndex(MadeSnapshot(), file)
    index.refresh(lambda: True)
    holder._database._connection.execute("BEGIN IMMEDIATE")
    assert index.refresh().files == COUNT
    holder._database._connection.execute("ROLLBACK")


def test_a_closed_index_leaves_its_file(tmp_path: Path):
    snapshot, file = MadeSnapshot(), tmp_path / "index.db"
    index = WorkspaceIndex(snapshot, file)
    index.refresh()
    index.close()
    assert index.symbols("pkg0/file_7.py") == ()
    index.refresh()
    reads = len(snapshot.reads)
    WorkspaceIndex(snapshot, file).refresh()
    assert len(snapshot.reads) == reads


def test_of_too_many_files_the_newest_and_nearest_are_indexed():
    snapshot = MadeSnapshot(0)
    snapshot.texts = {f"{'deep/' * (number % 5)}file_{number}.py": "x = 1\n" for number in range(200_000)}
    snapshot.commits = (Commit("a", 2, ("deep/deep/deep/deep/file_4.py",)), Commit("b", 1, ("absent.py",)))
    done = WorkspaceIndex(snapshot, bounds=Bounds(files=300)).refresh()
    assert (done.files, done.beyond) == (300, 199_700)
    assert snapshot.reads[0] == "deep/deep/deep/deep/file_4.py"
    assert not any("/" in path for path in snapshot.reads[1:])
    sized = WorkspaceIndex(snapshot, bounds=Bounds(size=600))
    assert sized.refresh().files == 100


def test_a_question_does_not_wait_for_a_refresh():
    snapshot = MadeSnapshot()
    reading, go_on = threading.Event(), threading.Event()
    read = snapshot.read

    def slow(path: str) -> bytes | None:
        if len(snapshot.reads) == 100:
            reading.set()
            go_on.wait(30)
        return read(path)

    snapshot.read = slow
    index = WorkspaceIndex(snapshot)
    thread = threading.Thread(target=index.refresh)
    thread.start()
    assert reading.wait(30)
    begun = time.monotonic()
    assert len(index.search("name_1").paths) == workspace_index.CHUNK
    assert index.definers("name_1")
    assert time.monotonic() - begun < 10
    go_on.set()
    thread.join(30)
    assert len(index.paths) == COUNT


def test_files_are_saved_and_asked_about_while_all_is_read(tmp_path: Path):
    repository = Repository(tmp_path / "project")
    repository.write({f"file_{number}.py": f"def old_{number}(): pass\n" for number in range(300)})
    index = WorkspaceIndex(FolderSnapshot(repository.folder), tmp_path / "index.db")
    ended, failures = threading.Event(), []

    def until_the_end(work: Callable[[int], object]) -> None:
        try:
            for number in itertools.cycle(range(300)):
                work(number)
                if ended.is_set():
                    return
        except Exception as error:  # noqa: BLE001  (told at the end)
            failures.append(error)

    def save(number: int) -> None:
        repository.write({f"file_{number}.py": f"def new_{number}(): pass\n"})
        index.update(f"file_{number}.py")

    def ask(number: int) -> None:
        index.search(f"old_{number} new_{number}")
        index.matched(f"file_{number}.py", "old new")
        assert len(index.defining(f"new_{number}")) <= 1

    threads = [threading.Thread(target=until_the_end, args=(work,)) for work in (save, ask)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        index.refresh()
    ended.set()
    for thread in threads:
        thread.join(30)
    index.refresh()
    assert failures == []
    anew = WorkspaceIndex(FolderSnapshot(repository.folder))
    anew.refresh()
    assert len(anew.paths) == 300
    for number in range(300):
        for name in (f"old_{number}", f"new_{number}"):
            assert index.defining(name) == anew.defining(name)


def test_a_branch_that_changes_meanwhile_is_what_is_indexed(tmp_path: Path):
    repository = Repository(tmp_path / "project")
    repository.commit({f"file_{number}.py": f"def old_{number}(): pass\n" for number in range(100)})
    repository.git("checkout", "-q", "-b", "other")
    repository.commit(
        {f"file_{number}.py": f"def new_{number}(): return {number}\n" for number in range(50)}
        | {"more.py": "M = 1\n"}
    )
    repository.git("checkout", "-q", "main")
    index = WorkspaceIndex(FolderSnapshot(repository.folder))
    asked = itertools.count()

    def switching() -> bool:
        if next(asked) == 30:
            repository.git("checkout", "-q", "other")
        return False

    index.refresh(switching)
    assert len(index.paths) == 101
    for number in range(50):
        assert not index.definers(f"old_{number}")
        assert index.definers(f"new_{number}") == {f"file_{number}.py"}
    assert len(index.history.commits) == 2


def test_indexes_that_nobody_uses_are_removed(tmp_path: Path):
    unused, used = tmp_path / "unused.db", tmp_path / "used.db"
    for file in (unused, used):
        WorkspaceIndex(MadeSnapshot(1), file).close()
    long_ago = time.time() - location.UNUSED_S - 60
    for file in (unused, used):
        os.utime(file, (long_ago, long_ago))
    WorkspaceIndex(MadeSnapshot(1), used)
    assert (unused.exists(), used.exists()) == (False, True)


def test_a_purge_of_everything_removes_the_indexes(tmp_path: Path):
    file = database.locate(tmp_path)
    WorkspaceIndex(MadeSnapshot(), file).refresh()
    purging.purge(tmp_path / "anchorline.db", before=time.time())
    assert file.exists()
    assert purging.purge(tmp_path / "anchorline.db").files == (str(file),)
    assert list(location.folder().iterdir()) == []
