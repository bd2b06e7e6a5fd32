"""Versions on disk: whole or not there, for the owner alone, and not trusted when they are read."""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from anchorline.trial.experiment import Contest, Standing
from anchorline.trial.versions import (
    ABOUT,
    LOCK,
    DamagedVersionError,
    Registry,
    TrainingData,
    Version,
    new_id,
)

posix = pytest.mark.skipif(os.name != "posix", reason="file modes and pipes are POSIX's")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "data" / "router", tmp_path / "shipped")


def write(folder: Path) -> None:
    (folder / "network.json").write_bytes(b"{}")
    (folder / "network.safetensors").write_bytes(b"weights" * 100)


def add(registry: Registry, version: str = "r-1", **fields: object) -> Version:
    return registry.add(Version(version, 1000.0, **fields), write)


def test_a_version_is_found_with_all_that_is_known_of_it(registry: Registry):
    data = TrainingData(since=10.0, until=20.0, decisions=500, sessions=40, splits=("train",))
    added = add(registry, data=data, parent="prior-1", seed=7, metrics={"gap": {"loss": 0.5}})
    assert registry.about("r-1") == added
    assert registry.verified("r-1").joinpath("network.json").read_bytes() == b"{}"
    assert registry.names() == ("r-1",)
    assert sorted(added.files) == ["network.json", "network.safetensors"]


def test_ids_of_versions_are_ids(registry: Registry):
    assert add(registry, new_id()).version in registry.names()
    for name in ("heuristic", "../r", "R", "", ".part", "r-1/x"):
        with pytest.raises(ValueError, match="can't be the id"):
            add(registry, name)
    add(registry)
    with pytest.raises(ValueError, match="can't be the id"):
        add(registry)


@posix
def test_everything_is_the_owners_alone(registry: Registry):
    add(registry)
    registry.put_standing(Standing())
    for place in registry.folder.rglob("*"):
        assert place.stat().st_mode & 0o077 == 0, place
    assert registry.folder.stat().st_mode & 0o777 == 0o700


def test_a_version_that_could_not_be_written_is_not_there(registry: Registry):
    def fails(folder: Path) -> None:
        write(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        registry.add(Version("r-1", 1.0), fails)
    assert registry.names() == ()
    assert [one.name for one in registry.folder.iterdir()] == [LOCK]


def test_what_ships_is_a_version_that_is_only_read(registry: Registry, tmp_path: Path):
    Registry(tmp_path / "shipped").add(Version("prior-1", 1.0), write)
    add(registry)
    assert registry.names() == ("prior-1", "r-1")
    assert registry.verified("prior-1") == tmp_path / "shipped" / "prior-1"
    assert registry.trained_before(9e9) == ()


def _swap_weights(folder: Path) -> None:
    (folder / "network.safetensors").write_bytes(b"weighty" * 100)


def _lose_weights(folder: Path) -> None:
    (folder / "network.safetensors").unlink()


def _grow_weights(folder: Path) -> None:
    with (folder / "network.safetensors").open("ab") as stream:
        stream.write(b"more")


def _link_weights(folder: Path) -> None:
    (folder / "network.safetensors").rename(folder.parent / "elsewhere")
    (folder / "network.safetensors").symlink_to(folder.parent / "elsewhere")


def _pipe(folder: Path) -> None:
    (folder / "network.safetensors").unlink()
    os.mkfifo(folder / "network.safetensors")


def _cut(folder: Path) -> None:
    text = (folder / ABOUT).read_bytes()
    (folder / ABOUT).write_bytes(text[: len(text) // 2])


def _huge(folder: Path) -> None:
    (folder / ABOUT).write_bytes(b" " * (2 << 20))


def _rename(folder: Path) -> None:
    (folder / ABOUT).write_bytes((folder / ABOUT).read_bytes().replace(b'"r-1"', b'"r-2"'))


def _escape(folder: Path) -> None:
    text = (folder / ABOUT).read_bytes()
    (folder / ABOUT).write_bytes(text.replace(b'"network.json"', b'"../../../etc/passwd"'))


@posix
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_swap_weights, "checksum"),
        (_lose_weights, "No such file"),
        (_grow_weights, "more than"),
        (_link_weights, "plain file"),
        (_pipe, "plain file"),
        (_cut, "truncated"),
        (_huge, "more than"),
        (_rename, "it says that it is r-2"),
        (_escape, "has the name"),
    ],
)
def test_a_damaged_version_is_refused_with_the_file_and_the_reason(registry: Registry, damage, said: str):
    add(registry)
    damage(registry.folder / "r-1")
    with pytest.raises(DamagedVersionError, match=said) as refused:
        registry.verified("r-1")
    assert str(registry.folder) in str(refused.value)


def test_an_unknown_version_is_refused_with_those_that_are_known(registry: Registry):
    add(registry)
    for name in ("r-2", "../r-1", "r-1\n"):
        with pytest.raises(DamagedVersionError, match="known: heuristic, r-1"):
            registry.path(name)


def test_what_is_in_force_is_kept(registry: Registry):
    assert registry.standing() == Standing()
    standing = Standing((Contest("e-1", "r-1", "heuristic", "promoted", 0.9, "0" * 32, 5.0),))
    registry.put_standing(standing)
    assert registry.standing() == standing


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"promoted": 3}', b'{"trial": {"id": "../x"}}', b"\xff", b"[" * 5000, b" " * (2 << 20)],
)
def test_a_damaged_standing_is_refused(registry: Registry, content: bytes):
    registry.put_standing(Standing())
    registry.standing_file.write_bytes(content)
    with pytest.raises(DamagedVersionError, match=r"standing\.json"):
        registry.standing()


def test_what_was_trained_on_the_past_is_told_with_its_descendants(registry: Registry):
    add(registry, "r-1", data=TrainingData(since=100.0, until=200.0, decisions=10))
    add(registry, "r-2", data=TrainingData(since=500.0, until=600.0, decisions=10), parent="r-1")
    add(registry, "r-3", data=TrainingData(since=500.0, until=600.0, decisions=10), parent="prior-1")
    add(registry, "r-4", parent="r-4")
    (registry.folder / "r-5").mkdir()
    # r-2 learnt from r-1; of what descends from itself (r-4) or says nothing (r-5) nobody can tell.
    assert registry.trained_before(150.0) == ("r-1", "r-2", "r-4", "r-5")
    assert registry.trained_before(50.0) == ("r-4", "r-5")


def test_purging_a_version_takes_it_out_of_force(registry: Registry):
    add(registry, "r-1", data=TrainingData(since=500.0))
    add(registry, "r-2", data=TrainingData(since=100.0))
    first = Contest("e-1", "r-1", "heuristic", "promoted", 0.9, "0" * 32, 5.0)
    second = msgspec.structs.replace(first, id="e-2", challenger="r-2", champion="r-1")
    registry.put_standing(Standing((first, second)))
    assert registry.purge(200.0) == ("r-2",)
    assert registry.names() == ("r-1",)
    assert registry.standing() == Standing((first,))
    registry.standing_file.write_bytes(b"damaged")
    assert registry.purge(600.0) == ("r-1",)
    assert registry.standing() == Standing()
    assert registry.purge(600.0) == ()


@pytest.mark.process
@posix
def test_a_purge_takes_what_a_killed_training_has_left(registry: Registry):
    def killed(folder: Path) -> None:
        write(folder)
        os._exit(9)

    if (child := os.fork()) == 0:
        registry.add(Version("r-1", 1.0), killed)
    os.waitpid(child, 0)
    assert list(registry.folder.rglob("network.safetensors"))
    assert registry.purge(5.0) == ()
    assert not list(registry.folder.rglob("network.safetensors"))


def test_a_purge_waits_until_a_version_is_whole(registry: Registry):
    with ThreadPoolExecutor(1) as pool:
        purging: list[Future[tuple[str, ...]]] = []

        def write_while_purged(folder: Path) -> None:
            purging.append(pool.submit(registry.purge, 5.0))
            with pytest.raises(TimeoutError):
                purging[0].result(0.2)
            write(folder)

        registry.add(Version("r-1", 1.0, TrainingData(since=1.0)), write_while_purged)
        assert purging[0].result(60) == ("r-1",)
    assert registry.names() == ()
