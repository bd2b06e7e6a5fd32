"""Token estimates: what a user sees of them, and that they hold on real sessions."""

import base64
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.prompt import tokens
from anchorline.prompt.formats import claude_code, codex
from support.examples import examples

KINDS = (
    "tool",
    "system",
    "document",
    "text",
    "tool_use",
    "tool_result",
    "thinking",
    "image",
    "fence",
    "other",
)
FAMILIES = ("anthropic", "anthropic-4.6", "openai", "other", "a family of tomorrow")
PROSE = b"Rename the session strategy and update every test that refers to the former name. " * 40
CODE = b"    if (!entries[i]?.path) { return { ok: false, err: `E${code}` }; } // [12.5%]\n" * 40


@given(st.binary(max_size=3000), st.sampled_from(KINDS), st.sampled_from(FAMILIES))
def test_any_bytes_have_an_estimate(data: bytes, kind: str, family: str) -> None:
    assert 1 <= tokens.estimate(data, kind, family) <= 8 * len(data) + 10_000
    assert 0 < tokens.spread(kind, family) < 1


def test_a_long_text_costs_in_proportion_to_its_length() -> None:
    for text in (PROSE, CODE):
        once = tokens.estimate(text, "text", "anthropic")
        assert tokens.estimate(text * 10, "text", "anthropic") == pytest.approx(10 * once, rel=0.05)


def test_code_is_denser_than_prose() -> None:
    for family in FAMILIES:
        prose = tokens.estimate(PROSE, "text", family) / len(PROSE)
        code = tokens.estimate(CODE, "text", family) / len(CODE)
        assert prose < 0.9 * code < 0.75


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("claude-opus-4-5-20251101", "anthropic-4.6"),
        ("claude-opus-4-6", "anthropic-4.6"),
        ("claude-opus-4-7", "anthropic"),
        ("claude-sonnet-4-20250514", "anthropic-4.6"),
        ("claude-sonnet-5", "anthropic"),
        ("claude-haiku-4-5-20251001", "anthropic-4.6"),
        ("claude-3-5-sonnet-20241022", "anthropic-4.6"),
        ("us.anthropic.claude-fable-5", "anthropic"),
        ("anthropic/claude-opus-4.6", "anthropic-4.6"),
        ("gpt-5.6-sol", "openai"),
        ("openai/o3", "openai"),
        ("qwen3-coder:30b", "other"),
        (None, "other"),
    ],
)
def test_a_model_names_its_tokenizer(model: str | None, family: str) -> None:
    assert tokens.family(model) == family


def test_the_newer_claude_tokenizer_makes_more_tokens() -> None:
    assert tokens.estimate(CODE, "tool_result", "anthropic") == pytest.approx(
        1.3 * tokens.estimate(CODE, "tool_result", "anthropic-4.6"), rel=0.01
    )


def test_sealed_thinking_counts_by_its_signature() -> None:
    short = b'{"type":"thinking","thinking":"","signature":"' + b"A" * 400 + b'"}'
    long = b'{"type":"thinking","thinking":"","signature":"' + b"A" * 4000 + b'"}'
    assert tokens.estimate(long, "thinking", "anthropic") > 8 * tokens.estimate(
        short, "thinking", "anthropic"
    )


def test_a_png_counts_by_its_pixels_and_not_by_its_bytes() -> None:
    def block(width: int, height: int) -> bytes:
        png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(60_000)
        return b'{"type":"image","source":{"data":"' + base64.b64encode(png) + b'"}}'

    assert tokens.estimate(block(750, 750), "image", "anthropic") == 27 * 27
    assert tokens.estimate(block(9000, 9000), "image", "anthropic-4.6") == 39 * 39
    assert tokens.estimate(b'{"type":"image","source":{"url":"https://a.b/c"}}', "image", "anthropic") == 1200


def test_recorded_prompts_are_estimated_well(data: Path) -> None:
    """What two requests of a session differ by, against what the provider counted for it."""
    for folder, module in (("claude-code", claude_code), ("codex", codex)):
        estimated = counted = 0
        for path in sorted((data / "transcripts" / folder).iterdir()):
            prompt = module.read(path)
            places = {segment.prefix: index for index, segment in enumerate(prompt.segments)}
            for before, after in zip(prompt.sent, prompt.sent[1:], strict=False):
                if before.prefix in places and after.prefix in places and before.model == after.model:
                    added = prompt.segments[places[before.prefix] + 1 : places[after.prefix] + 1]
                    totals = [sent.input + (sent.read or 0) + (sent.write or 0) for sent in (before, after)]
                    if added and totals[1] > totals[0]:
                        estimated += sum(segment.tokens for segment in added)
                        counted += totals[1] - totals[0]
        assert counted > 300_000
        assert estimated == pytest.approx(counted, rel=0.08)


@examples(200)
@given(
    st.one_of(st.binary(max_size=3000), st.text(max_size=3000).map(str.encode)),
    st.sampled_from(["text", "tool_use", "tool_result", "thinking", "image", "other"]),
    st.sampled_from(["anthropic", "anthropic-4.6", "openai", "other", "unheard-of"]),
)
def test_an_estimator_is_estimate_in_one_call(data, kind, family):
    for content in (data, b"{" + data):
        assert tokens.estimator(family)(content, kind) == tokens.estimate(content, kind, family)


@pytest.mark.parametrize("size", range(100, 220))
def test_an_estimator_looks_at_the_same_bytes(size: int):
    data = ("𐍈" * size).encode()[:size]
    assert tokens.estimator("anthropic")(data, "text") == tokens.estimate(data, "text", "anthropic")
