"""Token estimates from bytes and character classes.

Exact tokenizers are not public for every provider, and len/4 is off by a fifth and more for code, logs and
JSON. What a tokenizer makes of a text depends on how much of it is letters, and on how often punctuation and
digits interrupt them: a few counts, taken from a sample where the text is long, give most of what can be had.

`measure` takes the counts, `weigh` multiplies them with a family's coefficients; `estimate` is both. The
coefficients were fitted to the usage that providers reported for real sessions (docs/research/tokens.md):

    python tests/bench tokens --transcripts DIR --requests FILE
"""

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from anchorline.prompt import vision
from anchorline.prompt.attachments import NOTHING, Attached, Image, may_hold, within
from anchorline.prompt.model import Kind

Family = Literal["anthropic", "anthropic-4.6", "openai", "other"]
"""A tokenizer: Claude since Opus 4.7 and Sonnet 5, Claude before, OpenAI's, and what is not known."""


class SegmentFeatures(NamedTuple):
    """Counts of a segment.

    `size` is bytes; of the sample of them that was looked at (`seen` bytes) `punctuation`, `pairs` of
    punctuation, `digits` and `wide` (not ASCII) are counts. `wrapped` is 1 for a JSON object, whose
    wrapping does not all reach the model. Thinking has in `size` the bytes of its sealed text. `attached` are the
    images and documents, whose base64 is no part of the other counts.
    """

    size: int
    seen: int = 1
    punctuation: int = 0
    pairs: int = 0
    digits: int = 0
    wide: int = 0
    wrapped: int = 0
    attached: Attached = NOTHING


_NOTHING = SegmentFeatures(0)
Measure = Callable[[bytes, Kind], SegmentFeatures]


class Coefficients(NamedTuple):
    """Tokens for one of each feature, for the wrapping of a block by its kind, and for sealed thinking."""

    size: float
    punctuation: float
    pairs: float
    digits: float
    wide: float
    text: float
    tool_use: float
    tool_result: float
    sealed: float
    thinking: float


# The bench's rows "coefficients"; docs/research/tokens.md says which of them the data can't tell.
_CLAUDE = Coefficients(0.233, 0.824, -1.514, 0.050, 0.195, -9.2, 11.6, 11.6, 0.185, -28.0)
_OPENAI = Coefficients(0.213, 0.288, -0.339, 0.288, 0.0, 1.2, -35.0, -14.0, 0.17, -30.0)
SINCE_4_7 = 1.3
COEFFICIENTS: dict[str, Coefficients] = {
    "anthropic": Coefficients(*(SINCE_4_7 * value for value in _CLAUDE)),
    "anthropic-4.6": _CLAUDE,
    "openai": _OPENAI,
    "other": _OPENAI,
}
_WRAPPING: dict[str, dict[str, float]] = {
    name: {"text": by.text, "tool_use": by.tool_use, "tool_result": by.tool_result}
    for name, by in COEFFICIENTS.items()
}

# The bench's rows "spread": standard errors as a share, ±1.645 of which hold 90 % of what requests add.
_CLAUDE_SPREAD = {"text": 0.17, "thinking": 0.19, "tool_use": 0.13, "tool_result": 0.135}
_OPENAI_SPREAD = {"text": 0.145, "thinking": 0.2, "tool_use": 0.085, "tool_result": 0.135}
_SPREADS: dict[str, dict[str, float]] = {
    "anthropic": _CLAUDE_SPREAD,
    "anthropic-4.6": _CLAUDE_SPREAD,
    "openai": _OPENAI_SPREAD,
}
_SPREAD = 0.15
_UNKNOWN_SPREAD = 0.25

_OTHERWISE = frozenset({"thinking", "image", "document", "other"})
"""Kinds that are not estimated by character classes alone."""
_HOLDING = frozenset({"image", "document", "tool_result", "other"})
"""Kinds of blocks in which images and documents stand."""
_HEAD = 256
"""Bytes of a tool's result in which its content begins."""
_ONE_TEXT = b'[{"type":"text",'

_SAMPLE = 128
_PIECE = _SAMPLE // 2
_CLASSES = bytes(
    ord("u" if c > 127 else "0" if chr(c).isdigit() else "a" if chr(c).isalpha() or c == 0x20 else ".")
    for c in range(256)
)
_VERSION = re.compile(r"claude-(opus|sonnet|haiku)-(\d+)(?:-(\d{1,2}))?(?!\d)|claude-[23][.-]")
_SEALS = (b'"signature":"', b'"encrypted_content":"', b'"data":"')


def family(model: str | None) -> Family:
    """Returns the tokenizer of a model, by its name (a provider's prefix does not matter)."""
    name = (model or "").lower()
    if "claude" in name:
        match = _VERSION.search(name.replace(".", "-"))
        if match is None:
            return "anthropic"
        if match[1] is None:
            return "anthropic-4.6"
        since = (4, 7) if match[1] == "opus" else (5, 0)
        return "anthropic" if (int(match[2]), int(match[3] or 0)) >= since else "anthropic-4.6"
    if "gpt" in name or "codex" in name or re.match(r"(?:.*/)?o[1-9]", name):
        return "openai"
    return "other"


def estimate(data: bytes, kind: Kind, family: str, model: str | None = None) -> int:
    """Returns the tokens of a segment from its source bytes: one raw JSON content block, or plain text.

    `model` says how images count, where the family does not.
    """
    return weigh(measure(data, kind), kind, family, model)


def estimator(family: str, model: str | None = None) -> Callable[[bytes, Kind], int]:
    """Returns `estimate` for one family and model.

    A request of hundreds of small blocks spends its time in calls, so `measure` and `weigh` stand in one here; a test
    holds them equal.
    """
    a, b, c, d, e, *_ = COEFFICIENTS.get(family, _OPENAI)
    wrapping = _WRAPPING.get(family, _WRAPPING["other"])
    classes, piece = _CLASSES, _PIECE

    def run(data: bytes, kind: Kind) -> int:
        if kind in _OTHERWISE or (kind == "tool_result" and _holding(data)):
            return estimate(data, kind, family, model)
        size = seen = len(data)
        if size > _SAMPLE:
            third = size // 3
            second = size - third
            sample = data[third : third + piece] + data[second : second + piece]
            seen = len(sample)
        else:
            sample = data
        count = sample.translate(classes).count
        value = b * count(b".") + c * count(b"..") + d * count(b"0")
        if not sample.isascii():
            value += e * count(b"u")
        value = a * size + value * size / (seen or 1)
        if data[:1] == b"{":
            value += wrapping.get(kind, 0.0)
        return int(value + 0.5) if value >= 1 else 1

    return run


def measure(data: bytes, kind: Kind = "text") -> SegmentFeatures:
    """Counts a segment's features. Of more than 128 bytes two pieces are looked at: length costs nothing."""
    size = len(data)
    wrapped = 1 if data[:1] == b"{" else 0
    if kind == "thinking":
        return SegmentFeatures(_sealed(data), wrapped=wrapped)
    attached = NOTHING
    if kind in _HOLDING and wrapped and (kind != "tool_result" or _holding(data)):
        attached, data = within(data)
        size = len(data)
    if kind == "image" and not attached.images:
        attached = attached._replace(images=(Image(),))
    if size <= _SAMPLE:
        sample = data
    else:
        third = size // 3
        second = size - third
        sample = data[third : third + _PIECE] + data[second : second + _PIECE]
    count = sample.translate(_CLASSES).count
    wide = 0 if sample.isascii() else count(b"u")
    counts = (size, len(sample) or 1, count(b"."), count(b".."), count(b"0"), wide, wrapped, attached)
    return tuple.__new__(SegmentFeatures, counts)  # a third of the time of SegmentFeatures(…)


def unmeasured(data: bytes, kind: Kind = "text") -> SegmentFeatures:  # noqa: ARG001  (the signature of `measure`)
    """Stands in for `measure` where no estimate is needed: an import has the provider's own counts."""
    return _NOTHING


def weigh(features: SegmentFeatures, kind: Kind, family: str, model: str | None = None) -> int:
    """Returns the tokens of what was measured, for a family of models; at least 1. `model`: how images count."""
    size, seen, punctuation, pairs, digits, wide, wrapped, attached = features
    a, b, c, d, e, _, _, _, sealed, base = COEFFICIENTS.get(family, _OPENAI)
    if kind == "thinking":
        value = sealed * size + base
    else:
        value = a * size + (b * punctuation + c * pairs + d * digits + e * wide) * size / seen
        if wrapped:
            value += _WRAPPING.get(family, _WRAPPING["other"]).get(kind, 0.0)
    if attached != NOTHING:
        images, pages, others = attached
        beside = 0.0 if kind == "image" else value
        value = beside + sum([vision.image_tokens(image, family, model) for image in images])
        value += pages * vision.page_tokens(family) + others
    return int(value + 0.5) if value >= 1 else 1


def spread(kind: Kind, family: str) -> float:
    """Returns the standard error of an estimate as a share of it; 1.645 of them to each side hold 90 %.

    Errors of one session go the same way, so those of segments add up; they don't cancel out.
    """
    if kind in ("image", "document"):
        return 0.5
    spreads = _SPREADS.get(family)
    return _UNKNOWN_SPREAD if spreads is None else spreads.get(kind, _SPREAD)


def _holding(data: bytes) -> bool:
    """Says whether a tool's result may have something attached: its content is a list of blocks, or one block."""
    at = data.find(b'"content":', 0, _HEAD) + 10
    if at < 10:
        at = data.find(b'"output":', 0, _HEAD) + 9
    if data.startswith(b'"', at) or data.startswith(b' "', at):  # nearly every result is a string
        return False
    # One block of text is the next in number; what else a list may hold needs a closer look.
    return not (data.startswith(_ONE_TEXT, at) and data.rfind(b'{"type":') == at + 1) and may_hold(data)


def _sealed(data: bytes) -> int:
    """Returns the bytes of thinking's sealed text; where there is none, what the open text would have."""
    for seal in _SEALS:
        start = data.find(seal)
        if start >= 0:
            start += len(seal)
            sealed = data.find(b'"', start) - start
            if sealed > 64:
                return sealed
    # Base64 makes four bytes of three, and the seal adds some 180.
    return len(data) * 4 // 3 + 180
