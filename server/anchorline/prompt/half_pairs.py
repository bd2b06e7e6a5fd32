r"""Half a surrogate pair, as in ``"\ud83d"``, which JavaScript writes where it has cut an emoji in two.

Decoders refuse it. It is JSON all the same (RFC 8259, section 8.2), and providers take it, so what holds one is read
with U+FFFD in its place, at the same length: offsets are those of the text as it was sent, which is what goes on.
"""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

Value = TypeVar("Value")
_ESCAPES = re.compile(
    rb"(?P<fine>\\[^u]|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u(?![dD][89a-fA-F])....)|\\u[dD]...", re.DOTALL
)


def replaced(text: bytes) -> bytes:
    """Returns JSON with U+FFFD for each half of a pair, at the same length."""
    return _ESCAPES.sub(lambda match: match[0] if match.lastgroup == "fine" else b"\\ufffd", text)


def decoded(decode: Callable[[bytes], Value], text: bytes) -> Value:
    """Returns what a decoder makes of JSON that may hold halves. Raises what the decoder raises."""
    try:
        return decode(text)
    except msgspec.MsgspecError:
        mended = replaced(text)
        if mended == text:
            raise
        return decode(mended)
