"""What the cache rules say of each provider and model, and what becomes of the user's own file."""

import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache import rules
from anchorline.cache.rules import canonical, load
from support import recorded


@pytest.fixture(scope="module")
def known() -> rules.Rules:
    return load()


NAMES = {
    "anthropic": ("anthropic",),
    "openai_gpt56plus": ("openai",),
    "openai_pre56": ("openai-before-5-6",),
    "gemini": ("gemini",),
    "deepseek": ("deepseek",),
    "bedrock_claude": ("bedrock",),
    "xai": ("xai",),
    "openrouter": ("openrouter",),
    "local": ("vllm", "llama.cpp", "mlx-lm"),
}


def test_every_provider_of_the_compiled_rules_is_covered(known: rules.Rules, data: Path) -> None:
    compiled = json.loads((data / "cache" / "provider_rules.json").read_text("utf-8"))
    compiled = {name: rule for name, rule in compiled.items() if isinstance(rule, dict)}
    assert set(compiled) == set(NAMES)
    for names in NAMES.values():
        for name in names:
            assert known.provider(name).name == name
            assert known.provider(name).as_of
            assert known.provider(name).source


def test_anthropic_says_what_the_compiled_rules_say(known: rules.Rules, data: Path) -> None:
    compiled = json.loads((data / "cache" / "provider_rules.json").read_text("utf-8"))["anthropic"]
    provider = known.provider("anthropic")
    for model, tokens in compiled["min_tokens"].items():
        assert provider.minimum(model.replace(".", "-")) == tokens, model
    assert {life.name: {"s": life.seconds, "write": life.write} for life in provider.lifetimes} == compiled[
        "ttl"
    ]
    assert provider.max_breakpoints == compiled["max_breakpoints"]
    assert provider.lookback == compiled["lookback_blocks"]
    assert provider.render_order == tuple(compiled["render_order"])
    assert provider.prewarm.replace(" ", "") == compiled["prewarm"]
    assert set(provider.invalidation) == set(compiled["invalidation"])
    assert set(provider.usage.values()) == set(compiled["usage"])
    assert provider.longer_first
    assert provider.longer_tail_covers_prefix
    assert provider.clock == "request_start"


def test_openai_says_what_the_compiled_rules_say(known: rules.Rules, data: Path) -> None:
    compiled = json.loads((data / "cache" / "provider_rules.json").read_text("utf-8"))
    new, old = known.provider("openai"), known.provider("openai-before-5-6")
    rule = compiled["openai_gpt56plus"]
    assert new.minimum("gpt-5.6-sol") == rule["min_tokens"]
    assert new.max_breakpoints == rule["max_writes"]
    assert new.match_breakpoints == rule["match_breakpoints"]
    assert new.lookback is rule["block_lookback"]
    assert [life.seconds for life in new.lifetimes] == [rule["ttl_s_min"]]
    assert new.write_price() == rule["write"]
    assert new.read_price("gpt-5.6-sol") == rule["read"]
    assert new.assistant_markable is rule["assistant_blocks_markable"]
    assert new.implicit
    rule = compiled["openai_pre56"]
    assert old.increment == rule["increment"]
    assert old.write_price() == rule["write"]
    for model in ("gpt-5.5", "gpt-4.1-mini", "gpt-4o-2024-08-06"):
        pattern = next(key for key in rule["read"] if model.startswith(key[:-1]))
        assert old.read_price(model) == rule["read"][pattern]


def test_every_model_of_the_recorded_requests_has_rules(known: rules.Rules, data: Path) -> None:
    for model in recorded.models(data):
        provider = known.for_model(model)
        if model.startswith(("claude", "gpt", "openai", "qwen")) or "deepseek" in model:
            assert provider.mode != "none", model
        assert provider.title


@pytest.mark.parametrize(
    ("model", "provider", "plain"),
    [
        ("claude-opus-4-5-20251101", "anthropic", "claude-opus-4-5"),
        ("claude-opus-4-6[1m]", "anthropic", "claude-opus-4-6"),
        ("claude-opus-4@20250514", "anthropic", "claude-opus-4"),
        ("anthropic.claude-opus-4-1-20250805-v1:0", "bedrock", "claude-opus-4-1"),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", "bedrock", "claude-sonnet-4"),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-1-20250805-v1:0",
            "bedrock",
            "claude-opus-4-1",
        ),
        ("anthropic/claude-opus-4.5", "openrouter", "claude-opus-4-5"),
        ("openrouter/anthropic/claude-3.5-haiku:beta", "openrouter", "claude-3-5-haiku"),
        ("gpt-5.5", "openai-before-5-6", "gpt-5.5"),
        ("gpt-5.6-sol", "openai", "gpt-5.6-sol"),
        ("gpt-6.1-terra", "openai", "gpt-6.1-terra"),
        ("gpt-4o-2024-08-06", "openai-before-5-6", "gpt-4o"),
        ("opencode/gpt-5.3-codex", "openai-before-5-6", "gpt-5.3-codex"),
        ("gemini-2.5-pro", "gemini", "gemini-2.5-pro"),
        ("deepseek-v4-flash", "deepseek", "deepseek-v4-flash"),
        ("grok-4.5", "xai", "grok-4.5"),
        ("qwen3-coder:30b", "llama.cpp", "qwen3-coder:30b"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "mlx-lm", "smollm2-135m-instruct"),
    ],
)
def test_a_model_finds_its_provider_by_any_name(
    known: rules.Rules, model: str, provider: str, plain: str
) -> None:
    assert known.for_model(model).name == provider
    assert canonical(model) == plain


def test_an_unknown_model_is_not_cached_and_the_rules_say_so(known: rules.Rules) -> None:
    provider = known.for_model("someones-own-model")
    assert provider.mode == "none"
    assert provider.read_price("someones-own-model") == 1.0
    assert provider.lifetime("5m") is None
    assert "nothing is assumed to be cached" in provider.note


def test_a_router_has_its_vendors_rules_and_its_own_cache(known: rules.Rules) -> None:
    routed, direct = known.for_model("anthropic/claude-opus-4.5"), known.for_model("claude-opus-4-5")
    assert routed.lifetimes == direct.lifetimes
    assert routed.minimum("anthropic/claude-opus-4.5") == direct.minimum("claude-opus-4-5") == 4096
    assert (routed.name, routed.sticky_idle_s) == ("openrouter", 600)


def test_minimum_and_read_price_go_by_the_longest_name(known: rules.Rules) -> None:
    anthropic = known.provider("anthropic")
    assert anthropic.minimum("claude-opus-4-20250514") == 1024
    assert anthropic.minimum("claude-opus-4-5-20251101") == 4096
    assert anthropic.minimum("claude-opus-5-5") == anthropic.minimum("claude-opus-5") == 512
    assert anthropic.minimum("claude-opus-50") == anthropic.minimum_tokens
    assert anthropic.read_price("claude-opus-5") == 0.1
    assert anthropic.read_price("claude-opus-5-5") == 0.05
    assert anthropic.read_price("claude-fable-5-2") == 0.025


def test_thinking_is_dropped_by_older_models_only(known: rules.Rules) -> None:
    drops = known.provider("anthropic").drops_thinking
    assert [
        drops(m) for m in ("claude-opus-4-1-20250805", "claude-sonnet-4-5-20250929", "claude-haiku-4-5")
    ] == [True] * 3
    assert [drops(m) for m in ("claude-opus-4-5-20251101", "claude-sonnet-4-6", "claude-fable-5-1")] == [
        False
    ] * 3
    assert not known.provider("openai").drops_thinking("gpt-5.6-sol")


def test_lifetimes_by_name(known: rules.Rules) -> None:
    anthropic = known.provider("anthropic")
    hour, default = anthropic.lifetime("1h"), anthropic.lifetime("default")
    assert hour is not None
    assert (hour.seconds, hour.write) == (3600, 2.0)
    assert default is not None
    assert default.name == "5m"
    assert anthropic.lifetime("2h") is None


def test_the_age_of_the_rules(known: rules.Rules) -> None:
    assert known.provider("anthropic").age_days(date(2026, 12, 3)) == 10
    assert rules.NONE.age_days(date(2026, 12, 3)) is None


def test_a_users_file_changes_one_key_and_keeps_the_rest(tmp_path: Path, known: rules.Rules) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[anthropic]\nread = 0.07\n[anthropic.minimums]\nclaude-haiku-5-5 = 1024\n", "utf-8")
    changed = load(own)
    assert changed.problems == ()
    provider = changed.provider("anthropic")
    assert provider.read_price("claude-opus-4-6") == 0.07
    assert provider.read_price("claude-opus-5-5") == 0.05
    assert provider.minimum("claude-haiku-5-5") == 1024
    assert provider.minimum("claude-haiku-4-5") == 4096
    assert changed.provider("openai") == known.provider("openai")


def test_a_users_own_provider_serves_its_models(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    text = '[gw]\nmodels = ["gw/*"]\nmode = "automatic"\nread = 0.2\n'
    own.write_text(text + 'lifetimes = [{ name = "idle", seconds = 600, write = 1.0 }]\n', "utf-8")
    provider = load(str(own)).for_model("gw/llama-4")
    assert (provider.name, provider.mode, provider.read_price("gw/llama-4")) == ("gw", "automatic", 0.2)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[anthropic]\nread = "cheap"', "anthropic.read"),
        ("[anthropic]\nread = -1", "anthropic.read"),
        ("[anthropic]\nreed = 0.1", "anthropic"),
        (
            '[anthropic]\nlifetimes = [{ name = "5m", seconds = 0, write = 1.0 }]',
            "anthropic.lifetimes[0].seconds",
        ),
        ('[anthropic]\nmode = "magic"', "anthropic.mode"),
        ('[anthropic]\nas_of = "soon"', "anthropic.as_of"),
        ("anthropic = 3", "anthropic"),
    ],
)
def test_an_invalid_provider_is_named_and_its_built_in_rules_stay(
    tmp_path: Path, known: rules.Rules, text: str, key: str
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(f'{text}\n[openai]\nnote = "mine"\n', "utf-8")
    loaded = load(own)
    assert loaded.provider("anthropic") == known.provider("anthropic")
    assert loaded.provider("openai").note == "mine"
    [problem] = loaded.problems
    assert (problem.source, problem.key) == (str(own), key)


def test_a_broken_file_leaves_all_built_in_rules(tmp_path: Path, known: rules.Rules) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[anthropic\nread = 0.2\n", "utf-8")
    loaded = load(own)
    assert loaded.providers == known.providers
    assert "line 1" in str(loaded.problems[0])


def test_a_missing_or_unreadable_file_is_a_problem_not_a_failure(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml").problems[0].source == str(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    assert load(tmp_path / "binary.toml").problems
    assert load(tmp_path).problems
    assert load("").problems == ()


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[anthropic]\nread = 0.3\n", "utf-8")
    assert load(own).provider("anthropic").read_price("claude-opus-4-6") == 0.3
    own.write_text("[anthropic]\nread = 0.25\n", "utf-8")
    assert load(own).provider("anthropic").read_price("claude-opus-4-6") == 0.25


def test_what_was_read_is_kept_for_the_process() -> None:
    assert load() is load()


@given(st.text(max_size=80))
def test_any_model_name_has_rules(model: str) -> None:
    provider = load().for_model(model)
    assert provider.minimum(model) >= 0
    assert 0 <= provider.read_price(model) <= 1


@given(
    st.sampled_from(["claude-opus-4-5", "claude-haiku-4-5", "gpt-4o", "o3"]),
    st.dates(date(2020, 1, 1), date(2039, 12, 31)),
)
def test_a_date_does_not_change_the_model(model: str, day: date) -> None:
    assert (
        canonical(f"{model}-{day:%Y%m%d}")
        == canonical(f"{model}-{day}")
        == canonical(f"{model}@{day:%Y%m%d}")
        == model
    )
