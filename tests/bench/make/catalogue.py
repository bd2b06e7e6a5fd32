"""Makes the prices and limits in `server/anchorline/route/models.toml` from kept sources, and tells drift.

The sources are two public tables, both under the MIT licence: LiteLLM's `model_prices_and_context_window.json` (limits,
tiers) and genai-prices (prices by their day). What of them our models need is kept in `catalogue.json`, so that neither
is needed to build or to run anything. Judgements (skill, speed, status, aliases) and `OWN` are ours.

    python tests/bench catalogue                 write models.toml
    python tests/bench catalogue --check         exit with 1 where it differs from the sources
    python tests/bench catalogue --take          read both sources anew into catalogue.json, from an environment that
                                               has them: uv pip install --no-deps litellm==1.110.2; genai-prices==0.2.3
"""

import argparse
import importlib.metadata
import importlib.util
import json
import re
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
KEPT = ROOT / "models" / "catalogue.json"
TABLE = ROOT / "server" / "anchorline" / "route" / "models.toml"
MILLION = 1_000_000
PLACES = 10

LITELLM = {
    "anthropic": "", "openai": "", "gemini": "gemini/", "deepseek": "deepseek/", "xai": "xai/", "moonshot": "moonshot/",
    "qwen": "dashscope/", "zai": "zai/", "minimax": "minimax/", "mistral": "mistral/",
}  # fmt: skip
"""Our sections, and what LiteLLM puts before their models' names."""
GENAI = {
    "anthropic": "anthropic", "openai": "openai", "gemini": "google", "deepseek": "deepseek", "xai": "x-ai",
    "moonshot": "moonshotai", "zai": "zai", "minimax": "minimax", "mistral": "mistral",
}  # fmt: skip
"""Our sections, and genai-prices' name of the provider."""
CALLED = {
    "claude-opus-4": ("claude-opus-4-20250514", "claude-opus-4-0"),
    "claude-sonnet-4": ("claude-sonnet-4-20250514", "claude-sonnet-4-0"),
    "claude-haiku-3-5": ("claude-3-5-haiku-20241022", "claude-3-5-haiku-latest"),
    "claude-sonnet-3-7": ("claude-3-7-sonnet-20250219", "claude-3-7-sonnet-latest"),
    "claude-sonnet-3-5": ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet"),
    "claude-opus-3": ("claude-3-opus-20240229", "claude-3-opus-latest"),
    "claude-haiku-3": ("claude-3-haiku-20240307", "claude-3-haiku"),
    "gemini-3.1-pro": ("gemini-3.1-pro-preview", "gemini-3.1-pro-preview"),
    "gemini-3-pro": ("gemini-3-pro-preview", "gemini-3-pro-preview"),
    "gemini-3-flash": ("gemini-3-flash-preview", "gemini-3-flash-preview"),
    "deepseek-flash": ("deepseek-flash", "deepseek-v4-flash"),
    "mistral-medium-3-5": ("mistral-medium-3-5", "mistral-medium-3-5"),
    "grok-4": ("grok-4", "grok-4-0709"),
    "grok-4-fast": ("grok-4-fast-reasoning", "grok-4-fast-reasoning"),
    "grok-4-1-fast": ("grok-4-1-fast-reasoning", "grok-4-1-fast-reasoning"),
    "kimi-k2": ("kimi-k2-0905-preview", "kimi-k2-0905-preview"),
    "codex-mini": ("codex-mini-latest", "codex-mini"),
}
"""Names of a model in LiteLLM and in genai-prices, where they are not ours."""
OWN: dict[str, dict[str, Any]] = {
    # platform.claude.com/docs/en/build-with-claude/fast-mode (spring of 2026): six times, later twice the list price.
    "claude-opus-4-6": {"rates": {"fast": 6.0}},
    "claude-opus-4-7": {"rates": {"fast": 6.0}},
    # platform.claude.com/docs/en/about-claude/pricing: reads at .1 before that day.
    "claude-sonnet-5-5": {"earlier": [{"until": "2026-10-07", "input": 2.0, "output": 10.0, "read": 0.1}]},
    # platform.claude.com/docs/en/about-claude/pricing: inference in the US only costs 1.1 times from Opus 4.6 on.
    "claude-fable-5-2": {"rates": {"us": 1.1}},
    "claude-mythos-5-2": {"rates": {"us": 1.1}},
    # developers.openai.com: the window is 1 050 000 tokens with the answer, of which a prompt may have 922 000.
    "gpt-5.5": {"context": 922000},
    "gpt-5.5-pro": {"context": 922000},
    "gpt-5.4": {"context": 922000},
    "gpt-5.4-pro": {"context": 922000},
    "gpt-5.1-codex-mini": {"context": 272000},
    # docs.apiyi.com and docs.laozhang.ai, 2026-11-18: as gpt-6.1-sol, which both pages compare them with.
    "gpt-6.2-astra": {"rates": {"batch": 0.5, "fast": 2.0, "flex": 0.5, "priority": 2.0}, "web_search": 10.0},
    "gpt-6.2-sol": {"rates": {"batch": 0.5, "fast": 2.0, "flex": 0.5, "priority": 2.0}, "web_search": 10.0},
    # genai-prices' windows; LiteLLM has those of M1.
    "minimax-m2.5": {"context": 204800, "max_output": 131072},
    "minimax-m2.1": {"context": 204800, "max_output": 131072},
    "minimax-m2": {"context": 204800, "max_output": 131072},
    # docs.x.ai: withdrawn, LiteLLM has the price of grok-build-0.1, which the name was given to.
    "grok-code-fast-1": {"input": 0.2, "output": 1.5, "long": [], "rates": {}, "context": 256000},
}
"""What we know better than the sources, each with where it is from."""
LONG = re.compile(r"input_cost_per_token_above_(\d+)k_tokens\Z")
TIERS = {"batch": "batches", "flex": "flex", "priority": "priority", "ultrafast": "ultrafast"}
WANTED = re.compile(
    r"(input|output)_cost_per_token|cache_(read|creation)_input_token_cost|max_(input|output)_tokens"
    r"|prompt_cache_min_tokens|provider_specific_entry|search_context_cost_per_query|off_peak_pricing|tiered_pricing"
    r"|explicit_cache_read"
)
UNWANTED = re.compile(r"audio|image|_decisions|12hr|above_\d+k_tokens_")
ORDER = (
    "tier", "skill", "context", "max_output", "input", "output", "long", "rates", "web_search", "off_peak", "earlier",
    "ttft_ms", "tps", "measured", "status", "aliases", "unverified",
)  # fmt: skip


def models() -> dict[str, dict[str, dict[str, Any]]]:
    """Return our models by section."""
    return {name: section["models"] for name, section in tomllib.loads(TABLE.read_text("utf-8")).items()}


def take() -> dict[str, Any]:
    """Return what the installed sources have of our models."""
    from genai_prices.data import providers  # type: ignore[import-not-found]

    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        sys.exit("litellm is not installed")
    listed = json.loads(
        Path(spec.origin).with_name("model_prices_and_context_window_backup.json").read_text("utf-8")
    )
    genai = {one.id: {model.id.lower(): model for model in one.models} for one in providers}
    lite = {name.lower(): entry for name, entry in listed.items()}
    one: dict[str, Any] = {}
    two: dict[str, Any] = {}
    for section, known in models().items():
        for identity in known:
            first, second = CALLED.get(identity, (identity, identity))
            if section in LITELLM and (entry := lite.get(LITELLM[section] + first)) is not None:
                one[identity] = {
                    key: value
                    for key, value in sorted(entry.items())
                    if WANTED.match(key) and not UNWANTED.search(key)
                }
            if (model := genai.get(GENAI.get(section, ""), {}).get(second)) is not None:
                two[identity] = _dated(model)
    return {
        "litellm": {
            "version": importlib.metadata.version("litellm"),
            "licence": "MIT, Copyright (c) 2023 Berri AI",
            "models": one,
        },
        "genai-prices": {
            "version": importlib.metadata.version("genai-prices"),
            "licence": "MIT, Copyright (c) 2025 to present Pydantic Services Inc.",
            "models": two,
        },
    }


def _dated(model: Any) -> dict[str, Any]:
    """Return the prices of a model of genai-prices, each with the day from which it holds, and those of its tiers."""
    prices = model.prices if isinstance(model.prices, list) else [None]
    made = []
    for one in prices:
        start = getattr(getattr(one, "constraint", None), "start_date", None)
        if one is not None and one.constraint is not None and start is None:
            continue  # hours of the day: LiteLLM has them with the days of the week
        found = _usd(model.prices if one is None else one.prices)
        made.append({"from": None if start is None else start.isoformat(), **found})
    variants = {
        next(iter(one.when.values())): _usd(one.prices)
        for one in reversed(model.price_variants or ())  # the newest first
        if next(iter(one.when)) in ("processing", "speed", "service_tier")
        and not isinstance(one.prices, list)
    }
    return {"prices": made, "variants": {name: found for name, found in variants.items() if found}}


def _usd(prices: Any) -> dict[str, Any]:
    wanted = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok",
              "web_searches_kcount")  # fmt: skip
    found = {}
    for name in wanted:
        value = getattr(prices, name)
        if value is not None:
            tiers = [[one.start, float(one.price)] for one in getattr(value, "tiers", ())]
            found[name] = [float(value.base), *tiers] if tiers else float(getattr(value, "base", value))
    return found


def filled(kept: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return our models with the sources' prices and limits."""
    lite, genai = kept["litellm"]["models"], kept["genai-prices"]["models"]
    made: dict[str, dict[str, dict[str, Any]]] = {}
    for section, known in models().items():
        made[section] = {}
        for identity, table in known.items():
            new = dict(table)
            if identity in lite or identity in genai:
                for key in ("long", "rates", "web_search", "off_peak", "earlier"):
                    new.pop(key, None)
                new |= _limits(lite.get(identity, {}), table)
                new |= _prices(lite.get(identity, {}), genai.get(identity, {}))
            own = OWN.get(identity, {})
            new["rates"] = (
                {**new.get("rates", {}), **own["rates"]} if own.get("rates") else new.get("rates", {})
            )
            new |= {key: value for key, value in own.items() if key != "rates" or not value}
            made[section][identity] = {key: value for key, value in new.items() if value not in ([], {}, ())}
    return made


def _limits(entry: dict[str, Any], table: dict[str, Any]) -> dict[str, int]:
    found = {}
    if "max_input_tokens" in entry:
        found["context"] = int(entry["max_input_tokens"])
    answer = entry.get("max_output_tokens")
    if answer is not None and answer != entry.get("max_input_tokens"):  # else it says that it is not known
        found["max_output"] = int(answer)
    return found if "context" in found or "context" in table else {}


def _prices(entry: dict[str, Any], dated: dict[str, Any]) -> dict[str, Any]:
    """Return the prices: the newest of genai-prices where it knows any by their day, else LiteLLM's."""
    days = _distinct(dated.get("prices", []))
    new = _of_litellm(entry) if "input_cost_per_token" in entry or "tiered_pricing" in entry else {}
    peaks = "off_peak" in new
    if days and not peaks:
        new |= _of_genai(days[-1])
        new.setdefault("long", [])
    rates = dict(new.get("rates", {}))
    base = dated.get("prices", [{}])[-1].get("input_mtok")
    for name, prices in dated.get("variants", {}).items():
        if base and "input_mtok" in prices:
            rates.setdefault(name, _ratio(_first(prices["input_mtok"]), _first(base)))
    if rates:
        new["rates"] = dict(sorted(rates.items()))
    earlier = []
    for before, after in pairwise(days):
        one = {"until": after["from"], **_of_genai(before)}
        one.pop("web_search", None)
        read = _read(before)
        newest = (
            _ratio(entry["cache_read_input_token_cost"], entry["input_cost_per_token"])
            if peaks
            else _read(days[-1])
        )
        if read and read != newest:
            one["read"] = read
        earlier.append(one)
    if earlier:
        new["earlier"] = earlier
    return new


def _of_litellm(entry: dict[str, Any]) -> dict[str, Any]:
    if "tiered_pricing" in entry:
        first, *rest = entry["tiered_pricing"]
        price, answer = first["input_cost_per_token"], first["output_cost_per_token"]
        long = [
            {
                "above": int(one["range"][0]),
                "input": _ratio(one["input_cost_per_token"], price),
                "output": _ratio(one["output_cost_per_token"], answer),
            }
            for one in rest
        ]
    else:
        price, answer = entry["input_cost_per_token"], entry["output_cost_per_token"]
        long = [
            {
                "above": int(size[1]) * 1000,
                "input": _ratio(entry[key], price),
                "output": _ratio(entry[key.replace("input", "output", 1)], answer),
            }
            for key in sorted(entry)
            if (size := LONG.match(key))
        ]
    rates = {
        tier: _ratio(entry[f"input_cost_per_token_{suffix}"], price)
        for tier, suffix in TIERS.items()
        if entry.get(f"input_cost_per_token_{suffix}")
    }
    rates |= {name: float(times) for name, times in entry.get("provider_specific_entry", {}).items()}
    found: dict[str, Any] = {"input": _plain(price), "output": _plain(answer), "long": long, "rates": rates}
    if "search_context_cost_per_query" in entry:
        found["web_search"] = round(
            1000 * entry["search_context_cost_per_query"]["search_context_size_medium"], PLACES
        )
    if "off_peak_pricing" in entry:
        found["off_peak"] = {
            "times": _ratio(entry["off_peak_pricing"]["input_cost_per_token"], price),
            "peak": _peak(entry["off_peak_pricing"]["windows"]),
        }
    return found


def _peak(windows: list[dict[str, Any]]) -> list[list[int]]:
    """Return the hours of a working day that are in no window of lower prices."""
    (work,) = (one for one in windows if one["weekdays"] == [1, 2, 3, 4, 5])
    if {"hours_utc": "00:00-00:00", "weekdays": [6, 7]} not in windows:
        sys.exit(f"off-peak hours that the table can't say: {windows}")
    hours = [True] * 24
    for window in work["hours_utc"]:
        low, high = (int(clock[:2]) for clock in window.split("-"))
        hours[low : high or 24] = [False] * ((high or 24) - low)
    edges = [hour for hour in range(24) if hours[hour] != hours[hour - 1]]
    return [list(pair) for pair in zip(edges[::2], edges[1::2], strict=True)]


def _of_genai(prices: dict[str, Any]) -> dict[str, Any]:
    price, answer = _first(prices["input_mtok"]), _first(prices["output_mtok"])
    tiers = prices["input_mtok"][1:] if isinstance(prices["input_mtok"], list) else []
    answers = dict(prices["output_mtok"][1:]) if isinstance(prices["output_mtok"], list) else {}
    long = [
        {
            "above": start + 1 if start % 1000 else start,
            "input": _ratio(usd, price),
            "output": _ratio(answers.get(start, answer), answer),
        }
        for start, usd in tiers
    ]
    found: dict[str, Any] = {"input": price, "output": answer}
    if long:
        found["long"] = long
    if "web_searches_kcount" in prices:
        found["web_search"] = prices["web_searches_kcount"]
    return found


def _distinct(days: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out days on which no price of a token changed."""
    kept: list[dict[str, Any]] = []
    for one in days:
        tokens = {key: value for key, value in one.items() if key.endswith("mtok")}
        if kept and all(kept[-1].get(key) == value for key, value in tokens.items()):
            kept[-1] = {**one, "from": kept[-1]["from"]}
        elif tokens:
            kept.append(one)
    return kept


def _read(prices: dict[str, Any]) -> float:
    return _ratio(_first(prices.get("cache_read_mtok", 0.0)), _first(prices["input_mtok"]))


def _first(value: Any) -> float:
    return value[0] if isinstance(value, list) else value


def _plain(price: float) -> float:
    return round(price * MILLION, PLACES)


def _ratio(one: float, other: float) -> float:
    return round(one / other, 4) if other else 0.0


def written(filled_: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return the text of models.toml."""
    text = TABLE.read_text("utf-8")
    lines = []
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]").partition(".")[0]
        name, equals, _ = line.partition(" = {")
        identity = name.strip("'")
        if equals and identity in filled_.get(section, {}):
            table = filled_[section][identity]
            if unknown := table.keys() - set(ORDER):
                sys.exit(f"{identity}: {unknown} have no place in a line")
            lines.append(f"{name} = {_toml({key: table[key] for key in ORDER if key in table})}")
        else:
            lines.append(line)
    return "\n".join([*lines, ""])


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else repr(value)


def main() -> None:
    """Do what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--take", action="store_true")
    given = parser.parse_args()
    if given.take:
        KEPT.write_text(json.dumps(take(), indent=1, sort_keys=True) + "\n", "utf-8")
    text = written(filled(json.loads(KEPT.read_text("utf-8"))))
    if not given.check:
        TABLE.write_text(text, "utf-8")
    elif text != TABLE.read_text("utf-8"):
        sys.exit("models.toml is not what the kept sources say: python tests/bench catalogue")


if __name__ == "__main__":
    main()
