"""What is said where no engine is installed, on each platform."""

import platform
import sys

import pytest

from anchorline.engine import requirements


@pytest.mark.parametrize(
    ("system", "machine", "mlx", "llama"),
    [
        (
            "linux",
            "x86_64",
            "pip install 'mlx[cpu]' mlx-lm gguf huggingface-hub",
            "pip install xllamacpp jinja2",
        ),
        ("darwin", "arm64", "pip install mlx mlx-lm gguf huggingface-hub", "pip install xllamacpp jinja2"),
        ("darwin", "x86_64", "no build for darwin on x86_64", "pip install xllamacpp jinja2"),
        ("win32", "AMD64", "no build for win32 on AMD64", "no build for win32 on AMD64"),
    ],
)
def test_what_installs_a_local_model_or_why_nothing_does(
    system: str, machine: str, mlx: str, llama: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(requirements, "find_spec", lambda _name: None)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert mlx in requirements.missing("mlx")
    assert llama in requirements.missing("gguf")
    assert requirements.missing() in (requirements.missing("mlx"), requirements.missing("gguf"))
    assert "mlx-lm" not in requirements.missing(training=True)


def test_one_engine_is_enough_for_its_own_format(monkeypatch: pytest.MonkeyPatch):
    there = ("xllamacpp", "jinja2")
    monkeypatch.setattr(requirements, "find_spec", lambda name: object() if name in there else None)
    assert requirements.missing() == requirements.missing("gguf") == ""
    assert "MLX" in requirements.missing("mlx")


def test_training_needs_no_mlx_lm(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(requirements, "find_spec", lambda name: object() if name == "mlx" else None)
    assert requirements.missing(training=True) == ""
    assert requirements.missing()
