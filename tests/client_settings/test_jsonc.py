"""Settings in JSON with comments: what is set can be read, taken out it is gone, and nothing else changes."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from anchorline.client_settings import jsonc

KEYS = st.sampled_from(["env", "a", "ü", 'with "quotes"', "{}"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=9,
)
BLANKS = st.sampled_from(["", " ", "\n\t", "\r\n  ", ' // a, "b": {\n', "/* [ */"])


@st.composite
def commented(draw: st.DrawFn, value: object) -> str:
    """A value as a person writes it: comments anywhere, sometimes a comma after the last member."""
    if (isinstance(value, dict) and value) or (isinstance(value, list) and value):
        items = value.items() if isinstance(value, dict) else ((None, one) for one in value)
        written = [
            draw(BLANKS)
            + ("" if key is None else json.dumps(key) + draw(BLANKS) + ":" + draw(BLANKS))
            + draw(commented(one))
            + draw(BLANKS)
            for key, one in items
        ]
        text = ",".join(written) + draw(st.sampled_from(["", ","])) + draw(BLANKS)
        return "{" + text + "}" if isinstance(value, dict) else "[" + text + "]"
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


def plain(text: str) -> object:
    """Read it with a parser of its own: without comments and trailing commas, as JSON."""
    tokens = re.findall(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/|[^"/]+|/', text, re.DOTALL)
    bare = [one for one in tokens if not one.startswith(("//", "/*"))]
    kept = "".join(one if one.startswith('"') else re.sub(r"\s", "", one) for one in bare)
    parts = re.findall(r'"(?:[^"\\]|\\.)*"|[^"]+', kept)
    return json.loads("".join(p if p.startswith('"') else re.sub(r",(?=[}\]])", "", p) for p in parts))


@given(st.data(), st.dictionaries(KEYS, VALUES, max_size=4), st.lists(KEYS, min_size=1, max_size=3))
def test_what_is_set_is_there_and_nothing_else_changes(data, document, path):
    text = data.draw(BLANKS) + data.draw(commented(document)) + data.draw(BLANKS)
    if text.rstrip(" \t").endswith("{") and "//" in text:  # a comment that the end of the file ends
        text += "\n"
    assert plain(text) == document
    after = jsonc.put(text, path, "value")
    wanted = json.loads(json.dumps(document))
    inner = wanted
    for key in path[:-1]:
        inner[key] = inner[key] if isinstance(inner.get(key), dict) else {}
        inner = inner[key]
    inner[path[-1]] = "value"
    assert plain(after) == wanted
    assert json.loads(jsonc.get(after, path)) == "value"
    gone = jsonc.drop(after, path)
    del inner[path[-1]]
    assert plain(gone) == wanted
    for comment in re.findall(r"// a|/\* \[ \*/", text):
        if path[0] not in document:
            assert gone.count(comment) == text.count(comment)


def test_a_member_is_written_as_its_neighbours_are():
    assert jsonc.put('{\n    "a": 1 // one\n}\n', ("b", "c"), 2) == (
        '{\n    "a": 1, // one\n    "b": {\n        "c": 2\n    }\n}\n'
    )
    assert jsonc.put('{"a": 1}', ("b",), "x") == '{"a": 1, "b": "x"}'
    assert jsonc.put("", ("b",), "x") == '{\n  "b": "x"\n}\n'
    assert jsonc.put('{\r\n\t"a": 1,\r\n}', ("b",), 2) == '{\r\n\t"a": 1,\r\n\t"b": 2\r\n}'
