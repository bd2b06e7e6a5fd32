"""Reading what a provider tells of a request's usage, under all names that providers and relays give to their counts.

Anthropic's (also of Claude Code's sessions), OpenAI's of chat completions and Responses, and those of the many that
speak one of the two with names of their own: DeepSeek, Kimi, Qwen, z.ai, MiniMax, Mistral, xAI, Gemini, LiteLLM,
OpenRouter.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

import msgspec

from anchorline.outcome import MESSAGES, Iteration, Usage

MOST = 1_000_000_000
_ITERATIONS = 256
_COUNTS = ("input", "read", "write", "output", "write_1h")
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,31}\Z")
_ORDINARY = frozenset(
    {"", "standard", "default", "auto", "on_demand", "global", "not_available", "unspecified"}
)
"""Speeds, tiers and regions at the list price; `auto` stands in answers that have not been given a tier yet."""

_DETAILS = ("input_tokens_details", "prompt_tokens_details", "prompt_token_details")
_WHOLE = ("prompt_tokens", "promptTokenCount")
"""Of the whole prompt, what was read and written included."""
_READ = (
    "cached_tokens",  # Kimi, beside the others; in the details OpenAI, Qwen, z.ai, Mistral, xAI
    "cache_read_input_tokens",  # LiteLLM, in OpenAI's form too
    "prompt_cache_hit_tokens",  # DeepSeek
    "num_cached_tokens",  # Mistral
    "cachedContentTokenCount",  # Gemini
    "cached_content_token_count",
)
_WRITE = (
    "cache_write_tokens",  # OpenAI, OpenRouter
    "cache_creation_input_tokens",  # LiteLLM; in the details Qwen
    "cache_creation_tokens",  # LiteLLM, in the details
)
_SPLIT = ("cache_creation", "cache_creation_token_details")
_ANSWER = ("output_tokens", "completion_tokens")
_SAYS = (
    *_WHOLE,
    *_ANSWER,
    "input_tokens",
    "candidatesTokenCount",
    "prompt_cache_miss_tokens",
    *_READ,
    *_WRITE,
)


def merged(told: dict[str, Any], usage: Mapping[str, Any]) -> None:
    """Takes what an event of a stream tells into what earlier ones told.

    Counts are cumulative, so the larger one holds; what is null is not told.
    """
    for name, value in usage.items():
        before = told.get(name)
        if isinstance(value, Mapping) and isinstance(before, dict):
            merged(before, value)
        elif isinstance(value, Mapping):
            told[name] = dict(value)
        elif _number(value) and _number(before):
            told[name] = max(before, value)
        elif value is not None:
            told[name] = value


def read(told: Mapping[str, Any], tier: object = None, *, partial: bool = False) -> Usage | None:
    """Returns the usage that a provider's object tells, None where it has no counts.

    `tier` is the answer's own `service_tier` where it stands beside the usage.
    """
    if not any(_number(told.get(name)) for name in _SAYS) and not _of(told, _SPLIT):
        return None
    own = _counts(told, None)
    iterations = _iterations(told, own)
    whole = _sum(iterations) if iterations else own
    tools = told.get("server_tool_use")
    told_tier = told.get("service_tier")
    return Usage(
        input=whole.input,
        read=whole.read,
        write=whole.write,
        output=whole.output,
        write_1h=whole.write_1h,
        web_searches=_most(tools, ("web_search_requests",)) if isinstance(tools, Mapping) else 0,
        speed=_name(told.get("speed")),
        tier=_name(told_tier if told_tier is not None else tier),
        geo=_name(told.get("inference_geo")),
        iterations=iterations if len(iterations) > 1 or any(one.model for one in iterations) else (),
        partial=partial,
    )


def _counts(told: Mapping[str, Any], kind: object) -> Iteration:
    """Returns the counts of an object, of a usage as well as of one of its iterations."""
    details = next((one for name in _DETAILS if isinstance(one := told.get(name), Mapping)), None)
    everything = (told, details or {})
    read = max(_most(one, _READ) for one in everything)
    split = next((found for one in everything if (found := _of(one, _SPLIT)) is not None), {})
    long = _most(split, ("ephemeral_1h_input_tokens",))
    short = _most(split, ("ephemeral_5m_input_tokens",))
    write = max(*(_most(one, _WRITE) for one in everything), long + short)
    prompt = _most(told, _WHOLE)
    if not prompt and details is not None:
        prompt = _most(told, ("input_tokens",))
    output = _output(told, prompt)
    if prompt:
        # Some relays tell a whole that is without what was read: then it, or the total, does not hold that.
        apart = read + write > prompt or _most(told, ("total_tokens",)) == prompt + read + write + output
        fresh = prompt if apart and read + write else prompt - read - write
    else:
        fresh = _most(told, ("input_tokens",)) or _most(told, ("prompt_cache_miss_tokens",))
    fresh += _most(told, ("toolUsePromptTokenCount",))  # Gemini
    model = told.get("model") if kind is not None else None
    return Iteration(
        kind=kind[:32] if isinstance(kind, str) else "message",
        model=model[:128] if isinstance(model, str) and model else None,
        input=min(fresh, MOST),
        read=read,
        write=min(write, MOST),
        output=min(output, MOST),
        write_1h=min(long, write),
    )


def _sum(iterations: Iterable[Iteration], *, less: Iteration | None = None) -> Iteration:
    """Returns the sum of counts; with `less` what that has more than it."""
    found = list(iterations)
    sums = {name: sum(getattr(one, name) for one in found) for name in _COUNTS}
    if less is not None:
        sums = {name: max(getattr(less, name) - count, 0) for name, count in sums.items()}
    return Iteration(**{name: min(count, MOST) for name, count in sums.items()})


def _output(told: Mapping[str, Any], prompt: int) -> int:
    """Returns the tokens of the answer, with those of its reasoning where a provider counts them apart."""
    answer = _most(told, _ANSWER)
    thoughts = told.get("completion_tokens_details")
    reasoning = _most(thoughts, ("reasoning_tokens",)) if isinstance(thoughts, Mapping) else 0
    # xAI, and Gemini in OpenAI's form.
    if reasoning and _most(told, ("total_tokens",)) == prompt + answer + reasoning:
        answer += reasoning
    return answer or _most(told, ("candidatesTokenCount",)) + _most(told, ("thoughtsTokenCount",))


def _iterations(told: Mapping[str, Any], own: Iteration) -> tuple[Iteration, ...]:
    """Returns the inferences of which the counts beside them hold only the messages.

    Source: Anthropic's `BetaIterationsUsage`. Of a stream the counts may be newer than the list; what they have more
    belongs to the last message.
    """
    listed = told.get("iterations")
    found = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    made = [_counts(one, one.get("type", "message")) for one in found[:_ITERATIONS]]
    messages = [index for index, one in enumerate(made) if one.kind in MESSAGES]
    if made and not messages:
        return (own, *made)
    if messages:
        last = made[messages[-1]]
        more = _sum((made[index] for index in messages), less=own)
        made[messages[-1]] = msgspec.structs.replace(
            last, **{name: getattr(last, name) + getattr(more, name) for name in _COUNTS}
        )
    return tuple(made)


def _of(told: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any] | None:
    return next((one for name in names if isinstance(one := told.get(name), Mapping)), None)


def _most(told: Mapping[str, Any], names: tuple[str, ...]) -> int:
    """Returns the largest count under these names: who gives two of them means one, and the other may be 0."""
    values = (told.get(name) for name in names)
    return min(max((int(value) for value in values if _number(value)), default=0), MOST)


def _number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")


def _name(value: object) -> str:
    """Returns the name of what is not ordinary; one that is no name is ``other``, so that its price is not known."""
    if not isinstance(value, str) or (lower := value.lower()) in _ORDINARY:
        return ""
    return lower if _NAME.match(lower) else "other"
