"""What is said where MLX is not installed, on each platform."""

import platform
import sys

import pytest

from anchorline.engine import requirements


@pytest.mark.parametrize(
    ("system", "machine", "said"),
    [
        ("linux", "x86_64", "pip install 'mlx[cpu]' mlx-lm huggingface-hub"),
        ("darwin", "arm64", "pip install mlx mlx-lm huggingface-hub"),
        ("darwin", "x86_64", "no build for darwin on x86_64"),
        ("win32", "AMD64", "no build for win32 on AMD64"),
    ],
)
def test_what_installs_a_local_model_or_why_nothing_does(
    system: str, machine: str, said: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(requirements, "find_spec", lambda _name: None)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert said in requirements.missing()
    assert "mlx-lm" not in requirements.missing(training=True)


def test_training_needs_no_mlx_lm(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(requirements, "find_spec", lambda name: object() if name == "mlx" else None)
    assert requirements.missing(training=True) == ""
    assert requirements.missing()
