"""The catalogue of models: names, limits, prices, and the user's own file."""

from datetime import date
from itertools import pairwise
from pathlib import Path

import doc_tables
import pytest

from anchorline.route import catalog
from anchorline.route.catalog import load
from support import recorded


def test_every_recorded_model_is_in_the_catalogue(data: Path) -> None:
    found = load()
    assert {model for model in recorded.models(data) if found.find(model) is None} == set()


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("claude-opus-4-5-20251101", "claude-opus-4-5"),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5"),
        ("anthropic/claude-opus-4.5", "claude-opus-4-5"),
        ("claude-sonnet-4-0", "claude-sonnet-4"),
        ("claude-3-5-haiku-latest", "claude-haiku-3-5"),
        ("openai-codex/gpt-5.5", "gpt-5.5"),
        ("gpt-5.6", "gpt-5.6-sol"),
        ("deepseek-v4-flash", "deepseek-flash"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2-135m"),
    ],
)
def test_a_model_is_found_by_any_of_its_names(name: str, identity: str) -> None:
    model = load().find(name)
    assert model is not None
    assert model.id == identity


def test_an_unknown_model_is_not_guessed() -> None:
    assert load().find("claude-opus-9") is None
    assert load().find("") is None


def test_a_long_prompt_costs_the_long_price() -> None:
    model = load().find("gpt-6.1-sol")
    assert model is not None
    assert model.prices(272_000) == (2e-6, 10e-6)
    assert model.prices(272_001) == (4e-6, 15e-6)


def test_latency_grows_with_the_answer() -> None:
    model = load().find("claude-opus-4-5")
    assert model is not None
    assert model.latency_ms(0) == 1990
    assert model.latency_ms(620) == 11_990


def test_tiers_are_apart_in_skill() -> None:
    for model in load().models.values():
        low, high = catalog.SKILLS[model.tier]
        assert low <= model.skill <= high
    ranges = [catalog.SKILLS[tier] for tier in catalog.TIERS]
    assert all(lower[1] < upper[0] for lower, upper in pairwise(ranges))


def test_every_provider_says_when_and_where_it_was_read() -> None:
    found = load()
    assert found.age_days(date(2026, 12, 3)) == {
        **dict.fromkeys(found.sources, 3),
        "opencode": 10,
        "local": 10,
    }
    assert all(source.source for source in found.sources.values())


def test_the_line_up_of_a_provider() -> None:
    found = load()
    current = found.of_provider("anthropic", current=True)
    assert {model.tier for model in current} == {"fast", "strong"}
    assert {one.id for one in current} < {one.id for one in found.of_provider("anthropic")}


def test_a_users_file_changes_a_price_and_adds_a_model(tmp_path: Path) -> None:
    own = tmp_path / "models.toml"
    text = "[anthropic.models.claude-opus-5-5]\ninput = 3.2\n[mine.models.in-house]\n"
    text += 'tier = "fast"\nskill = 0.3\ncontext = 1000\nmax_output = 100\ninput = 0\noutput = 0\nttft_ms = 1\ntps = 1\n'
    own.write_text(text, "utf-8")
    found = load(own)
    assert found.problems == ()
    opus, house = found.find("claude-opus-5-5"), found.find("in-house")
    assert opus is not None
    assert (opus.input, opus.output) == (3.2, 20.0)
    assert house is not None
    assert house.provider == "mine"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[anthropic.models.claude-opus-5]\ninput = "free"\n', "anthropic.models.claude-opus-5.input"),
        ("[anthropic.models.claude-opus-5]\nskill = 0.2\n", "anthropic.models.claude-opus-5.skill"),
        ("[anthropic.models.claude-opus-5]\nprice = 1\n", "anthropic.models.claude-opus-5"),
        ("[anthropic.models]\nclaude-opus-5 = 1\n", "anthropic.models.claude-opus-5"),
        ("[anthropic]\nmodels = 1\n", "anthropic"),
        ("[anthropic]\nmodel = {}\n", "anthropic.model"),
        ('[anthropic]\nas_of = "soon"\n', "anthropic.as_of"),
        ("anthropic = 1\n", "anthropic"),
        ('[mine.models.half]\ntier = "fast"\n', "mine.models.half"),
        ("[", ""),
    ],
)
def test_an_invalid_file_is_named_and_the_built_in_models_stay(tmp_path: Path, text: str, key: str) -> None:
    own = tmp_path / "models.toml"
    own.write_text(text, "utf-8")
    found = load(own)
    assert found.models == load().models
    [problem] = found.problems
    assert (problem.source, problem.key) == (str(own), key)


@pytest.mark.parametrize("page", doc_tables.TABLES)
def test_the_documented_table_is_the_data(page: str) -> None:
    """If this fails: python tests/route/doc_tables.py."""
    assert (doc_tables.DOCS / f"{page}.md").read_text("utf-8") == doc_tables.filled(page)


def test_every_key_of_the_files_is_documented() -> None:
    from anchorline.cache.rules import Provider

    text = (doc_tables.DOCS / "providers.md").read_text("utf-8")
    fields = {"minimum" if name == "minimum_tokens" else name for name in Provider.__struct_fields__} - {
        "name"
    }
    assert {name for name in fields if f"`{name}`" not in text} == set()
    text = (doc_tables.DOCS / "models.md").read_text("utf-8")
    fields = set(catalog.Model.__struct_fields__) - {"id", "provider"}
    assert {name for name in fields if f"`{name}`" not in text} == set()


@pytest.mark.parametrize(
    ("label", "identity"),
    [
        ("Claude Sonnet 4.5 (copilot)", "claude-sonnet-4-5"),
        ("Claude Sonnet 4.5", "claude-sonnet-4-5"),
        ("Claude 4.5 Sonnet", "claude-sonnet-4-5"),
        ("Claude 3.7 Sonnet Thinking", None),
        ("claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("copilot/claude-opus-4.6", "claude-opus-4-6"),
        ("Claude Opus 5.5 (Preview) (copilot)", "claude-opus-5-5"),
        ("Claude Mythos 5.2", "claude-mythos-5-2"),
        ("Anthropic: Claude Haiku 4.5", "claude-haiku-4-5"),
        ("GPT-5.5", "gpt-5.5"),
        ("GPT 5.5 (copilot)", "gpt-5.5"),
        ("GPT-5.4 mini", "gpt-5.4-mini"),
        ("GPT-4o", "gpt-4o"),
        ("GPT-5.1-Codex-Max (Preview)", "gpt-5.1"),
        ("GPT-6.2 Sol", "gpt-6.2-sol"),
        ("Gemini 3 Pro (Preview)", "gemini-3-pro"),
        ("Gemini 2.5 Pro", "gemini-2.5-pro"),
        ("Gemini 4 Argon", "gemini-4-argon"),
        ("Grok Code Fast 1", "grok-code-fast-1"),
        ("Kimi K2.5", "kimi-k2.5"),
        ("Qwen3 Coder Plus", "qwen3-coder-plus"),
        ("MiniMax M2.1", "minimax-m2.1"),
        ("o4 mini", "o4-mini"),
        ("haiku", "claude-haiku-5-5"),
        ("Sonnet", "claude-sonnet-5-5"),
        ("opus[1m]", "claude-opus-5-5"),
        ("sol", "gpt-6.2-sol"),
        ("pro", None),
        ("claude", None),
        ("Auto", None),
        ("inherit", None),
        ("Raptor mini (Preview)", None),
        ("GPT-4.5", None),
        ("", None),
        ("(copilot)", None),
    ],
)
def test_a_model_is_found_by_what_an_editor_calls_it(label: str, identity: str | None) -> None:
    found = load().named(label)
    assert (found.id if found is not None else None) == identity


def test_every_model_is_found_by_its_own_name_in_words() -> None:
    catalogue = load()
    for model in catalogue.models.values():
        found = catalogue.named(model.id.replace("-", " ").title() + " (copilot)")
        assert found is None or found.id == model.id, (model.id, found)
