"""Why a request read less than was believed warm: told from its bill."""

import pytest

from anchorline.cache.miss_causes import shortfall

ENDS = (40_000, 61_000, 90_000)


@pytest.mark.parametrize("read", [90_000, 89_000, 95_000])
def test_what_was_believed_needs_no_reason(read: int):
    assert shortfall(read, 90_000, ENDS) is None


@pytest.mark.parametrize(
    ("read", "code"),
    [(0, "dropped"), (61_020, "not_readable"), (16_700, "history_changed"), (52_000, "history_changed")],
)
def test_the_reason_is_told_by_where_the_read_ended(read: int, code: str):
    found = shortfall(read, 90_000, ENDS)
    assert found is not None
    assert (found.code, found.read, found.believed) == (code, read, 90_000)
    assert "90,000 tokens" in found.text
    assert read == 0 or f"{read:,}" in found.text


def test_a_few_tokens_are_no_shortfall_of_a_small_prompt():
    assert shortfall(1000, 1050) is None
