"""The choice of the model that should answer: the one whose expected value is highest once everything is paid.

    value = success_usd·P(solved) − later − SECOND_USD·seconds − entry / REQUESTS

`later` is what a request costs that finds the prompt in the model's cache and adds NEW_TOKENS to it, `entry` what it
costs to write what is not there now. So a switch has to pay within REQUESTS for the prefix that it writes anew; when
nothing is warm, the current model has to write it as well. docs/explain/routing.md has an example.
"""

from collections.abc import Iterable, Mapping
from math import ceil, inf

import msgspec

from anchorline import config
from anchorline.figures import count, usd
from anchorline.plan import Alternative, Route
from anchorline.route.catalog import Model
from anchorline.route.quality import QualityModel
from anchorline.route.target import Target, Targets

SECOND_USD = 0.0005
"""What a second of waiting costs, in USD: 1.80 an hour, since a developer mostly does something else meanwhile."""

REQUESTS = 16
"""Requests within which a switch must pay for itself. The best number on recorded sessions, train split (14 to 24 do as
well); a person's turn has 10 on average. Neither depth, size nor pace tells how many will come
(docs/research/routing.md)."""

NEW_TOKENS = 2000
"""What a request adds to the prompt, in tokens: the mean of recorded sessions, train split (the median is 650)."""

MARGIN_USD = 0.002
"""What a switch must gain by request, in USD: less is not worth a developer's attention."""

DOUBT = 0.05
"""Error of the estimated P(solved): a smaller advantage of another model than the current one is not believed."""


class Course(msgspec.Struct, frozen=True):
    """How a conversation goes on that is sent where the route says, without anybody being asked.

    `asked` is the instruction that it is judged by: the hardest so far, empty where none was seen. `own` is the model
    that its client names: a dearer one is taken only if a list of the user's names it, and `side` requests get none.
    `within_turn`: no new instruction has come since the current model was chosen, so it stays.
    """

    own: str = ""
    asked: str = ""
    side: bool = False
    within_turn: bool = False


class Situation(msgspec.Struct, frozen=True):
    """What the choice depends on, besides settings and data.

    `current` is the model that the request is set to use, by the name that it has there. `warm_tokens` of the
    `prompt_tokens` are expected to be read from that model's cache; `cold` says that no prefix of the prompt is warm.
    `in_session`: the conversation already has answers. `course`: how it goes on, where it is routed by itself.
    `elsewhere`: the tokens that other models still hold, by their names in the catalogue. Prices are those of the
    epoch second `at`. `unclear`: the draft leaves open what is to be done, so its length does not make it easy.
    """

    current: str
    prompt_tokens: int
    warm_tokens: int
    output_tokens: int
    in_session: bool
    cold: bool
    draft: str
    elsewhere: Mapping[str, int] = {}
    at: float = inf
    course: Course | None = None
    unclear: bool = False


class _Candidate(msgspec.Struct, frozen=True):
    """A model that may answer.

    `warm` tokens are expected to be read there. `value` is that of a request once the model holds the prompt, `entry`
    what it costs to write what is not warm. `net` is the value after its share of that, and for another model than the
    current one after the margin.
    """

    option: Alternative
    warm: int = 0
    value: float = 0.0
    entry: float = 0.0
    net: float = 0.0


def choose(situation: Situation, targets: Targets, quality: QualityModel, settings: config.Route) -> Route:
    """Returns the route, with every model that was considered and why it was not taken."""
    current = situation.current
    target = targets.find(current)
    current_model = target.model
    if current_model is None:
        reason = f"{current} is not in the model catalogue, so its price and quality are not known."
        return Route(current, "unknown", (), situation.in_session, reason)
    if not settings.enabled:
        reason = f"{current}: routing is off (route.enabled)."
        return Route(current, current_model.tier, (), situation.in_session, reason)
    course = situation.course or Course()
    if course.asked:  # the task is known, so a later request is not judged by less than the first one was
        features = quality.features(course.asked, in_session=False)
    else:
        features = quality.features(
            situation.draft, in_session=situation.in_session, unclear=situation.unclear
        )
    own = quality.p_success(features, current_model)
    counts = settings.sticky or not situation.in_session
    candidates = []
    for candidate in _targets(target, current_model, targets, settings, course):
        name, model = candidate.name, candidate.model
        if model is None:
            unknown = Alternative(name, "unknown", 0.0, 0.0, 0, 0.0, "not in the model catalogue")
            candidates.append(_Candidate(unknown))
            continue
        is_current = name == current
        warm = situation.warm_tokens if is_current else situation.elsewhere.get(model.id, 0)
        first, later, entry = _costs(situation, candidate, warm)
        p_success = quality.p_success(features, model)
        latency = model.latency_ms(situation.output_tokens)
        believed = own if own < p_success < own + DOUBT else p_success
        value = settings.success_usd * believed - later - SECOND_USD * latency / 1000
        if not counts:
            entry = 0.0
        score = value - entry / REQUESTS
        excluded = _excluded(situation, model, is_current=is_current)
        if excluded is None and not is_current and _dearer(situation, candidate, targets, settings):
            excluded = f"dearer than {course.own}, which the client asks for"
        option = Alternative(
            name, model.tier, round(p_success, 4), round(first, 6), latency, round(score, 6), excluded
        )
        net = score if is_current else score - MARGIN_USD
        candidates.append(_Candidate(option, warm, value, entry, net))
    if course.within_turn and candidates[0].option.excluded is None:
        reason = f"{current} was chosen earlier in this turn."
        options = tuple(candidate.option for candidate in candidates)
        return Route(current, current_model.tier, options, sticky=True, reason=reason)
    if settings.pin:
        lost = _lost(situation, target) if settings.sticky else 0.0
        return _pinned(situation, current_model, candidates, lost)
    return _route(situation, current_model, candidates)


def _targets(
    current: Target, model: Model, targets: Targets, settings: config.Route, course: Course
) -> Iterable[Target]:
    """Yields the current model and then the others that may be proposed, by the name to send: first the client's own.

    Without a list of the user's own these are the current line-up of the same provider. Where the request reaches its
    model through somebody else (``bedrock``, ``openrouter/…``), their names for the others are not known. A
    pinned model is the only other one.
    """
    yield current
    seen = {model.id}
    own = targets.find(course.own) if course.own and not settings.pin else current
    if own.model is not None and own.id not in seen:
        seen.add(own.id)
        yield own
    pool = (settings.pin,) if settings.pin else settings.allow
    if pool:
        for name in pool:
            target = targets.find(name)
            if target.id not in seen:
                seen.add(target.id)
                yield target
    elif "/" not in current.name and "anthropic." not in current.name:
        for other in targets.catalog.of_provider(model.provider, current=True):
            if other.id not in seen:
                yield targets.find(other.id)


def _costs(situation: Situation, target: Target, warm: int) -> tuple[float, float, float]:
    """Returns the USD of this request, `warm` tokens of which are cached, and of one that finds all there.

    The third is what is paid now to write the rest instead of reading it.
    """
    provider, tokens = target.provider, situation.prompt_tokens
    price, output_price = target.prices(tokens, situation.at)
    output = output_price * situation.output_tokens
    if tokens < provider.minimum(target.name):
        plain = price * tokens + output
        return plain, plain, 0.0
    read, write = provider.read_price(target.name), provider.write_price()
    held = price * read * tokens + output
    entry = price * (write - read) * (tokens - warm)
    return held + entry, held + price * write * NEW_TOKENS, entry


def _lost(situation: Situation, current: Target) -> float:
    """Returns what it would cost to have the current model's warm prefix again, in USD."""
    if not situation.in_session or situation.cold or not situation.warm_tokens:
        return 0.0
    price, _ = current.prices(situation.prompt_tokens, situation.at)
    premium = current.provider.write_price() - current.provider.read_price(current.name)
    return max(price * premium * situation.warm_tokens, 0.0)


def _dearer(situation: Situation, target: Target, targets: Targets, settings: config.Route) -> bool:
    """Says whether a model costs more than the client's own choice, and may not."""
    course = situation.course or Course()
    own = targets.find(course.own).model if course.own else None
    if own is None or settings.pin or (target.name in settings.allow and not course.side):
        return False
    return any(
        price > before
        for price, before in zip(target.prices(0, situation.at), own.prices(0, situation.at), strict=True)
    )


def hardest(quality: QualityModel, *asked: str) -> str:
    """Returns the instruction that is the least likely to be carried out; the first of equals."""
    instructions = [instruction for instruction in asked if instruction]
    return min(
        instructions, key=lambda instruction: quality.features(instruction, in_session=False).easy, default=""
    )


def _excluded(situation: Situation, model: Model, *, is_current: bool) -> str | None:
    needed = situation.prompt_tokens + situation.output_tokens
    if needed > model.context:
        return f"takes {count(model.context)} tokens; the prompt and its answer need {count(needed)}"
    if model.status == "retired" and not is_current:
        return "retired by its provider"
    return None


def _pinned(situation: Situation, model: Model, candidates: list[_Candidate], lost: float) -> Route:
    """Returns the pinned model, the last of the candidates, unless it can't take the prompt."""
    current, pick = candidates[0].option, candidates[-1].option
    options = tuple(candidate.option for candidate in candidates)
    if pick is current:
        reason = f"{current.target} is pinned (route.pin). {_worth(current)}."
    elif pick.excluded is not None:
        reason = f"{current.target}, although {pick.target} is pinned (route.pin): {_why(pick)}."
    else:
        thrown = f"; {count(situation.warm_tokens)} cached tokens worth {usd(lost)} are lost"
        reason = f"{pick.target} is pinned (route.pin), instead of {current.target}"
        return Route(
            pick.target, pick.tier, options, sticky=False, reason=f"{reason}{thrown if lost else ''}."
        )
    return Route(current.target, model.tier, options, situation.in_session, reason)


def _why(option: Alternative) -> str:
    """Returns why a model is not taken, as the rest of a sentence."""
    excluded = option.excluded or ""
    return f"it {excluded}" if excluded.startswith("takes") else f"it is {excluded}"


def _route(situation: Situation, model: Model, candidates: list[_Candidate]) -> Route:
    first = candidates[0]
    current = first.option
    able = [candidate for candidate in candidates if candidate.option.excluded is None]
    options = tuple(candidate.option for candidate in candidates)
    if not able:
        reason = f"{current.target}, but no allowed model takes this prompt: it {current.excluded}."
        return Route(current.target, model.tier, options, situation.in_session, reason)
    best = max(able, key=lambda candidate: candidate.net)  # the first of equals: the current model
    if best is first:
        return Route(current.target, model.tier, options, situation.in_session, _kept(situation, able))
    pick = best.option
    if current.excluded is not None:
        reason = f"{pick.target} instead of {current.target}, which {current.excluded}. {_worth(pick)}."
    else:
        reason = _switched(situation, best, first)
    return Route(pick.target, pick.tier, options, sticky=False, reason=reason)


def _kept(situation: Situation, able: list[_Candidate]) -> str:
    first = able[0]
    current = first.option
    if len(able) == 1:
        return f"{current.target}: no other allowed model takes this prompt. {_worth(current)}."
    closest = max(able[1:], key=lambda candidate: candidate.net)
    rival = closest.option
    gain, paid = closest.value - first.value, closest.entry - first.entry
    if paid > 0 and gain > MARGIN_USD:
        warm = (
            f", while {count(situation.warm_tokens)} tokens are cached here" if situation.warm_tokens else ""
        )
        return (
            f"{current.target}: switching to {rival.target} would gain {usd(gain)} a request, {usd(REQUESTS * gain)} "
            f"over {REQUESTS}, and cost {usd(paid)} now to write the prompt to its cache{warm}."
        )
    return (
        f"{current.target}: {_worth(current).lower()}. {rival.target} scores {rival.p_success:.0%} "
        f"{_price(rival, current)}{_outweighed(rival, current)}."
    )


def _outweighed(rival: Alternative, current: Alternative) -> str:
    """Returns why another model is not taken, as the end of a sentence about its success and price."""
    ahead = rival.p_success - current.p_success
    if 0 < ahead < DOUBT:
        return f"; differences under {100 * DOUBT:.0f} points are ignored"
    if rival.score > current.score:
        return f"; that gains less than {usd(MARGIN_USD)} a request, too little for a switch"
    if ahead < 0 and rival.cost_usd < current.cost_usd:
        return "; its lower success outweighs that (`route.success_usd`)"
    return "; its price outweighs that (`route.success_usd`)" if ahead > 0 else ""


def _switched(situation: Situation, best: _Candidate, first: _Candidate) -> str:
    pick, current = best.option, first.option
    gain, paid = best.value - first.value, best.entry - first.entry
    if situation.in_session and paid > 0:
        requests = ceil(paid / gain)
        within = f"{requests} requests" if requests > 1 else "one request"
        why = f". Writing the prompt to its cache costs {usd(paid)} now, earned back within {within}"
        if situation.warm_tokens:
            why += f"; {count(situation.warm_tokens)} cached tokens are given up"
    elif best.warm:
        why = f". {count(best.warm)} tokens are still cached there"
    elif situation.in_session and situation.cold:
        why = ". Nothing is cached, so switching is free now"
    else:
        why = ""
    return (
        f"{pick.target} instead of {current.target}: estimated {pick.p_success:.0%} success instead of "
        f"{current.p_success:.0%}, {_price(pick, current)}{why}."
    )


def _worth(option: Alternative) -> str:
    return f"Estimated {option.p_success:.0%} success, {usd(option.cost_usd)}"


def _price(option: Alternative, other: Alternative) -> str:
    """Returns what a model costs beside another, as in "for twice the price ($0.20 instead of $0.10)"."""
    mine, theirs = usd(option.cost_usd), usd(other.cost_usd)
    if mine == theirs:
        return "at the same price"
    ratio = option.cost_usd / other.cost_usd if other.cost_usd else 0.0
    times = (
        "twice"
        if round(ratio, 1) == 2
        else "half"
        if round(ratio, 2) == 0.5
        else f"{ratio:.1f} times"
        if ratio > 1
        else f"{ratio:.0%} of"
    )
    return (
        f"for {times} the price ({mine} instead of {theirs})" if ratio else f"for {mine} instead of {theirs}"
    )
