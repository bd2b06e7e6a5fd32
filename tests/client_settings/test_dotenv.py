"""Settings in `.env` files: what is set is read, taken out the file is what it was, and no other variable changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.client_settings.document import restore
from anchorline.client_settings.dotenv import Dotenv

NAMES = st.sampled_from(["GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "A.b-c", "X"])
WRITTEN = st.sampled_from(
    ["http://a/b?c", "'a # b'", '"two\nlines"', "`x`", "", " spaced out ", '"said \\"so\\""']
)
LINES = st.one_of(
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["", "export ", "  "]),
        NAMES,
        st.sampled_from(["=", " = "]),
        WRITTEN,
    ),
    st.sampled_from(["# GOOGLE_GEMINI_BASE_URL=http://old", "", "   ", "no assignment", "#"]),
    st.builds("{}={} # why".format, NAMES, st.sampled_from(["a", "'b'"])),
)
KEY = ("GOOGLE_GEMINI_BASE_URL",)
VALUE = "http://127.0.0.1:8917/token/gemini"


@given(
    st.lists(LINES, max_size=6),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.sampled_from(["", "\ufeff"]),
)
def test_a_variable_is_set_and_restored(lines: list[str], end: str, ended: bool, mark: str):
    text = mark + end.join(lines) + (end if ended and lines else "")
    document, earlier = Dotenv(text), Dotenv(text)
    document.put(KEY, VALUE)
    assert Dotenv(document.text).values() == earlier.values() | {KEY[0]: VALUE}
    document.put(KEY, VALUE)
    restore(document, KEY, earlier)
    assert document.values() == earlier.values()
    if earlier.item(KEY) is not None or not text or text.endswith("\n"):
        assert document.text == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=b", "b"),
        ("A = b # c", "b"),
        ("A='b # c'", "b # c"),
        ('A="b\\nc"', "b\nc"),
        ("A: b", "b"),
        ("A=", ""),
        ("A=b\nexport A=c", "c"),
        ("#A=b", None),
        ("A=b#c", "b"),
    ],
)
def test_a_value_is_what_dotenv_makes_of_it(text: str, value: str | None):
    assert Dotenv(text).get(("A",)) == value


def test_a_value_that_would_be_read_otherwise_is_refused():
    with pytest.raises(ValueError, match="quotes"):
        Dotenv("").put(KEY, "a # b")
