"""Loads a model folder in the form that its device computes fastest.

On a CPU, MLX's matrix products of quantised and of half-precision weights are several times slower than those of
fp32 in a good BLAS, so there the weights are expanded: four to eight times the memory. On Metal they stay.
"""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

from anchorline.engine.manifest import Device


class LoadedModel(NamedTuple):
    """A model of mlx_lm, its tokenizer (mlx_lm's wrapper), and where it computes."""

    model: Any
    tokenizer: Any
    device: Device


def load(folder: Path, adapter: Path | None = None) -> LoadedModel:
    """Loads the model in `folder`, with a LoRA adapter where one is given (mlx_lm's format).

    Load the BLAS before (`blas.load`). Raises what mlx_lm raises for files that it can't read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # transformers misses torch, which nobody needs here
        import mlx.core as mx  # noqa: PLC0415  (MLX, which must find the BLAS loaded; the same below)
        from mlx.utils import tree_flatten, tree_unflatten  # noqa: PLC0415
        from mlx_lm import utils  # noqa: PLC0415

    model, config = utils.load_model(folder, lazy=True)
    tokenizer = utils.load_tokenizer(folder, eos_token_ids=config.get("eos_token_id"))
    on_metal = mx.metal.is_available()
    if not on_metal:
        model.set_dtype(mx.float32)
        model = utils.dequantize_model(model)
    if adapter is not None:
        model = utils.load_adapters(model, str(adapter))
        if not on_metal:  # into the weights, so that it costs nothing; quantised ones would lose by it
            fused = [(name, part.fuse()) for name, part in model.named_modules() if hasattr(part, "fuse")]
            model.update_modules(tree_unflatten(fused))
    model.eval()
    for _, parameter in tree_flatten(model.parameters()):  # one by one, so that few are there in both forms
        mx.eval(parameter)
    mx.clear_cache()
    return LoadedModel(model, tokenizer, "metal" if on_metal else "cpu")
