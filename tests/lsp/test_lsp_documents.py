"""Documents and positions, checked against a slow but obvious model."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from anchorline.lsp.documents import Document, Documents, to_bytes, to_path

KINDS = (types.PositionEncodingKind.Utf8, types.PositionEncodingKind.Utf16, types.PositionEncodingKind.Utf32)
TEXTS = st.text(alphabet=st.sampled_from("ab\n\r é€😀\u2028\x0b"), max_size=40)


def units(text: str, kind: types.PositionEncodingKind) -> int:
    if kind is types.PositionEncodingKind.Utf8:
        return len(text.encode())
    if kind is types.PositionEncodingKind.Utf16:
        return len(text.encode("utf-16-le")) // 2
    return len(text)


def lines(text: str) -> list[str]:
    return re.split("\r\n|\r|\n", text)


@given(TEXTS, st.sampled_from(KINDS))
def test_every_place_has_a_position_and_comes_back(text, kind):
    document = Document("file:///a", text=text, encoding=kind)
    for index in range(len(text) + 1):
        if text[index - 1 : index + 1] == "\r\n":
            continue  # inside a line end there is no position
        before = lines(text[:index])
        expected = types.Position(len(before) - 1, units(before[-1], kind))
        offset = len(text[:index].encode())
        assert document.position(offset) == expected
        assert document.offset(expected) == offset


@given(TEXTS, st.sampled_from(KINDS), st.integers(0, 20), st.integers(0, 60))
def test_positions_beyond_the_text_are_its_nearest_end(text, kind, line, character):
    document = Document("file:///a", text=text, encoding=kind)
    offset = document.offset(types.Position(line, character))
    assert 0 <= offset <= len(document.data)
    document.data[:offset].decode()  # never inside a character
    if line < len(lines(text)):
        assert document.position(offset).line == line


@given(
    TEXTS,
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), TEXTS), max_size=5),
    st.sampled_from(KINDS),
)
def test_incremental_changes_give_the_text_that_the_editor_has(text, changes, kind):
    document = Document("file:///a", text=text, version=0, encoding=kind)
    for version, (first, second, new) in enumerate(changes, start=1):
        start, end = sorted((min(first, len(text)), min(second, len(text))))
        inside = [text[i - 1 : i + 1] == "\r\n" for i in (start, end)]
        start, end = (start - inside[0], end - inside[1])
        where = document.range(len(text[:start].encode()), len(text[:end].encode()))
        document.change([types.TextDocumentContentChangePartial(where, new)], version)
        text = text[:start] + new + text[end:]
        assert document.data.decode() == text
        assert document.version == version


def test_a_whole_text_replaces_the_whole_text():
    document = Document("file:///a", text="one\ntwo", version=1)
    document.change([types.TextDocumentContentChangeWholeDocument("three")], 2)
    assert (document.data, document.version) == (b"three", 2)
    assert document.position(5) == types.Position(0, 5)


def test_half_a_character_keeps_its_width():
    assert to_bytes("a\ud83db").decode() == "a\ufffdb"


def test_a_large_line_of_wide_characters_is_converted_exactly():
    text = "é😀" * 50_000
    document = Document("file:///a", text=text)
    assert document.offset(types.Position(0, 3 * 40_000)) == 6 * 40_000


@pytest.mark.parametrize(
    ("uri", "name", "scheme"),
    [
        ("file:///home/me/a%20b.prompt.md", "a b.prompt.md", "file"),
        ("untitled:Untitled-1", "Untitled-1", "untitled"),
        ("chatSessionInput:input-3", "input-3", "chatsessioninput"),
        ("vscode-remote://ssh-remote%2Bhost/x/CLAUDE.md", "CLAUDE.md", "vscode-remote"),
    ],
)
def test_names_and_schemes(uri, name, scheme):
    document = Document(uri)
    assert (document.name, document.scheme) == (name, scheme)


def test_the_same_document_is_found_however_its_uri_is_escaped():
    documents = Documents()
    documents.put(Document("file:///c%3A/a%20b.md"))
    assert documents.get("file:///c:/a b.md") is documents.get("file:///c%3a/a%20b.md") is not None
    assert documents.remove("file:///c:/a%20b.md") is not None
    assert list(documents) == []


def test_only_file_uris_have_a_path(tmp_path):
    assert to_path((tmp_path / "a b.md").as_uri()) == tmp_path / "a b.md"
    assert to_path("untitled:1") is None
    assert to_path("file:///tmp/a%00b.md") is None
