"""The providers' caching rules: dated data (`providers.toml`), with the user's own file laid over it.

Prices are multipliers of the base price of an uncached input token, lifetimes seconds, sizes tokens.
docs/reference/providers.md documents every key and says how to override one.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import date
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from anchorline.config import Problem

BUILT_IN = Path(__file__).with_name("providers.toml")

Mode = Literal["explicit", "automatic", "local", "none"]
Readable = Literal["once the first response begins streaming", "once the response is complete"]
Tokens = Annotated[int, Meta(ge=0, le=10_000_000)]
Multiplier = Annotated[float, Meta(ge=0, le=10)]

T = TypeVar("T")


class Lifetime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The time an entry lives after `Provider.clock`, and the price of writing it."""

    name: str
    seconds: Annotated[int, Meta(gt=0)]
    write: Multiplier


class MarkerRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON member that marks a content block: ``"member": value``, with the lifetime under `ttl_key`.

    An empty `ttl_key` means that a lifetime can't be asked for block by block.
    """

    member: str
    value: dict[str, str]
    ttl_key: str = ""


class Marked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The price of an automatic provider's cache in a request that sets markers of its own; None: as ever."""

    write: Multiplier
    read: Multiplier | None = None


class Automatic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The request's own member that has the provider place a breakpoint, and what that takes."""

    member: str
    slots: int
    lifetime: str
    falls_on: str = ""
    refused: tuple[str, ...] = ()


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules of one provider. docs/reference/providers.md says what each field means."""

    name: str
    title: str
    mode: Mode
    models: tuple[str, ...] = ()
    as_of: str = ""
    source: tuple[str, ...] = ()
    extends: str = ""
    implicit: bool = False
    max_breakpoints: Annotated[int, Meta(ge=0, le=64)] = 0
    match_breakpoints: int | None = None
    lookback: int | None = None
    lifetimes: tuple[Lifetime, ...] = ()
    clock: Literal["request_start", "last_use"] = "last_use"
    refresh_on_read: bool = True
    readable: Readable = "once the first response begins streaming"
    longer_first: bool = False
    longer_tail_covers_prefix: bool = False
    read: Multiplier = 1.0
    marked: Marked | None = None
    reads: dict[str, Multiplier] = {}
    minimum_tokens: Tokens = msgspec.field(default=0, name="minimum")
    minimums: dict[str, Tokens] = {}
    increment: Annotated[int, Meta(ge=1)] = 1
    match: str = ""
    render_order: tuple[str, ...] = ("tools", "system", "messages")
    invalidation: dict[str, tuple[str, ...]] = {}
    assistant_markable: bool = False
    unmarkable: tuple[str, ...] = ()
    marker: MarkerRule | None = None
    automatic: Automatic | None = None
    strips_thinking: bool = False
    thinking_kept: tuple[str, ...] = ()
    thinking_in_tools: tuple[str, ...] = ()
    prewarm: str = ""
    key: str = ""
    sticky: tuple[str, ...] = ()
    sticky_idle_s: int | None = None
    passthrough: bool = False
    vendors: tuple[str, ...] = ()
    isolation: str = ""
    usage: dict[str, str] = {}
    diagnostics: dict[str, str] = {}
    note: str = ""
    unverified: tuple[str, ...] = ()

    def minimum(self, model: str) -> int:
        """Returns the fewest tokens of a prefix that are cached for `model`; shorter ones silently are not."""
        if not self.minimums:
            return self.minimum_tokens
        return longest(self.minimums, canonical(model), self.minimum_tokens)

    def read_price(self, model: str) -> float:
        """Returns what a cached token costs, as a share of the base input price."""
        if not self.reads:
            return self.read
        return longest(self.reads, canonical(model), self.read)

    def narrowed(self, model: str) -> "Provider":
        """Returns the rules as they hold for one model: every plan asks them a dozen times."""
        return msgspec.structs.replace(
            self, minimum_tokens=self.minimum(model), minimums={}, read=self.read_price(model), reads={}
        )

    def lifetime(self, name: str) -> Lifetime | None:
        """Returns a lifetime by its name, the first one for ``default``, None where there is no such one."""
        for lifetime in self.lifetimes:
            if lifetime.name == name:
                return lifetime
        return self.lifetimes[0] if self.lifetimes and name == "default" else None

    def write_price(self, lifetime: str = "default") -> float:
        """Returns what writing a token into the cache costs, as a share of the base price (1: no more)."""
        match = self.lifetime(lifetime)
        return match.write if match is not None else 1.0

    def drops_thinking(self, model: str) -> bool:
        """Says whether a plain user message removes earlier turns' thinking, and what was cached after it."""
        return self.strips_thinking and not _named(self.thinking_kept, model)

    def made_useless(self, setting: str, model: str) -> tuple[str, ...]:
        """Returns the sections that a change of a request parameter makes useless, by its key in `invalidation`."""
        if setting == "thinking_or_effort" and _named(self.thinking_in_tools, model):
            return self.render_order
        return self.invalidation.get(setting, ())

    def age_days(self, today: date) -> int | None:
        """Returns how many days ago the rules were read, None where that is not said."""
        return (today - date.fromisoformat(self.as_of)).days if self.as_of else None


NONE = Provider(
    name="none",
    title="This provider",
    mode="none",
    note="No cache rules are known for this model, so nothing is assumed to be cached. "
    "Add them in a file of your own (files.providers).",
)


class Rules(msgspec.Struct, frozen=True):
    """All providers, and what was wrong with the user's file."""

    providers: dict[str, Provider]
    problems: tuple[Problem, ...] = ()
    _memo: dict[str, Provider] = {}

    def provider(self, name: str) -> Provider:
        """Returns a provider by its name; one that caches nothing where the name is unknown."""
        return self.providers.get(name, NONE)

    def for_model(self, model: str) -> Provider:
        """Returns the rules that hold for a model as requests name it, and for that model only.

        Knows dated ids, Bedrock's ``us.anthropic.…-v1:0``, OpenRouter's ``vendor/model`` and ``agent/model``.
        """
        provider = self._memo.get(model)
        if provider is None:
            if len(self._memo) > 500:  # model names come from outside
                self._memo.clear()
            provider = self._memo[model] = self._resolve(model.lower()).narrowed(model)
        return provider

    def _resolve(self, model: str) -> Provider:
        vendor, slash, rest = model.partition("/")
        named = self._matching(model, qualified=bool(slash))
        if not slash:
            return named or NONE
        if named is None:
            routers = (provider for provider in self.providers.values() if provider.passthrough)
            named = next((provider for provider in routers if vendor in provider.vendors), None)
            if named is None:
                return self._resolve(rest)
        elif named.passthrough:
            model = rest
        if not named.passthrough:
            return named
        inner = self._matching(canonical(model), qualified=False)
        if inner is None:
            return msgspec.structs.replace(NONE, name=named.name, title=named.title)
        return msgspec.structs.replace(
            inner,
            name=named.name,
            title=named.title,
            note=f"{named.note} {inner.note}".strip(),
            sticky=named.sticky,
            sticky_idle_s=named.sticky_idle_s,
        )

    def _matching(self, model: str, *, qualified: bool) -> Provider | None:
        """Returns the provider of the most specific pattern; patterns with a slash are for names with one."""
        best: Provider | None = None
        length = -1
        for provider in self.providers.values():
            for pattern in provider.models:
                if ("/" in pattern) is qualified and len(pattern) > length and fnmatchcase(model, pattern):
                    best, length = provider, len(pattern)
        return best


def load(override: str | Path | None = None) -> Rules:
    """Returns the built-in rules with the user's file `override` over them. Never raises.

    A provider that is not valid after merging keeps its built-in rules; `Rules.problems` names file and key.
    Read once in a process, and again when the file changes.
    """
    return _load(*versioned(override))


def versioned(override: str | Path | None) -> tuple[Path | None, tuple[int, int] | None]:
    """Returns a user's data file and what changes with it, so that what was read of it can be kept until then."""
    if not override:
        return None, None
    path = Path(override)
    try:
        stat = path.stat()
    except OSError:
        return path, None
    return path, (stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def _load(path: Path | None, _version: tuple[int, int] | None) -> Rules:
    tables = tomllib.loads(BUILT_IN.read_text("utf-8"))
    given, problems = read_toml(path, "the built-in rules are used")
    for name in given:
        if not isinstance(given[name], Mapping):
            problems.append(Problem(str(path), name, "is a provider, so it takes a table of keys"))
    providers = {}
    for name in dict.fromkeys((*tables, *given)):
        own = given.get(name)
        table = _extended(tables, name)
        if isinstance(own, Mapping):
            try:
                providers[name] = _provider(name, merged(table, own))
                continue
            except msgspec.ValidationError as error:
                kept = "its built-in rules are used" if name in tables else "it is left out"
                problems.append(Problem(str(path), *located(name, error, kept)))
        if name in tables:
            providers[name] = _provider(name, table)
    return Rules(providers, tuple(problems), {})


def _extended(tables: Mapping[str, Any], name: str) -> dict[str, Any]:
    table: dict[str, Any] = tables.get(name, {})
    base = table.get("extends")
    return merged(tables[base], table) if base else table


def _provider(name: str, table: Mapping[str, Any]) -> Provider:
    provider = msgspec.convert({"mode": "none", "title": name, **table, "name": name}, Provider)
    if provider.as_of:
        try:
            date.fromisoformat(provider.as_of)
        except ValueError:
            raise msgspec.ValidationError("Expected a date such as 2026-11-23 - at `$.as_of`") from None
    return provider


def read_toml(path: Path | None, otherwise: str) -> tuple[dict[str, Any], list[Problem]]:
    """Reads a user's data file: its tables, or none and the problem. `otherwise` says what happens then."""
    if path is None:
        return {}, []
    try:
        return tomllib.loads(path.read_text("utf-8-sig")), []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
        return {}, [Problem(str(path), "", f"can't be read ({why}); {otherwise}")]


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `base` with the keys of `over` laid over it, table by table; lists are replaced whole."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, Mapping) and value and isinstance(below, Mapping):
            result[key] = merged(below, value)
        else:
            result[key] = value
    return result


def located(name: str, error: msgspec.ValidationError, kept: str) -> tuple[str, str]:
    """Splits msgspec's message into the key it speaks of, below `name`, and what is wrong there."""
    message, _, path = str(error).partition(" - at `$")
    return name + path.rstrip("`"), f"{message}; {kept}"


def longest(table: Mapping[str, T], model: str, otherwise: T) -> T:
    """Returns the value of the longest key that `model` begins with, up to a boundary of its name."""
    if model in table:
        return table[model]
    best = ""
    for key in table:
        if len(key) > len(best) and model.startswith(key) and model[len(key)] in "-.:@":
            best = key
    return table[best] if best else otherwise


def _named(models: tuple[str, ...], model: str) -> bool:
    return longest(dict.fromkeys(models, True), canonical(model), False)


_ROUTE = re.compile(r"^(?:.*[/:])?(?:[a-z]{2,6}\.)?anthropic\.|^.*/")
_SUFFIX = re.compile(
    r"(?:[-@]20\d{6}(?:-v\d+(?::\d+)?)?|[-@]20\d\d-\d\d-\d\d|-v\d+:\d+|-latest|\[1m\]"
    r"|:(?:free|thinking|beta|extended|nitro|floor|exacto|online))+$"
)
_DOTTED = re.compile(r"(?<=\d)\.(?=\d)")


@lru_cache(maxsize=512)
def canonical(model: str) -> str:
    """Returns a model's plain name: without provider, region, date and variant, Claude versions with hyphens.

    Both ``us.anthropic.claude-opus-4-5-20251101-v1:0`` and ``anthropic/claude-opus-4.5`` give
    ``claude-opus-4-5``.
    """
    name = _SUFFIX.sub("", _ROUTE.sub("", model.lower(), count=1))
    return _DOTTED.sub("-", name) if name.startswith("claude") else name
