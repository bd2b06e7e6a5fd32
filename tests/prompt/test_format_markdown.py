"""Prompt and instruction documents."""

import pytest

from anchorline.prompt import formats
from anchorline.prompt.model import PromptError

PROMPT = b"""---
description: x
model: 'claude-sonnet-5'
---
# Task

Fix ${input:what}.

```python
print("```not the end")
~~~
```

Then stop.
"""


def test_front_matter_prose_and_fences():
    prompt = formats.read(PROMPT, name="fix.prompt.md")
    assert [segment.kind for segment in prompt.segments] == ["front_matter", "text", "fence", "text"]
    assert prompt.model == "claude-sonnet-5"
    assert b"".join(prompt.load(s.start, s.end) for s in prompt.segments) == PROMPT


def test_the_draft_is_all_but_the_front_matter():
    prompt = formats.read(PROMPT, name="fix.prompt.md")
    assert prompt.draft is not None
    assert prompt.draft.text.encode() == PROMPT[prompt.draft.start : prompt.draft.end]
    assert prompt.draft.text.startswith("# Task")


@pytest.mark.parametrize(
    "name",
    [
        "CLAUDE.md",
        "docs/AGENTS.md",
        "a/SKILL.md",
        "x.instructions.md",
        ".github/copilot-instructions.md",
        ".rules",
    ],
)
def test_standing_instructions_are_context_and_no_draft(name: str):
    prompt = formats.read(b"Always run the tests.\n", name=name)
    assert prompt.draft is None
    assert prompt.segments[0].role == "system"


def test_a_fence_that_is_never_closed_takes_the_rest():
    prompt = formats.read(b"text\n\n~~~\ncode\n```\n", name="a.md")
    assert [segment.kind for segment in prompt.segments] == ["text", "fence"]


def test_windows_line_ends():
    prompt = formats.read(PROMPT.replace(b"\n", b"\r\n"), name="a.prompt.md")
    assert [segment.kind for segment in prompt.segments] == ["front_matter", "text", "fence", "text"]


def test_an_empty_document_is_an_empty_prompt():
    assert formats.read(b"", name="a.prompt.md").segments == ()


def test_what_is_not_utf8_is_refused_with_the_place():
    with pytest.raises(PromptError) as caught:
        formats.read(b"one\ntwo \xff", name="a.prompt.md")
    assert (caught.value.line, caught.value.offset) == (2, 8)


@pytest.mark.parametrize(
    ("written", "models"),
    [
        ("model: Claude Sonnet 4.5 (copilot)", ("Claude Sonnet 4.5 (copilot)",)),
        ("model: 'GPT-5 mini' # cheap", ("GPT-5 mini",)),
        ("model: haiku  # cheap", ("haiku",)),
        ("model: ['GPT-5.5 (copilot)', \"Claude Opus 4.5\"]", ("GPT-5.5 (copilot)", "Claude Opus 4.5")),
        ("model: [GPT-5.5, Auto]", ("GPT-5.5", "Auto")),
        ("model:\n  - GPT-5.5\n  - 'Claude Opus 4.5 (copilot)'", ("GPT-5.5", "Claude Opus 4.5 (copilot)")),
        ("model:\n- GPT-5.5\n- haiku", ("GPT-5.5", "haiku")),
        ("model: [\n  'GPT-5.5',\n  haiku\n]", ("GPT-5.5", "haiku")),
        ("model: GPT-5.5, haiku", ("GPT-5.5", "haiku")),
        ("model:", ()),
        ("model: ''", ()),
        ("models: x", ()),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_document_names_one_model_or_several(written: str, models: tuple[str, ...], end: str):
    text = f"---\ndescription: x\n{written}\ntools: [a]\n---\nFix it.\n".replace("\n", end)
    prompt = formats.read(text.encode(), name="fix.prompt.md")
    assert prompt.models == models
    assert prompt.model == (models[0] if models else None)
