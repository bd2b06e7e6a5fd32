"""Reads the usage that a provider reports, under all names that providers and relays give to their counts.

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


def merged(totals: dict[str, Any], usage: Mapping[str, Any]) -> None:
    """Takes what an event of a stream tells into what earlier ones told.

    Counts are cumulative, so the larger one holds; what is null is not told.
    """
    for name, value in usage.items():
        before = totals.get(name)
        if isinstance(value, Mapping) and isinstance(before, dict):
            merged(before, value)
        elif isinstance(value, Mapping):
            totals[name] = dict(value)
        elif _number(value) and _number(before):
            totals[name] = max(before, value)
        elif value is not None:
            totals[name] = value


def read(usage: Mapping[str, Any], tier: object = None, *, partial: bool = False) -> Usage | None:
    """Returns the usage that a provider's object tells, None where it has no counts.

    `tier` is the answer's own `service_tier` where it stands beside the usage.
    """
    if not any(_number(usage.get(name)) for name in _SAYS) and not _of(usage, _SPLIT):
        return None
    own = _counts(usage, None)
    iterations = _iterations(usage, own)
    whole = _sum(iterations) if iterations else own
    tools = usage.get("server_tool_use")
    usage_tier = usage.get("service_tier")
    return Usage(
        input=whole.input,
        read=whole.read,
        write=whole.write,
        output=whole.output,
        write_1h=whole.write_1h,
        web_searches=_most(tools, ("web_search_requests",)) if isinstance(tools, Mapping) else 0,
        speed=_name(usage.get("speed")),
        tier=_name(usage_tier if usage_tier is not None else tier),
        geo=_name(usage.get("inference_geo")),
        iterations=iterations
        if len(iterations) > 1 or any(iteration.model for iteration in iterations)
        else (),
        partial=partial,
    )


def _counts(usage: Mapping[str, Any], kind: object) -> Iteration:
    """Returns the counts of an object, of a usage as well as of one of its iterations."""
    details = next((counts for name in _DETAILS if isinstance(counts := usage.get(name), Mapping)), None)
    everything = (usage, details or {})
    read = max(_most(counts, _READ) for counts in everything)
    split = next((part for counts in everything if (part := _of(counts, _SPLIT)) is not None), {})
    long = _most(split, ("ephemeral_1h_input_tokens",))
    short = _most(split, ("ephemeral_5m_input_tokens",))
    write = max(*(_most(counts, _WRITE) for counts in everything), long + short)
    prompt = _most(usage, _WHOLE)
    if not prompt and details is not None:
        prompt = _most(usage, ("input_tokens",))
    output = _output(usage, prompt)
    if prompt:
        # Some relays tell a whole that is without what was read: then it, or the total, does not hold that.
        apart = read + write > prompt or _most(usage, ("total_tokens",)) == prompt + read + write + output
        fresh = prompt if apart and read + write else prompt - read - write
    else:
        fresh = _most(usage, ("input_tokens",)) or _most(usage, ("prompt_cache_miss_tokens",))
    fresh += _most(usage, ("toolUsePromptTokenCount",))  # Gemini
    model = usage.get("model") if kind is not None else None
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
    parts = list(iterations)
    sums = {name: sum(getattr(iteration, name) for iteration in parts) for name in _COUNTS}
    if less is not None:
        sums = {name: max(getattr(less, name) - count, 0) for name, count in sums.items()}
    return Iteration(**{name: min(count, MOST) for name, count in sums.items()})


def _output(usage: Mapping[str, Any], prompt: int) -> int:
    """Returns the tokens of the answer, with those of its reasoning where a provider counts them apart."""
    answer = _most(usage, _ANSWER)
    thoughts = usage.get("completion_tokens_details")
    reasoning = _most(thoughts, ("reasoning_tokens",)) if isinstance(thoughts, Mapping) else 0
    # xAI, and Gemini in OpenAI's form.
    if reasoning and _most(usage, ("total_tokens",)) == prompt + answer + reasoning:
        answer += reasoning
    return answer or _most(usage, ("candidatesTokenCount",)) + _most(usage, ("thoughtsTokenCount",))


def _iterations(usage: Mapping[str, Any], own: Iteration) -> tuple[Iteration, ...]:
    """Returns the inferences of which the counts beside them hold only the messages.

    Source: Anthropic's `BetaIterationsUsage`. Of a stream the counts may be newer than the list; what they have more
    belongs to the last message.
    """
    listed = usage.get("iterations")
    entries = [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []
    made = [_counts(entry, entry.get("type", "message")) for entry in entries[:_ITERATIONS]]
    messages = [index for index, iteration in enumerate(made) if iteration.kind in MESSAGES]
    if made and not messages:
        return (own, *made)
    if messages:
        last = made[messages[-1]]
        more = _sum((made[index] for index in messages), less=own)
        made[messages[-1]] = msgspec.structs.replace(
            last, **{name: getattr(last, name) + getattr(more, name) for name in _COUNTS}
        )
    return tuple(made)


def _of(usage: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any] | None:
    return next((part for name in names if isinstance(part := usage.get(name), Mapping)), None)


def _most(usage: Mapping[str, Any], names: tuple[str, ...]) -> int:
    """Returns the largest count under these names: who gives two of them means one, and the other may be 0."""
    values = (usage.get(name) for name in names)
    return min(max((int(value) for value in values if _number(value)), default=0), MOST)


def _number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")


def _name(value: object) -> str:
    """Returns the name of what is not ordinary; one that is no name is ``other``, so that its price is not known."""
    if not isinstance(value, str) or (lower := value.lower()) in _ORDINARY:
        return ""
    return lower if _NAME.match(lower) else "other"
