"""Tokens of an image by its pixels, and of a document's page, by each provider's rule.

Claude: one token for each 28 × 28 pixels begun, after the image is made smaller, with its aspect ratio, until it fits
the model's native resolution (platform.claude.com, vision and vision-coordinates). OpenAI: older models count tiles of
512 × 512 pixels, newer ones patches of 32 × 32 times a factor (developers.openai.com, images-vision); the factors are
those that were measured, where the guide says otherwise (community.openai.com/t/1377015). Both rules give, to the
token, what was billed for ten sizes of images in October 2026 (huggingface.co/datasets/JOHNISKING/image-token-cost).
"""

import re
from math import ceil, floor, sqrt
from typing import NamedTuple

from anchorline.prompt.attachments import Image

USUAL = 1200
"""Tokens of an image whose size is not known: a usual screenshot's."""
GEMINI = 1090
"""Gemini 3 counts each image alike (the same data set)."""

_NATIVE = {"anthropic": (2576, 4784), "anthropic-4.6": (1568, 1568)}
"""Claude's native resolutions: the longer edge in pixels, and tokens."""
_PIXELS_A_TOKEN = 750
_PAGES = {"anthropic": 2350, "anthropic-4.6": 2100, "openai": 1500}
"""Tokens of a page, its image and its text. Claude: measured, 2 320 to 2 480 and 2 100 to 2 280 for pages of text,
1 600 for a scanned one (huggingface.co/datasets/JOHNISKING/pdf-token-cost). OpenAI: an image of the page and some 500
tokens of text, which is an assumption."""
_USUAL_PAGE = 1500


class _Tiles(NamedTuple):
    """Tokens for an image, and for each tile of 512 × 512 pixels of it, at most 2048 pixels long and 768 wide."""

    base: int
    tile: int


class _Patches(NamedTuple):
    """Tokens for a patch of 32 × 32 pixels, and how many there are at most by the image's ``detail``."""

    factor: float
    most: int = 1536
    low: int = 1536
    original: int = 1536


_OPENAI: tuple[tuple[re.Pattern[str], _Tiles | _Patches], ...] = tuple(
    (re.compile(name), rule)
    for name, rule in (
        (r"gpt-4o-mini", _Tiles(2833, 5667)),
        (r"gpt-4\.1-mini", _Patches(1.62)),
        (r"gpt-4\.1-nano", _Patches(2.46)),
        (r"gpt-4|chatgpt-4", _Tiles(85, 170)),
        (r"o4-mini|codex-mini", _Patches(1.72)),
        (r"(?<![a-z0-9])o[13]\b", _Tiles(75, 150)),
        (r"gpt-5-nano", _Patches(1.5)),
        (r"gpt-5-mini|gpt-5\.[23](?!\d)", _Patches(1.2)),
        (r"gpt-5(?!\.\d)|gpt-5\.1(?!\d)", _Tiles(70, 140)),
        (r"gpt-5", _Patches(1.2, 2500, 256, 10_000)),
        (r"", _Patches(1.2, 2500, 256, 1 << 30)),
    )
)
_LONGEST, _SHORTEST, _TILE, _PATCH, _CLAUDE_PATCH = 2048, 768, 512, 32, 28


def image_tokens(image: Image, family: str, model: str | None) -> int:
    """Returns the tokens of an image for a model of a family (`tokens.family`)."""
    width, height = image.width, image.height
    name = (model or "").lower()
    if width <= 0 or height <= 0:
        return USUAL
    if family in _NATIVE:
        return _claude(width, height, *_NATIVE[family])
    if family == "openai":
        rule = next(rule for form, rule in _OPENAI if form.search(name))
        return _tiles(image, rule) if isinstance(rule, _Tiles) else _patches(image, rule)
    if "gemini" in name:
        return GEMINI
    return min(max(width * height // _PIXELS_A_TOKEN, 1), USUAL)


def page_tokens(family: str) -> int:
    """Returns the tokens of a document's page for a family of models."""
    return _PAGES.get(family, _USUAL_PAGE)


def _claude(width: int, height: int, edge: int, most: int) -> int:
    """Returns the patches of the largest size with this aspect ratio that fits `edge` pixels and `most` patches."""
    longer = max(width, height)

    def patches(size: int) -> int:
        return ceil(max(width * size // longer, 1) / _CLAUDE_PATCH) * ceil(
            max(height * size // longer, 1) / _CLAUDE_PATCH
        )

    low, high = 1, min(longer, edge)
    if patches(high) <= most:
        return patches(high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if patches(middle) <= most else (low, middle)
    return patches(low)


def _tiles(image: Image, rule: _Tiles) -> int:
    if image.detail == "low":
        return rule.base
    width, height = image.width, image.height
    scale = min(1.0, _LONGEST / max(width, height))
    scale = min(scale, _SHORTEST / min(width, height))
    return rule.base + rule.tile * ceil(width * scale / _TILE) * ceil(height * scale / _TILE)


def _patches(image: Image, rule: _Patches) -> int:
    width, height = image.width, image.height
    most = {"low": rule.low, "high": rule.most}.get(image.detail, rule.original)
    count = ceil(width / _PATCH) * ceil(height / _PATCH)
    if count > most:
        scale = sqrt(most * _PATCH**2 / (width * height))
        across, down = width * scale / _PATCH, height * scale / _PATCH
        scale *= min(max(floor(across), 1) / across, max(floor(down), 1) / down)
        count = min(ceil(round(width * scale / _PATCH, 6)) * ceil(round(height * scale / _PATCH, 6)), most)
    return ceil(round(rule.factor * count, 6))
