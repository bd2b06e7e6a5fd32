"""The models: tier, limits, prices and speed, from a dated catalogue (`models.toml`) and the user's own file.

Prices are USD per million tokens, limits are tokens. docs/reference/models.md documents every key.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from anchorline.cache.rules import canonical, located, merged, read_toml, versioned
from anchorline.config import Problem

BUILT_IN = Path(__file__).with_name("models.toml")

Tier = Literal["local", "fast", "strong"]
TIERS: tuple[Tier, ...] = ("local", "fast", "strong")
SKILLS: dict[Tier, tuple[float, float]] = {"local": (-5.0, -0.01), "fast": (0.0, 0.69), "strong": (0.7, 5.0)}
"""The range of `Model.skill` by tier: disjoint, so that a stronger tier is never expected to do worse."""

SATURDAY = 5
Price = Annotated[float, Meta(ge=0, le=10_000)]
Count = Annotated[int, Meta(gt=0, le=100_000_000)]


class Long(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prompt of more than `above` tokens multiplies the prices of the whole request. Of several, the last counts."""

    above: Count
    input: Annotated[float, Meta(ge=1)]
    output: Annotated[float, Meta(ge=1)]


class Earlier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The prices before the day `until` (UTC), whole: those that came after it say nothing of them.

    `read` is what a cached token cost, as a share of `input`, where that was another one as well.
    """

    until: date
    input: Price
    output: Price
    long: tuple[Long, ...] = ()
    read: Annotated[float, Meta(ge=0, le=10)] | None = None

    def step(self, prompt_tokens: int) -> int:
        """Returns how many of `long` a prompt of that size is above."""
        return sum(prompt_tokens > step.above for step in self.long)


class OffPeak(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All prices are `times` as high outside of the `peak` hours (UTC, from and to) of Monday to Friday."""

    times: Annotated[float, Meta(ge=0, le=1)]
    peak: tuple[tuple[int, int], ...]


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model. `input` and `output` are USD per million tokens, `tps` output tokens a second.

    `rates` multiply the prices of a request that was served in another way than the ordinary one, as its usage tells
    it: a tier (``batch``, ``flex``, ``priority``), a speed (``fast``), a region (``us``). `web_search` is USD for a
    thousand of the provider's own searches. `earlier` prices are in the order of their days.
    """

    id: str
    provider: str
    tier: Tier
    skill: Annotated[float, Meta(ge=-5, le=5)]
    context: Count
    max_output: Count
    input: Price
    output: Price
    ttft_ms: Count
    tps: Count
    long: tuple[Long, ...] = ()
    rates: dict[str, Annotated[float, Meta(gt=0, le=100)]] = {}
    web_search: Price | None = None
    earlier: tuple[Earlier, ...] = ()
    off_peak: OffPeak | None = None
    status: Literal["current", "legacy", "retired"] = "legacy"
    aliases: tuple[str, ...] = ()
    measured: bool = False
    unverified: tuple[str, ...] = ()

    def step(self, prompt_tokens: int) -> int:
        """Returns how many of `long` a prompt of that size is above."""
        return sum(prompt_tokens > step.above for step in self.long)

    def dated(self, at: float) -> "Model | Earlier":
        """Returns whose prices held at an epoch second."""
        if self.earlier and at < inf:
            day = datetime.fromtimestamp(at, UTC).date()
            for period in self.earlier:
                if day < period.until:
                    return period
        return self

    def prices(self, prompt_tokens: int, at: float = inf) -> tuple[float, float]:
        """Returns the USD per token of input and of output for a prompt of that size.

        They are those of the epoch second `at`; the newest ones that are known where it is not given.
        """
        priced = self.dated(at)
        price, output = priced.input, priced.output
        step = priced.step(prompt_tokens)
        if step:
            long = priced.long[step - 1]
            price, output = price * long.input, output * long.output
        if self.off_peak is not None and priced is self and at < inf and not self.peak(at):
            price, output = price * self.off_peak.times, output * self.off_peak.times
        return price / 1e6, output / 1e6

    def peak(self, at: float) -> bool:
        """Says whether an epoch second is in the peak hours; always, where there are none."""
        if self.off_peak is None:
            return True
        then = datetime.fromtimestamp(at, UTC)
        return then.weekday() < SATURDAY and any(low <= then.hour < high for low, high in self.off_peak.peak)

    def latency_ms(self, output_tokens: int) -> int:
        """Returns how long an answer of that size typically takes."""
        return self.ttft_ms + round(1000 * output_tokens / self.tps)


class PriceSource(msgspec.Struct, frozen=True):
    """When and where a provider's models were read."""

    as_of: str
    source: str


class Catalog(msgspec.Struct, frozen=True):
    """All models by id, in the order of the file."""

    models: dict[str, Model]
    sources: dict[str, PriceSource]
    problems: tuple[Problem, ...] = ()
    _names: dict[str, str] = {}
    _shown: dict[tuple[str, ...], str] = {}

    def find(self, model: str) -> Model | None:
        """Returns a model by any name that requests use: dated ids, aliases, provider prefixes."""
        if model in self.models:
            return self.models[model]
        name = canonical(model)
        return self.models.get(self._names.get(name, name))

    def named(self, label: str) -> Model | None:
        """Returns a model by what an editor calls it: ``Claude Sonnet 4.5 (copilot)``, ``GPT-5.5``, ``haiku``.

        Case, separators and what stands in parentheses don't count, nor the order of words. One word is that of a
        family: the first one of the current models that have it, where they are one provider's.
        """
        plain = _ASIDE.sub("", label).strip()
        match = self.find(label) or self.find(plain) or self.models.get(self._shown.get(_key(plain), ""))
        word = canonical(plain)
        if match is not None or not word.isalpha():
            return match
        family = [
            model
            for model in self.models.values()
            if model.status == "current" and word in model.id.split("-")[1:]
        ]
        return family[0] if len({model.provider for model in family}) == 1 else None

    def of_provider(self, provider: str, *, current: bool = False) -> tuple[Model, ...]:
        """Returns the models of one provider, only those of its `current` line-up if asked so."""
        return tuple(
            model
            for model in self.models.values()
            if model.provider == provider and (not current or model.status == "current")
        )

    def age_days(self, today: date) -> dict[str, int]:
        """Returns how many days ago each provider's models were read."""
        return {
            name: (today - date.fromisoformat(source.as_of)).days for name, source in self.sources.items()
        }


def load(override: str | Path | None = None) -> Catalog:
    """Returns the built-in catalogue with the user's file `override` over it, model by model. Never raises.

    A model that is not valid after merging stays as it is built in; `Catalog.problems` names file and key.
    Read once in a process, and again when the file changes.
    """
    return _load(*versioned(override))


@lru_cache(maxsize=4)
def _load(path: Path | None, _version: tuple[int, int] | None) -> Catalog:
    built_in = tomllib.loads(BUILT_IN.read_text("utf-8"))
    given, problems = read_toml(path, "the built-in models are used")
    models: dict[str, Model] = {}
    sources: dict[str, PriceSource] = {}
    for name in dict.fromkeys((*built_in, *given)):
        section = built_in.get(name, {})
        own = given.get(name, {})
        if not isinstance(own, Mapping) or not isinstance(own.get("models", {}), Mapping):
            problems.append(Problem(str(path), name, "takes a table of keys, and one of models below it"))
            own = {}
        unknown = [key for key in own if key not in ("as_of", "source", "models")]
        problems += [Problem(str(path), f"{name}.{key}", "no such key") for key in unknown]
        sources[name] = _source({**section, **own}, f"{name}.as_of", str(path), problems)
        tables = section.get("models", {})
        for identity in dict.fromkeys((*tables, *own.get("models", {}))):
            table = tables.get(identity)
            mine = own.get("models", {}).get(identity)
            if mine is not None:
                try:
                    models[identity] = _model(identity, name, table or {}, mine)
                    continue
                except msgspec.ValidationError as error:
                    kept = "the built-in model is used" if table else "it is left out"
                    problems.append(Problem(str(path), *located(f"{name}.models.{identity}", error, kept)))
            if table is not None:
                models[identity] = _model(identity, name, table, {})
    names = {canonical(alias): model.id for model in models.values() for alias in (model.id, *model.aliases)}
    return Catalog(models, sources, tuple(problems), names, _shown(models))


_ASIDE = re.compile(r"\([^()]*\)|^[\w .-]+: ")
_PARTS = re.compile(r"[a-z]+|\d+")


def _key(name: str) -> tuple[str, ...]:
    """Returns what two spellings of a model's name share: its words, and its numbers in their order."""
    parts = _PARTS.findall(name.lower())
    words = sorted(part for part in parts if not part.isdigit())
    return (*words, *(part for part in parts if part.isdigit()))


def _shown(models: Mapping[str, Model]) -> dict[tuple[str, ...], str]:
    identities: dict[tuple[str, ...], str] = {}
    twice: set[tuple[str, ...]] = set()
    for model in models.values():
        for key in {_key(name) for name in (model.id, *model.aliases)}:
            if identities.setdefault(key, model.id) != model.id:
                twice.add(key)
    return {key: identity for key, identity in identities.items() if key not in twice}


def _model(identity: str, provider: str, table: Mapping[str, Any], mine: object) -> Model:
    if not isinstance(mine, Mapping):
        raise msgspec.ValidationError("Expected a table")
    model = msgspec.convert({**merged(table, mine), "id": identity, "provider": provider}, Model)
    low, high = SKILLS[model.tier]
    if not low <= model.skill <= high:
        raise msgspec.ValidationError(f"Expected {low} to {high} for tier {model.tier} - at `$.skill`")
    return model


def _source(section: Mapping[str, Any], key: str, path: str, problems: list[Problem]) -> PriceSource:
    as_of = str(section.get("as_of", date.min))
    try:
        date.fromisoformat(as_of)
    except ValueError:
        problems.append(Problem(path, key, "Expected a date such as 2026-11-23"))
        as_of = str(date.min)
    return PriceSource(as_of, str(section.get("source", "")))
