"""A file that begins with a byte order mark is read as the same file without it, and places in it are right."""

import codecs
import json
from pathlib import Path

import pytest

from anchorline import config
from anchorline.cache.rules import read_toml
from anchorline.cli import setting
from anchorline.client_settings import parsing
from anchorline.lsp.documents import Document
from anchorline.prompt import formats
from anchorline.prompt.model import Prompt
from support.session_logs import ClaudeLog

DOCUMENT = b"---\nmodel: gpt-5.5\n---\n# Task\n\nFix teh parser.\n\n```py\nx = 1\n```\n"
BODIES = {
    "a.request.json": {"model": "claude-sonnet-5", "system": "Be brief.", "messages": [{"role": "user", "content": "Hi"}]},
    "b.request.json": {"model": "gpt-5.5", "messages": [{"role": "user", "content": "Fix teh parser."}]},
    "c.request.json": {"model": "gpt-5.5", "input": "Fix teh parser."},
}  # fmt: skip


def alike(marked: Prompt, plain: Prompt, by: int) -> None:
    assert marked.segments
    assert (marked.format, marked.model) == (plain.format, plain.model)
    assert [one.digest for one in marked.segments] == [one.digest for one in plain.segments]
    assert [one.tokens for one in marked.segments] == [one.tokens for one in plain.segments]
    for there, here in zip(marked.segments, plain.segments, strict=True):
        assert (there.start, there.end) == (here.start + by, here.end + by)
        assert marked.load(there.start, there.end) == plain.load(here.start, here.end)
    assert (marked.draft is None) == (plain.draft is None)
    if marked.draft is not None and plain.draft is not None:
        assert marked.draft.text == plain.draft.text
        assert marked.draft.start == plain.draft.start + by


@pytest.mark.parametrize("name", ["a.prompt.md", "AGENTS.md", "notes.txt"])
def test_a_document(name: str):
    plain = formats.read(DOCUMENT, name=name)
    alike(formats.read(codecs.BOM_UTF8 + DOCUMENT, name=name), plain, 3)
    for mark, coding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        alike(formats.read(mark + DOCUMENT.decode().encode(coding), name=name), plain, 0)


@pytest.mark.parametrize("name", BODIES)
def test_a_body(name: str):
    data = json.dumps(BODIES[name]).encode()
    plain = formats.read(data, name=name)
    alike(formats.read(codecs.BOM_UTF8 + data, name=name), plain, 3)
    alike(formats.read(codecs.BOM_UTF16_LE + data.decode().encode("utf-16-le"), name=name), plain, 0)


def test_half_of_a_character_in_utf_16_is_named():
    with pytest.raises(formats.PromptError, match="UTF-16"):
        formats.read(codecs.BOM_UTF16_LE + b"a", name="a.prompt.md")


def test_a_session_file(tmp_path: Path):
    log = ClaudeLog()
    log.user("Fix teh parser.")
    log.answer("m1")
    log.user("Thanks.")
    plain, marked = tmp_path / "plain.jsonl", tmp_path / "marked.jsonl"
    plain.write_bytes(log.bytes())
    marked.write_bytes(codecs.BOM_UTF8 + log.bytes())
    alike(formats.read_file(marked), formats.read_file(plain), 3)


def test_an_edit_in_an_editor_that_shows_the_mark_stands_where_the_words_are():
    document = Document("file:///a.prompt.md", text="\ufeff" + DOCUMENT.decode())
    prompt = formats.read(document.data, name="a.prompt.md")
    assert prompt.draft is not None
    at = prompt.draft.start + prompt.draft.text.encode().index(b"teh")
    position = document.position(at)
    assert (position.line, position.character) == (5, 4)


def test_settings(tmp_path: Path, isolated_home: Path):
    file = config.user_file()
    file.write_bytes(codecs.BOM_UTF8 + b'[route]\nmodel = "claude-opus-4-8"\n')
    project = tmp_path / config.FILE_NAME
    project.write_bytes(codecs.BOM_UTF8 + b"[refine]\nmax_hints = 1\n")
    loaded = config.load(tmp_path)
    assert loaded.problems == ()
    assert (loaded.config.route.model, loaded.config.refine.max_hints) == ("claude-opus-4-8", 1)
    assert read_toml(project, "") == ({"refine": {"max_hints": 1}}, [])
    assert setting.write(file, "route", "model", "gpt-5.5")
    assert file.read_bytes() == codecs.BOM_UTF8 + b'[route]\nmodel = "gpt-5.5"\n'


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("settings.json", '{"env": {"A": "1"}}', '{"env": {"A": "2"}}'),
        ("config.toml", '[env]\nA = "1"\n', '[env]\nA = "2"\n'),
    ],
)
def test_a_client_s_settings_keep_the_mark(name: str, before: str, after: str):
    document = parsing.read(Path(name), codecs.BOM_UTF8 + before.encode())
    assert document.get(("env", "A")) == "1"
    document.put(("env", "A"), "2")
    assert document.text == "\ufeff" + after
