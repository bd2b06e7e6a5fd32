"""The packages that a local model runs with, and whether they have builds for this machine."""

import platform
import sys
from importlib.util import find_spec
from typing import Literal

Format = Literal["gguf", "mlx"]
"""Of a model: a GGUF file, which llama.cpp loads, or a folder that mlx_lm loads."""

_LLAMA = ("xllamacpp", "jinja2")
_MLX = ("mlx", "mlx_lm")


def mlx_builds() -> bool:
    """Returns whether MLX has builds for this machine, as pyproject.toml asks for them."""
    machines = {"darwin": ("arm64",), "linux": ("x86_64", "aarch64")}
    return sys.version_info < (3, 15) and platform.machine() in machines.get(sys.platform, ())


def llama_builds() -> bool:
    """Returns whether llama.cpp has builds for this machine that export its C interface."""
    machines = {"darwin": ("arm64", "x86_64"), "linux": ("x86_64", "aarch64")}
    return platform.machine() in machines.get(sys.platform, ())


def missing(form: Format | None = None, *, training: bool = False) -> str:
    """Returns what is not installed, and what installs it or why nothing does; "" where all is there.

    A format asks for its own engine; without one, any will do. Training needs MLX alone.
    """
    if training:
        return "" if _there("mlx") else _no_mlx(training=True)
    lacks = {"gguf": "" if _there(*_LLAMA) else _no_llama(), "mlx": "" if _there(*_MLX) else _no_mlx()}
    if form is not None:
        return lacks[form]
    return "" if not all(lacks.values()) else lacks["gguf" if llama_builds() else "mlx"]


def keeps_gguf() -> bool:
    """Returns whether a GGUF file is loaded as it is: by llama.cpp, but not on Metal, where MLX computes."""
    return not (sys.platform == "darwin" and platform.machine() == "arm64") and _there(*_LLAMA)


def _there(*packages: str) -> bool:
    return all(find_spec(name) is not None for name in packages)


def _no_llama() -> str:
    if not llama_builds():
        return f"llama.cpp is not installed: the package xllamacpp has no build for {_machine()} that can be used here"
    return "llama.cpp is not installed: pip install xllamacpp jinja2"


def _no_mlx(*, training: bool = False) -> str:
    if not mlx_builds():
        return (
            f"MLX is not installed: it has no build for {_machine()}, only for Apple silicon, and for Linux on x86-64 "
            "and ARM64"
        )
    mlx = "mlx" if sys.platform == "darwin" else "'mlx[cpu]'"
    return f"MLX is not installed: pip install {mlx if training else f'{mlx} mlx-lm gguf huggingface-hub'}"


def _machine() -> str:
    return f"{sys.platform} on {platform.machine()} with Python {platform.python_version()}"
