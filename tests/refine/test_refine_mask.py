"""Entities: what a rewrite may not touch is found, and nothing else is."""

from itertools import pairwise

import pytest

from anchorline.refine.mask import BLANK, Masked, entities, view


def kinds(text: str) -> dict[str, str]:
    return {entity.text: entity.kind for entity in entities(text)}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("`git push`", "code"),
        ("``a ` b``", "code"),
        ("src/config.py", "path"),
        ("src/config.py:40-71", "path"),
        ("../intent", "path"),
        ("~/.local/bin/claude", "path"),
        ("C:\\Users\\dev\\a.txt", "path"),
        ("README.md", "path"),
        ("https://example.org/a?b=c#d", "url"),
        ("snake_case", "identifier"),
        ("camelCase", "identifier"),
        ("PascalCase", "identifier"),
        ("MAX_SIZE", "identifier"),
        ("os.path.join", "identifier"),
        ("Foo::bar", "identifier"),
        ("parse()", "identifier"),
        ("parse(a,b)", "identifier"),
        ("__init__", "identifier"),
        ("1.25.6", "version"),
        ("v2", "version"),
        ("42", "number"),
        ("3.5%", "number"),
        ("10ms", "number"),
        ("2026-01-02", "number"),
        ('"the whole phrase"', "quote"),
        ("“curly”", "quote"),
        ("'Yes'", "quote"),
        ("@README.md", "mention"),
        ("dev@example.org", "mention"),
        ("#123", "ref"),
        ("ABC-42", "ref"),
        ("e45daa39e8ae5bcd", "ref"),
        ("--dry-run", "flag"),
        ("${input:name}", "placeholder"),
        ("{{ user }}", "placeholder"),
        ("[YOUR NAME]", "placeholder"),
        ("<component>", "tag"),
        ("JSON", "term"),
        ("C++", "term"),
        ("read/write", "term"),
    ],
)
def test_an_entity_in_a_sentence_is_found_whole(text: str, kind: str) -> None:
    assert kinds(f"Look at {text} and go on.") == {text: kind}


@pytest.mark.parametrize(
    "sentence",
    [
        "Don't change the long-running job, it's fine.",
        "I'd like **bold** words, (brackets) and dashes - too.",
        "Über den Wolken, muß die Freiheit",
        "Сделай это, пожалуйста.",
        "Take one, e.g. the first, i.e. this.",
        "1. first\n2) second\n- third",
    ],
)
def test_plain_words_and_list_markers_are_no_entities(sentence: str) -> None:
    assert entities(sentence) == ()


def test_a_fence_is_one_entity_to_its_closing_line() -> None:
    text = "Fix:\n```py\nx = teh\n\n~~~\n```\nplease"
    assert kinds(text) == {"```py\nx = teh\n\n~~~\n```": "fence"}


def test_an_open_fence_reaches_to_the_end() -> None:
    assert kinds("Fix:\n```\nteh end") == {"```\nteh end": "fence"}


def test_front_matter_doctest_quotation_and_pasted_lines_are_blocks() -> None:
    text = (
        "---\nmode: agent\n---\nSee\n\n> said teh boss\n\n>>> f(1)\n2\n\n    indented teh code\n\n"
        "diff --git a/x b/x\n-teh old\n+the new\n\nTraceback (most recent call last):\n\nend"
    )
    assert list(kinds(text).values()) == ["front_matter", "quote", "doctest", "pasted", "pasted", "pasted"]


def test_indented_list_items_stay_prose() -> None:
    assert entities("- one\n    - two words here\n    - three") == ()


def test_ascii_parts_of_unspaced_scripts_are_found() -> None:
    assert kinds("请修复src/config.py中的错误") == {"src/config.py": "path"}


def test_entities_are_ordered_and_do_not_overlap() -> None:
    found = entities('Use `a` with "b `c` d" in x/y.py and <tag attr="1"> 5 times, or ${input:q}.')
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert all(entity.text for entity in found)


def test_the_view_blanks_entities_and_moves_nothing() -> None:
    text = "Fix `x` in a/b.py now"
    blanked = view(text, entities(text))
    assert len(blanked) == len(text)
    assert blanked.replace(BLANK, "") == "Fix  in  now"
    assert Masked(text).tokens[0] == "fix"


HOSTILE = {
    "backticks": "`" * 30_000,
    "spaced backticks": "` " * 15_000,
    "rising backticks": "".join("`" * (i % 60 + 1) + " " for i in range(1000)),
    "quotes": '"' * 30_000,
    "apostrophes": "'a" * 15_000,
    "braces": "{" * 30_000,
    "brackets": "[AB" * 10_000,
    "tags": "x <a" * 8_000,
    "comments": "<!--\n" * 6_000,
    "fences": "```a\n" * 6_000,
    "digits": "1" * 30_000 + "é!",
    "dots": "a." * 15_000,
    "slashes": "a/" * 15_000,
    "underscores": "a_" * 15_000 + "(",
    "spaces": "a" + " " * 30_000 + "b",
    "newlines": "\n" * 30_000,
    "dashes": "---\n" + "x\n" * 15_000,
    "indented": "    a\n" * 6_000,
    "colons": "a://" * 8_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_read_like_any_other(name: str) -> None:
    """Were any pattern quadratic or worse, these would run for minutes."""
    text = HOSTILE[name] * 2
    found = entities(text)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert all(text[start:end] == inside for _, start, end, inside in found)
