"""A model that the user has already, in a file or another program's folder, is linked and not copied."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.engine import installed, manifest, requirements, sources
from anchorline.engine.errors import DamagedModelError, PullError
from anchorline.engine.manifest import UnknownModelError
from support.gguf_files import header

WEIGHTS = (
    header(
        general__architecture="llama",
        general__name="Own Model",
        general__license="mit",
        general__file_type=15,
    )
    + b"weights" * 1000
)


@pytest.fixture(autouse=True)
def llama_cpp(monkeypatch: pytest.MonkeyPatch):
    """llama.cpp is here, and no other program but the one that a test says."""
    monkeypatch.setattr(requirements, "keeps_gguf", lambda: True)
    monkeypatch.setattr(requirements, "missing", lambda *_, **__: "")
    for name in ("OLLAMA_MODELS", "LLAMA_CACHE", "HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str):
    return CliRunner().invoke(cli, arguments)


def model(file: Path, data: bytes = WEIGHTS) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def pulled(source: str) -> tuple[Path, installed.Receipt]:
    wanted = manifest.find(source)
    receipt = sources.pull(wanted)
    return installed.folder(wanted.id), receipt


def test_a_file_is_linked_and_says_what_it_is(tmp_path: Path):
    file = model(tmp_path / "Own-Model.Q4_K_M.gguf")
    done = run("model", "pull", f"path:{file}")
    assert done.exit_code == 0, done.output
    assert f"It is linked: {file}" in done.stdout
    (row,) = [row for row in json.loads(run("model", "list", "--json").stdout)["models"] if row["installed"]]
    assert (row["id"], row["title"], row["licence"]) == ("own-model.q4_k_m", "Own Model", "mit")
    assert (row["format"], row["link"], row["size"]) == ("gguf", str(file), len(WEIGHTS))
    folder = installed.folder("own-model.q4_k_m")
    assert (folder / installed.GGUF).samefile(file)
    assert installed.verify(folder).files[installed.GGUF].link == str(file)
    assert run("model", "use", "own-model.q4_k_m").exit_code == 0
    assert run("model", "remove", "own-model.q4_k_m", "--yes").exit_code == 0
    assert file.read_bytes() == WEIGHTS


def test_a_relative_path_holds_in_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model(tmp_path / "here" / "own.gguf")
    monkeypatch.chdir(tmp_path / "here")
    folder, _ = pulled("path:own.gguf")
    monkeypatch.chdir(tmp_path)
    installed.verify(folder)
    sources.pull(installed.receipts()["own"].model)  # as `model pull own` does


def test_a_changed_file_is_noticed_and_one_that_was_only_touched_is_not(tmp_path: Path):
    file = model(tmp_path / "own.gguf")
    folder, receipt = pulled(f"path:{file}")
    os.utime(file, ns=(0, receipt.files[installed.GGUF].mtime_ns + 1))
    installed.verify(folder)
    file.write_bytes(WEIGHTS[:-1] + b"X")
    with pytest.raises(DamagedModelError, match=r"own.gguf has changed.*model pull own"):
        installed.verify(folder)
    file.write_bytes(WEIGHTS + b"more")
    with pytest.raises(DamagedModelError, match=r"own.gguf has \d+ bytes"):
        installed.verify(folder)
    file.unlink()
    with pytest.raises(DamagedModelError, match=r"own.gguf can't be read \(No such file"):
        installed.verify(folder)


def test_a_linked_file_is_not_hashed_at_every_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder, _ = pulled(f"path:{model(tmp_path / 'own.gguf')}")
    monkeypatch.setattr(installed, "sha256", lambda file: pytest.fail(f"{file} was hashed"))
    installed.verify(folder)


def test_a_copy_is_made_when_it_is_asked_for(tmp_path: Path):
    file = model(tmp_path / "own.gguf")
    assert run("model", "pull", "--copy", f"path:{file}").exit_code == 0
    file.unlink()
    assert installed.verify(installed.folder("own")).files[installed.GGUF].link == ""
    assert (installed.folder("own") / installed.GGUF).read_bytes() == WEIGHTS


def test_a_folder_with_one_model_is_that_model(tmp_path: Path):
    model(tmp_path / "Own-GGUF" / "own.gguf")
    model(tmp_path / "Own-GGUF" / "mmproj-own.gguf")
    folder, _ = pulled(f"path:{tmp_path / 'Own-GGUF'}")
    assert folder.name == "own-gguf"
    model(tmp_path / "Own-GGUF" / "other.gguf")
    with pytest.raises(PullError, match=r"2 GGUF files: name one of them \(other.gguf, own.gguf\)"):
        pulled(f"path:{tmp_path / 'Own-GGUF'}")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("own-00001-of-00003.gguf", WEIGHTS, "llama-gguf-split --merge"),
        ("own.gguf", b"not a model", "neither a GGUF file"),
        ("own.gguf", b"GGUF" + bytes(100), "is not a GGUF file, or damaged"),
        ("own.gguf", header(general__name="x"), "names no architecture"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, name: str, data: bytes, said: str):
    file = model(tmp_path / name, data)
    with pytest.raises(PullError, match=said):
        pulled(f"path:{file}")
    assert installed.receipts() == {}
    assert file.read_bytes() == data
    with pytest.raises(PullError, match="no file and no folder"):
        pulled(f"path:{tmp_path / 'absent.gguf'}")


def ollama(root: Path, name: str = "library/own", tag: str = "0.5b") -> Path:
    """A model as Ollama keeps it: a manifest that names its blobs by their hashes."""
    digest = "ab" * 32
    blob = model(root / "blobs" / f"sha256-{digest}")
    layers = [
        {"mediaType": "application/vnd.ollama.image.template", "digest": f"sha256:{'cd' * 32}", "size": 3},
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", "size": 1},
    ]
    manifest_file = root / "manifests" / "registry.ollama.ai" / name / tag
    model(manifest_file, json.dumps({"schemaVersion": 2, "layers": layers}).encode())
    return blob


def test_a_model_of_ollama_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))
    blob = ollama(tmp_path / "models")
    folder, receipt = pulled("ollama:own:0.5b")
    assert folder.name == "own-0.5b"
    assert receipt.files[installed.GGUF].link == str(blob)
    manifest_file = tmp_path / "models" / "manifests" / "registry.ollama.ai" / "library" / "own" / "0.5b"
    assert pulled(f"path:{manifest_file}")[1].files[installed.GGUF].link == str(blob)
    for absent in ("ollama:own", "ollama:other:1b", "ollama:../../own:0.5b"):
        with pytest.raises(UnknownModelError, match="ollama list"):
            manifest.find(absent)
    manifest_file.write_text('{"layers": [{"mediaType": "x", "digest": "sha256:../../../etc/passwd"}]}')
    with pytest.raises(PullError, match="neither a GGUF file"):
        pulled("ollama:own:0.5b")


def test_a_model_in_the_hub_s_cache_is_found_behind_its_links(tmp_path: Path):
    cache = tmp_path / "models--Owner--Own-GGUF"
    blob = model(cache / "blobs" / "abc")
    snapshot = cache / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot / "own.gguf").symlink_to(blob)
    model(cache / "refs" / "main", b"0123")
    folder, receipt = pulled(f"path:{cache}")
    assert folder.name == "own-gguf"
    assert receipt.files[installed.GGUF].link == str(blob)
    (cache / "refs" / "main").write_text("../../../elsewhere")
    with pytest.raises(PullError, match=r"config\.json"):
        pulled(f"path:{cache}")


def test_what_other_programs_have_is_shown_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    home = tmp_path / "home"
    monkeypatch.setattr(Path, "home", lambda: home)
    assert "no GGUF files here" in run("model", "list", "--found").stdout
    file = model(home / ".lmstudio" / "models" / "Owner" / "Own-GGUF" / "own.gguf")
    model(file.with_name("mmproj-own.gguf"))
    model(file.with_name("broken.gguf"), b"GGUF" + bytes(50))
    ollama(home / ".ollama" / "models")
    ollama(home / ".ollama" / "models", "owner/own", "latest")  # the same weights
    cached = home / ".cache" / "huggingface" / "hub" / "models--o--n" / "snapshots" / "1" / "again.gguf"
    cached.parent.mkdir(parents=True)
    cached.symlink_to(file)
    others = json.loads(run("model", "list", "--found", "--json").stdout)["found"]
    assert [(other["program"], other["source"]) for other in others] == [
        ("LM Studio", f"path:{file}"),
        ("Ollama", "ollama:own:0.5b"),
    ]
    assert others[0] == {
        "program": "LM Studio",
        "source": f"path:{file}",
        "file": str(file),
        "size": len(WEIGHTS),
        "title": "Own Model",
        "licence": "mit",
        "architecture": "llama",
        "quantisation": "Q4_K_M",
    }
    shown = run("model", "list", "--found").stdout
    assert "ollama:own:0.5b" in shown
    assert "found" not in json.loads(run("model", "list", "--json").stdout)


def test_a_file_of_the_hub_is_named_by_its_repository_and_name():
    wanted = manifest.find("hf:Qwen/Qwen2.5-3B-Instruct-GGUF/qwen2.5-3b-instruct-q4_k_m.gguf")
    assert (wanted.source, wanted.file) == (
        "hf:Qwen/Qwen2.5-3B-Instruct-GGUF",
        "qwen2.5-3b-instruct-q4_k_m.gguf",
    )
    assert wanted.id == "qwen2.5-3b-instruct-q4_k_m"
