"""Turns GGUF's blocks of quantised weights into MLX's: packed integers, a scale and a bias for each 32 weights.

Where a block is 32 weights with one scale, as in Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K and Q5_K, MLX's affine
quantisation says the same with the same integers, so nothing is lost. Other types (Q6_K has a scale for 16) are
computed and quantised anew with 8 bits.
Layouts: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h
"""

from collections.abc import Callable
from typing import NamedTuple

import mlx.core as mx
import numpy as np
from gguf import GGMLQuantizationType, quants
from numpy.typing import NDArray

from anchorline.engine.errors import ConversionError

GROUP = 32
"""Weights that share a scale and a bias."""
OTHER_BITS = 8
"""For types that MLX can't say as they are."""
CHUNK = 1 << 21
"""Weights that are converted at once."""

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Groups(NamedTuple):
    """Weights in groups of 32: integers, shape (n, 32), and a scale and a bias of each group, shape (n,)."""

    integers: Bytes
    scales: Floats
    biases: Floats


class Quantised(NamedTuple):
    """A matrix as MLX keeps it: `packed` is uint32."""

    packed: NDArray[np.uint32]
    scales: Floats
    biases: Floats


class _Exact(NamedTuple):
    bits: int
    groups: Callable[[Bytes], Groups]


def quantised(data: Bytes, kind: GGMLQuantizationType) -> Quantised:
    """Returns the matrix whose rows of blocks are `data`, shape (rows, bytes). Raises ConversionError."""
    rows = max(1, CHUNK // (data.shape[-1] * 2))
    parts = [_converted(data[start : start + rows], kind) for start in range(0, data.shape[0], rows)]
    return Quantised(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def dense(data: Bytes, kind: GGMLQuantizationType) -> Floats:
    """Returns weights that are numbers (F32, F16, BF16), in fp32. Raises ConversionError."""
    try:
        weights: Floats = quants.dequantize(data, kind).astype(np.float32, copy=False)
    except NotImplementedError as error:
        raise ConversionError(f"weights of the type {kind.name} are not supported") from error
    return weights


def _converted(data: Bytes, kind: GGMLQuantizationType) -> Quantised:
    rows = data.shape[0]
    exact = _EXACT.get(kind)
    if exact is None:
        weights = mx.array(dense(data, kind))
        parts = mx.quantize(weights, group_size=GROUP, bits=OTHER_BITS)
        return Quantised(*(np.array(part) for part in parts))
    _, size = quants.GGML_QUANT_SIZES[kind]
    groups = exact.groups(np.ascontiguousarray(data).reshape(-1, size))
    bits = (groups.integers[..., None] >> np.arange(exact.bits, dtype=np.uint8)) & np.uint8(1)
    packed = np.packbits(bits.reshape(rows, -1), axis=-1, bitorder="little").view(np.uint32)
    return Quantised(packed, groups.scales.reshape(rows, -1), groups.biases.reshape(rows, -1))


def _half(blocks: Bytes, at: int) -> Floats:
    """Returns the fp16 number that stands at a byte of each block."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16).astype(np.float32)[:, 0]


def _nibbles(halves: Bytes) -> Bytes:
    """Returns the lower halves of the bytes of a row, then the upper ones."""
    return np.concatenate([halves & np.uint8(15), halves >> np.uint8(4)], axis=-1)


def _fifth(words: Bytes) -> Bytes:
    """Returns the fifth bit of 32 weights, in place, from four bytes of each row."""
    return np.unpackbits(words, axis=-1, bitorder="little") << np.uint8(4)


def _q4_0(blocks: Bytes) -> Groups:
    scales = _half(blocks, 0)
    return Groups(_nibbles(blocks[:, 2:]), scales, -8 * scales)


def _q4_1(blocks: Bytes) -> Groups:
    return Groups(_nibbles(blocks[:, 4:]), _half(blocks, 0), _half(blocks, 2))


def _q5_0(blocks: Bytes) -> Groups:
    scales = _half(blocks, 0)
    return Groups(_nibbles(blocks[:, 6:]) | _fifth(blocks[:, 2:6]), scales, -16 * scales)


def _q5_1(blocks: Bytes) -> Groups:
    return Groups(_nibbles(blocks[:, 8:]) | _fifth(blocks[:, 4:8]), _half(blocks, 0), _half(blocks, 2))


def _q8_0(blocks: Bytes) -> Groups:
    scales = _half(blocks, 0)
    return Groups(blocks[:, 2:] ^ np.uint8(128), scales, -128 * scales)  # signed, so 128 more


def _super_block(blocks: Bytes) -> tuple[Floats, Floats]:
    """Returns scales and biases of the 8 groups of each block of 256 weights."""
    scales, least = quants.Q4_K.get_scale_min(np.ascontiguousarray(blocks[:, 4:16]))
    return (
        (_half(blocks, 0)[:, None] * scales.astype(np.float32)).reshape(-1),
        (-_half(blocks, 2)[:, None] * least.astype(np.float32)).reshape(-1),
    )


def _q4_k(blocks: Bytes) -> Groups:
    return Groups(_nibbles(blocks[:, 16:].reshape(-1, GROUP)).reshape(-1, GROUP), *_super_block(blocks))


def _q5_k(blocks: Bytes) -> Groups:
    lower = _nibbles(blocks[:, 48:].reshape(-1, GROUP)).reshape(-1, 8, GROUP)
    upper = (
        blocks[:, 16:48].reshape(-1, 1, GROUP) >> np.arange(8, dtype=np.uint8).reshape(1, 8, 1)
    ) & np.uint8(1)
    return Groups((lower | (upper << np.uint8(4))).reshape(-1, GROUP), *_super_block(blocks))


_EXACT = {
    GGMLQuantizationType.Q4_0: _Exact(4, _q4_0),
    GGMLQuantizationType.Q4_1: _Exact(4, _q4_1),
    GGMLQuantizationType.Q5_0: _Exact(5, _q5_0),
    GGMLQuantizationType.Q5_1: _Exact(5, _q5_1),
    GGMLQuantizationType.Q8_0: _Exact(8, _q8_0),
    GGMLQuantizationType.Q4_K: _Exact(4, _q4_k),
    GGMLQuantizationType.Q5_K: _Exact(5, _q5_k),
}
