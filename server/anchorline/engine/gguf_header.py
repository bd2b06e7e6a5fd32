"""Reads what a GGUF file says of itself: architecture, name, licence, quantisation. Nothing is loaded.

A stranger's file decides neither how much is read nor how much memory that takes.
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from pathlib import Path
from typing import BinaryIO

import msgspec

from anchorline.engine.errors import ConversionError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MOST_KEYS = 4_096
LONGEST_VALUE = 1 << 20
"""Bytes of a string that is kept; chat templates and licences are the longest."""
LONGEST_HEADER = 64 << 20
"""Bytes that are read at most: vocabulary and merges of the largest models take a third."""
DEEPEST = 2
"""Arrays of arrays."""

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value by its type, but for strings (8) and arrays (9)."""
_STRING, _ARRAY, _UINT32 = 8, 9, 4
_WANTED = (
    "general.architecture",
    "general.name",
    "general.license",
    "general.file_type",
    "tokenizer.chat_template",
)
# fmt: off
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 32: "BF16",
}
# fmt: on
"""llama.cpp's `llama_ftype`: https://github.com/ggml-org/llama.cpp/blob/master/include/llama.h"""


class Header(msgspec.Struct, frozen=True):
    """What a GGUF file says of itself; "" where it does not."""

    architecture: str
    name: str = ""
    licence: str = ""
    quantisation: str = ""
    chat: bool = False


def is_gguf(file: Path) -> bool:
    """Returns whether a file begins as a GGUF file does."""
    try:
        with file.open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read(file: Path) -> Header:
    """Returns the header of a GGUF file. Raises ConversionError with the reason, and OSError."""
    try:
        with file.open("rb") as stream:
            values = _values(_Reader(stream))
    except (struct.error, UnicodeDecodeError, OverflowError) as error:
        raise ConversionError(f"{file.name} is not a GGUF file, or damaged") from error
    architecture = values.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise ConversionError(f"{file.name} names no architecture")
    kind = values.get("general.file_type")
    return Header(
        architecture,
        _text(values, "general.name"),
        _text(values, "general.license"),
        _FILE_TYPES.get(kind, "") if isinstance(kind, int) else "",
        chat=bool(_text(values, "tokenizer.chat_template")),
    )


def _text(values: dict[str, str | int], key: str) -> str:
    value = values.get(key, "")
    return value if isinstance(value, str) else ""


class _Reader:
    """Numbers and strings from a stream, up to `LONGEST_HEADER` bytes. Raises struct.error where there are none."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = LONGEST_HEADER

    def bytes(self, size: int) -> bytes:
        if size > LONGEST_VALUE or size > self._left:
            raise struct.error
        self._left -= size
        data = self._stream.read(size)
        if len(data) < size:
            raise struct.error
        return data

    def number(self, layout: str) -> int:
        (value,) = struct.unpack(layout, self.bytes(struct.calcsize(layout)))
        return int(value)

    def skip(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise struct.error
        self._stream.seek(size, 1)


def _values(reader: _Reader) -> dict[str, str | int]:
    """Returns the wanted keys; the tensors behind them are not looked at."""
    if reader.bytes(4) != MAGIC or reader.number("<I") not in VERSIONS:
        raise struct.error
    reader.number("<Q")  # tensors
    keys = reader.number("<Q")
    if keys > MOST_KEYS:
        raise struct.error
    values: dict[str, str | int] = {}
    for _ in range(keys):
        key = reader.bytes(reader.number("<Q")).decode()
        kind = reader.number("<I")
        if key in _WANTED and kind == _STRING:
            values[key] = reader.bytes(reader.number("<Q")).decode("utf-8", "replace")
        elif key in _WANTED and kind == _UINT32:
            values[key] = reader.number("<I")
        else:
            _skip(reader, kind, 1)
    return values


def _skip(reader: _Reader, kind: int, count: int, depth: int = 0) -> None:
    if kind in _SIZES:
        reader.skip(count * _SIZES[kind])
        return
    if kind not in (_STRING, _ARRAY) or depth > DEEPEST:
        raise struct.error
    for _ in range(count):
        if kind == _STRING:
            reader.skip(reader.number("<Q"))
        else:
            _skip(reader, reader.number("<I"), reader.number("<Q"), depth + 1)
