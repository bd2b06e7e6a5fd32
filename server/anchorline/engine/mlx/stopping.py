"""Stops a pass of the model after the layer that it is at, not after all of them.

A pass over a part of the prompt takes most of a second on a CPU, and one over a single token 60 ms: too long for
somebody who has cancelled. There a layer is evaluated before the next one is begun, which costs nothing that could be
measured. A GPU would wait for each layer, and has done its passes sooner: there they are left whole.
"""

from collections.abc import Callable
from typing import Any

from anchorline.engine.backend import StoppedError


def watch(model: Any, stopped: Callable[[], bool]) -> None:  # noqa: ANN401  (a model of mlx_lm)
    """Makes each layer of a model ask whether it was the last one; then it raises `StoppedError`."""
    import mlx.core as mx  # noqa: PLC0415  (in the worker only)

    def watched(kind: Any) -> type:  # noqa: ANN401  (a layer's class)
        class Watched(kind):  # type: ignore[misc]
            def __call__(self, *given: Any, **named: Any) -> Any:  # noqa: ANN401
                if stopped():
                    raise StoppedError
                after = super().__call__(*given, **named)
                mx.eval(after)
                return after

        return Watched

    kinds = {kind: watched(kind) for kind in {type(layer) for layer in model.layers}}
    for layer in model.layers:
        layer.__class__ = kinds[type(layer)]  # it keeps its weights, and all that the model asks of it
