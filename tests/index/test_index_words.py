"""What terms a text has, and that counting them is the same by the fast way."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.index import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parse_configs", ["parse_configs", "pars", "config"]),
        ("the HTTPServer2 is stopping", ["httpserver2", "http", "server", "stop"]),
        ("queries caches cache running", ["query", "cach", "cach", "run"]),
        ("2nd größe __init__ x", ["nd", "größ", "init"]),
        ("a" * 101, []),
    ],
)
def test_terms(text: str, expected: list[str]):
    assert list(words.terms(text)) == expected


def test_a_word_and_its_forms_are_one_term():
    for forms in (
        "file files",
        "parse parses parsed parsing",
        "query queries",
        "stop stops stopped stopping",
        "pass passes passing",
    ):
        assert len(set(words.terms(forms))) == 1, forms


@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from(["a_b", "fooBar", "9x", "é", "“naïve”", "x²", "\u2028", "_", "日本"])).map(
        " ".join
    )
)
def test_counting_is_of_what_terms_yields(text: str):
    expected = Counter(words.key(term) for term in words.terms(text.encode("utf-8", "replace").decode()))
    counted = words.count(text.encode("utf-8", "replace"))
    hashes = np.frombuffer(counted.hashes, np.uint32).tolist()
    assert dict(zip(hashes, counted.counts, strict=True)) == {
        key: min(times, 255) for key, times in expected.items()
    }
    assert hashes == sorted(hashes)
    assert counted.length == expected.total()


def test_of_a_text_of_too_many_terms_the_frequent_ones_are_kept():
    text = " ".join(f"w{number:05}x" for number in range(words.MOST_TERMS + 100)) + " often" * 300
    counted = words.count(text.encode())
    assert len(counted.counts) == words.MOST_TERMS
    assert max(counted.counts) == 255
