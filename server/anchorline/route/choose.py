"""Which model should answer: the one whose expected value is highest once everything is paid.

    value = success_usd·P(solved) − (first + (REQUESTS − 1)·later) / REQUESTS − SECOND_USD·seconds

`first` is what this request costs: another model than the current one finds nothing in its cache and writes the whole
prompt. `later` is what a request costs that reads it there. Within a session a switch must besides be worth the warm
prefix that it throws away; when nothing is warm, it is free. docs/routing.md has an example.
"""

from collections.abc import Iterable

import msgspec

from anchorline import config
from anchorline.cache.rules import Rules
from anchorline.plan import Alternative, Route
from anchorline.route.catalog import Catalog, Model
from anchorline.route.quality import QualityModel

SECOND_USD = 0.0005
"""What a second of waiting costs, in USD: 1.80 an hour, since a developer mostly does something else meanwhile."""

REQUESTS = 6
"""Requests over which a prefix is paid off. Nine prefixes in ten are used by as many, half of them by 35: recorded
requests, train split, counted to the next compaction or pause of an hour (tests/bench/prefix_uses.py)."""


MARGIN_USD = 0.002
"""What a switch must gain by request, in USD: less is not worth a developer's attention."""

DOUBT = 0.05
"""Error of the estimated P(solved): so much of another model's advantage is not believed when it comes to a switch."""


class Situation(msgspec.Struct, frozen=True):
    """What the choice depends on, besides settings and data.

    `current` is the model that the request is set to use, by the name that it has there. `warm_tokens` of the
    `prompt_tokens` are expected to be read from that model's cache; `cold` says that no prefix of the prompt is warm.
    `in_session`: the conversation already has answers.
    """

    current: str
    prompt_tokens: int
    warm_tokens: int
    output_tokens: int
    in_session: bool
    cold: bool
    draft: str


class _Candidate(msgspec.Struct, frozen=True):
    """A model that may answer; `net` is its value after what a switch to it costs."""

    option: Alternative
    net: float


def choose(
    situation: Situation, catalog: Catalog, rules: Rules, quality: QualityModel, settings: config.Route
) -> Route:
    """Return the route, with every model that was considered and why it was not taken."""
    current = situation.current
    model = catalog.find(current)
    if model is None:
        reason = (
            f"{current} is kept: it is not in the model catalogue, so what it costs and solves is unknown."
        )
        return Route(current, "unknown", (), situation.in_session, reason)
    if not settings.enabled:
        reason = f"{current} is kept: routing is switched off (route.enabled)."
        return Route(current, model.tier, (), situation.in_session, reason)
    features = quality.features(situation.draft, in_session=situation.in_session)
    lost = _lost(situation, rules, model) if settings.sticky else 0.0
    own = quality.p_success(features, model)
    candidates = []
    for name, one in _names(current, model, catalog, settings):
        if one is None:
            unknown = Alternative(name, "unknown", 0.0, 0.0, 0, 0.0, "not in the model catalogue")
            candidates.append(_Candidate(unknown, 0.0))
            continue
        is_current = name == current
        first, later = _costs(situation, rules, name, one, situation.warm_tokens if is_current else 0)
        p_success = quality.p_success(features, one)
        latency = one.latency_ms(situation.output_tokens)
        spread = (first + (REQUESTS - 1) * later) / REQUESTS
        score = settings.success_usd * p_success - spread - SECOND_USD * latency / 1000
        excluded = _excluded(situation, one, is_current=is_current)
        doubt = settings.success_usd * min(max(p_success - own, 0.0), DOUBT)
        net = score if is_current else score - doubt - lost / REQUESTS - MARGIN_USD
        option = Alternative(
            name, one.tier, round(p_success, 4), round(first, 6), latency, round(score, 6), excluded
        )
        candidates.append(_Candidate(option, net))
    if settings.pin:
        return _pinned(situation, model, candidates, lost)
    return _route(situation, model, candidates, lost)


def _names(
    current: str, model: Model, catalog: Catalog, settings: config.Route
) -> Iterable[tuple[str, Model | None]]:
    """Yield the current model and then the others that may be proposed, by the name to send.

    Without a list of the user's own these are the current line-up of the same provider. Where the request reaches its
    model through somebody else (``bedrock``, ``openrouter/…``), their names for the others are not known. A
    pinned model is the only other one.
    """
    yield current, model
    seen = {model.id}
    pool = (settings.pin,) if settings.pin else settings.allow
    if pool:
        for name in pool:
            one = catalog.find(name)
            identity = one.id if one is not None else name
            if identity not in seen:
                seen.add(identity)
                yield name, one
    elif "/" not in current and "anthropic." not in current:
        for one in catalog.of_provider(model.provider, current=True):
            if one.id not in seen:
                yield one.id, one


def _costs(situation: Situation, rules: Rules, name: str, model: Model, warm: int) -> tuple[float, float]:
    """Return the USD of this request, `warm` tokens of which are in the model's cache, and of one that reads it all."""
    provider = rules.for_model(name)
    tokens = situation.prompt_tokens
    price, output_price = model.prices(tokens)
    output = output_price * situation.output_tokens
    if tokens < provider.minimum(name):
        plain = price * tokens + output
        return plain, plain
    read = provider.read_price(name)
    first = read * warm + provider.write_price() * (tokens - warm)
    return price * first + output, price * read * tokens + output


def _lost(situation: Situation, rules: Rules, model: Model) -> float:
    """Return what it would cost to have the current model's warm prefix again, in USD."""
    if not situation.in_session or situation.cold or not situation.warm_tokens:
        return 0.0
    provider = rules.for_model(situation.current)
    price, _ = model.prices(situation.prompt_tokens)
    premium = provider.write_price() - provider.read_price(situation.current)
    return max(price * premium * situation.warm_tokens, 0.0)


def _excluded(situation: Situation, model: Model, *, is_current: bool) -> str | None:
    needed = situation.prompt_tokens + situation.output_tokens
    if needed > model.context:
        return f"takes {_count(model.context)} tokens; the prompt and its answer need {_count(needed)}"
    if model.status == "retired" and not is_current:
        return "retired by its provider"
    return None


def _pinned(situation: Situation, model: Model, candidates: list[_Candidate], lost: float) -> Route:
    """Return the pinned model, the last of the candidates, unless it can't take the prompt."""
    current, pick = candidates[0].option, candidates[-1].option
    options = tuple(one.option for one in candidates)
    if pick is current:
        reason = f"{current.target} is kept: it is pinned here (route.pin); {_worth(current)}."
    elif pick.excluded is not None:
        reason = f"{current.target} is kept: {pick.target} is pinned here (route.pin), but {_why(pick)}."
    else:
        thrown = f", although {_count(situation.warm_tokens)} warm tokens worth {_usd(lost)} are thrown away"
        reason = f"{pick.target} instead of {current.target}, since it is pinned here (route.pin)"
        return Route(
            pick.target, pick.tier, options, sticky=False, reason=f"{reason}{thrown if lost else ''}."
        )
    return Route(current.target, model.tier, options, situation.in_session, reason)


def _why(option: Alternative) -> str:
    """Return why a model is not taken, as the rest of a sentence."""
    excluded = option.excluded or ""
    return f"it {excluded}" if excluded.startswith("takes") else f"it is {excluded}"


def _route(situation: Situation, model: Model, candidates: list[_Candidate], lost: float) -> Route:
    first = candidates[0]
    current = first.option
    able = [one for one in candidates if one.option.excluded is None]
    options = tuple(one.option for one in candidates)
    if not able:
        reason = f"{current.target} is kept, but no allowed model takes the prompt: it {current.excluded}."
        return Route(current.target, model.tier, options, situation.in_session, reason)
    best = max(able, key=lambda one: one.net)  # the first of equals: the current model
    if best is first:
        return Route(current.target, model.tier, options, situation.in_session, _kept(situation, able, lost))
    pick = best.option
    if current.excluded is not None:
        reason = f"{pick.target} instead of {current.target}, which {current.excluded}; {_worth(pick)}."
    else:
        reason = _switched(situation, pick, current, lost)
    return Route(pick.target, pick.tier, options, sticky=False, reason=reason)


def _kept(situation: Situation, able: list[_Candidate], lost: float) -> str:
    current = able[0].option
    if len(able) == 1:
        return f"{current.target} is kept: no other allowed model takes this prompt; {_worth(current)}."
    closest = max(able[1:], key=lambda one: one.net)
    rival = closest.option
    gain = closest.net + lost / REQUESTS + MARGIN_USD - current.score
    if lost and gain > MARGIN_USD:
        return (
            f"{current.target} is kept: {rival.target} would gain {_usd(gain)} a request, but a switch throws away "
            f"{_count(situation.warm_tokens)} warm tokens worth {_usd(lost)}, more than {REQUESTS} requests gain."
        )
    compared = f"{_usd(-gain)} a request better than" if gain < 0 else "as good as"
    if lost:
        return (
            f"{current.target} is kept: {_worth(current)}, {compared} {rival.target}, and its "
            f"{_count(situation.warm_tokens)} warm tokens are worth {_usd(lost)}."
        )
    return f"{current.target} is kept: {_worth(current)}, {compared} {rival.target}."


def _switched(situation: Situation, pick: Alternative, current: Alternative, lost: float) -> str:
    if lost:
        why = f"although {_count(situation.warm_tokens)} warm tokens worth {_usd(lost)} are thrown away"
    elif situation.in_session and situation.cold:
        why = "and nothing is warm, so a switch is free now"
    else:
        why = f"against {current.p_success:.0%} for {_usd(current.cost_usd)}"
    better = _usd(pick.score - current.score)
    return f"{pick.target} instead of {current.target}: {_worth(pick)}, {better} a request better, {why}."


def _worth(option: Alternative) -> str:
    return f"{option.p_success:.0%} likely to solve this for {_usd(option.cost_usd)}"


def _usd(amount: float) -> str:
    if amount == 0:
        return "$0"
    return f"${amount:.2f}" if amount >= 1 else f"${amount:.3f}" if amount >= 0.01 else f"${amount:.4f}"


def _count(tokens: int) -> str:
    return f"{tokens:,}".replace(",", " ")
