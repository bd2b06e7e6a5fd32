"""An installed model as mlx_lm's folder: on a CPU a GGUF file stays as it is, for llama.cpp."""

import shutil

from anchorline.engine import installed
from anchorline.engine.converting import convert
from anchorline.engine.errors import DamagedModelError
from anchorline.engine.manifest import LocalModel


def converted(name: str) -> str:
    """Install the model `name` as mlx_lm's folder as well, once, and return the id of that. Raises DamagedModelError."""
    folder = installed.folder(name)
    if installed.receipt(folder) is None:
        raise DamagedModelError(f"{name} is not installed: run `anchorline model pull {name}`")
    own = f"{name}-mlx"
    try:
        installed.verify(installed.folder(own))
    except DamagedModelError:
        staged = installed.staging(own)
        shutil.rmtree(staged, ignore_errors=True)
        if (folder / installed.GGUF).is_file():
            staged.mkdir()
            convert(folder / installed.GGUF, staged)
        else:
            shutil.copytree(folder, staged, ignore=shutil.ignore_patterns(".*", installed.RECEIPT))
        installed.install(LocalModel(f"path:{folder}", id=own), staged)
    return own
