"""The packages that a local model runs with, and whether they have builds for this machine."""

import platform
import sys
from importlib.util import find_spec


def builds() -> bool:
    """Returns whether MLX has builds for this machine, as pyproject.toml asks for them."""
    machines = {"darwin": ("arm64",), "linux": ("x86_64", "aarch64")}
    return sys.version_info < (3, 15) and platform.machine() in machines.get(sys.platform, ())


def missing(*, training: bool = False) -> str:
    """Returns what is not installed, and what installs it or why nothing does; "" where all is there.

    Training needs MLX alone, a model also mlx-lm.
    """
    if all(find_spec(name) is not None for name in (("mlx",) if training else ("mlx", "mlx_lm"))):
        return ""
    if not builds():
        return (
            f"MLX is not installed: it has no build for {sys.platform} on {platform.machine()} with Python "
            f"{platform.python_version()}, only for Apple silicon, and for Linux on x86-64 and ARM64"
        )
    mlx = "mlx" if sys.platform == "darwin" else "'mlx[cpu]'"
    return f"MLX is not installed: pip install {mlx if training else f'{mlx} mlx-lm huggingface-hub'}"


def keeps_gguf() -> bool:
    """Returns whether a GGUF file is loaded as it is: by llama.cpp, but not on Metal, where MLX computes."""
    return (
        not (sys.platform == "darwin" and platform.machine() == "arm64")
        and find_spec("xllamacpp") is not None
    )
