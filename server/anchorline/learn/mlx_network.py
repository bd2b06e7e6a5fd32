"""The network in MLX, for Metal and for training. Import it only where a network is really used."""

from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from anchorline.learn import forward
from anchorline.learn.forward import Batch, Floats, Values
from anchorline.learn.network import Network


class MlxNetwork(Network):
    """A network whose arithmetic MLX does; all else is `Network`'s. Equal to it within 1e-4."""

    def __init__(self, network: Network) -> None:
        super().__init__(network.description, network.arrays)
        self._mlx_arrays = {name: mx.array(values) for name, values in network.arrays.items()}
        self._offsets = mlx_columns(self._columns)

    def _gap(self, batch: Batch) -> Floats:
        mlx_batch = moved(batch)
        z = self._trunk("gap", mlx_batch)
        return np.array(forward.gap(self._mlx_arrays, z, mlx_batch, self._offsets["gap"]))

    def _hit(self, batch: Batch) -> Floats:
        mlx_batch = moved(batch)
        z = self._trunk("hit", mlx_batch)
        return np.array(forward.hit(self._mlx_arrays, z, mlx_batch, self._offsets["hit"]))

    def _solve(self, batch: Batch, embeddings: Floats, biases: Floats) -> Floats:
        z = self._trunk("solve", moved(batch))
        return np.array(forward.solve(self._mlx_arrays, z, mx.array(embeddings), mx.array(biases)))

    def _trunk(self, head: str, batch: Batch) -> Values:
        return forward.trunk(self._mlx_arrays, batch, self.form, self.form.view(head), mx)


def on_metal(network: Network) -> Network:
    """Returns the network on Metal, for many decisions at once; as it is where there is no Metal."""
    return MlxNetwork(network) if mx.metal.is_available() else network


def moved(batch: Batch) -> Batch:
    """Returns a batch with MLX's arrays."""
    return Batch(*map(mx.array, batch))


def mlx_columns(columns: dict[str, npt.NDArray[np.int64] | None]) -> dict[str, Any]:
    """Returns the columns of the heads' offsets as MLX's arrays."""
    return {head: None if indices is None else mx.array(indices) for head, indices in columns.items()}
