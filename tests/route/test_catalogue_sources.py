"""The catalogue against the kept tables of LiteLLM and genai-prices: what drifts apart is told by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from anchorline.cache.rules import load as load_rules
from anchorline.route.catalog import load as load_catalog
from bench.make import catalogue

MODELS = Path(__file__).parents[2] / "models"
RULES, CATALOG = load_rules(), load_catalog()
KEPT = json.loads((MODELS / "catalogue.json").read_text("utf-8"))
LITELLM, GENAI = KEPT["litellm"]["models"], KEPT["genai-prices"]["models"]
DIFFER = {
    ("claude-mythos-preview", "minimum"): "Anthropic's own page has 2048",
    ("claude-haiku-3", "write"): "1.2 as the two round it; 1.25 are Anthropic's",
    ("grok-code-fast-1", "read"): "LiteLLM has the model that its name was given to",
    ("qwen3.8-flash", "write"): "rounded prices",
}
"""What is known not to agree, and why."""
UNKNOWN = {"gpt-6.2-astra", "gpt-6.2-sol", "gpt-5.3-codex-spark"}
"""Models of providers in the sources that neither has; their `unverified` says where they are from."""


def test_the_table_is_what_the_sources_say():
    table = catalogue.TABLE.read_text("utf-8")
    assert catalogue.written(catalogue.filled(KEPT)) == table, "python tests/bench catalogue"


def test_a_price_that_was_changed_by_hand_is_put_right():
    made = catalogue.filled(KEPT)
    made["anthropic"]["claude-opus-5-5"]["input"] = 3.9
    assert catalogue.written(made) != catalogue.TABLE.read_text("utf-8")


def test_every_model_of_a_provider_in_the_sources_is_in_them():
    listed = {one.id for one in CATALOG.models.values() if one.provider in catalogue.LITELLM}
    assert listed - LITELLM.keys() - GENAI.keys() == UNKNOWN
    assert all(CATALOG.models[name].unverified for name in UNKNOWN)


def test_what_is_better_known_speaks_of_models_that_there_are():
    assert catalogue.OWN.keys() <= CATALOG.models.keys()
    assert catalogue.CALLED.keys() - CATALOG.models.keys() == set()


def first(value: Any) -> float:
    return value[0] if isinstance(value, list) else value


def told(model: str) -> dict[str, set[float]]:
    """Return what the sources say of a model's cache, as shares of its input price."""
    found: dict[str, set[float]] = {"read": set(), "write": set(), "1h": set(), "minimum": set()}
    entry = LITELLM.get(model, {})
    priced = entry.get("tiered_pricing", [entry])[0]
    for name, key in (
        ("read", "cache_read_input_token_cost"),
        ("write", "cache_creation_input_token_cost"),
        ("1h", "cache_creation_input_token_cost_above_1hr"),
    ):
        if priced.get(key):
            found[name].add(priced[key] / priced["input_cost_per_token"])
    if "prompt_cache_min_tokens" in entry:
        found["minimum"].add(entry["prompt_cache_min_tokens"])
    newest = GENAI.get(model, {}).get("prices", [{}])[-1]
    for name, key in (
        ("read", "cache_read_mtok"),
        ("write", "cache_write_mtok"),
        ("1h", "cache_write_1h_mtok"),
    ):
        if key in newest:
            found[name].add(first(newest[key]) / first(newest["input_mtok"]))
    return found


@pytest.mark.parametrize("model", sorted(LITELLM.keys() | GENAI.keys()))
def test_the_cache_rules_have_the_prices_of_the_sources(model: str):
    rules = RULES.for_model(model)
    hour = rules.lifetime("1h")
    ours = {
        "read": rules.read,
        "write": rules.marked.write if rules.marked is not None else rules.write_price(),
        "1h": hour.write if hour is not None else None,
        "minimum": rules.minimum_tokens,
    }
    for name, values in told(model).items():
        agree = ours[name] is None or all(abs(value - ours[name]) < 0.0011 for value in values)
        assert agree is ((model, name) not in DIFFER), (model, name, ours[name], values)
