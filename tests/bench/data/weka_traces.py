"""Reads WEKA's Claude Code traces (64-token block hashes) as chains of the ideal replay, and of the exact one."""

import gzip
import json
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from anchorline.cache.rules import Provider
from anchorline.replay.history import ReplayedRequest
from anchorline.replay.timeline import Timeline
from support.ideal_replay import Chain, ChainStep

BLOCK = 64


class Trace(NamedTuple):
    """One session: its main chain and its sub-agents', and the tokens of tools and system prompt.

    `recorded` are the same requests for the exact replay, a conversation for each chain and model, in order.
    """

    id: str
    split: str
    static: int
    chains: list[Chain]
    recorded: list[ReplayedRequest]

    def timelines(self, provider: Provider) -> list[Timeline]:
        """Return the requests to each model, under a provider's rules."""
        models = dict.fromkeys(request.model for request in self.recorded)
        return [
            Timeline(model, provider, [request for request in self.recorded if request.model == model])
            for model in models
        ]


def read(path: Path, near_duplicates: Path | None = None) -> list[Trace]:
    """Return the traces; of a group of near duplicates only the first one."""
    groups = json.loads(near_duplicates.read_text("utf-8")) if near_duplicates else {}
    repeated = {name for group in groups.values() for name in sorted(group)[1:]}
    traces = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            trace = json.loads(line)
            if trace["id"] in repeated:
                continue
            main = [request for request in trace["requests"] if "requests" not in request]
            nested = [request["requests"] for request in trace["requests"] if "requests" in request]
            chains = [_chain(requests) for requests in (main, *nested) if requests]
            static = trace["tool_tokens"] + trace["system_tokens"]
            recorded = [
                one
                for number, requests in enumerate([main, *nested])
                for one in _recorded(trace["id"], number, requests, 0 if number else static)
            ]
            recorded.sort(key=lambda one: one.at)
            traces.append(Trace(trace["id"], trace["split"], static, chains, recorded))
    return traces


def _recorded(trace: str, number: int, requests: list[dict], static: int) -> list[ReplayedRequest]:
    """Return a chain's requests. What a model had is compared with its own last request."""
    models: dict[str, list[dict]] = {}
    for request in requests:
        models.setdefault(request["model"], []).append(request)
    return [
        ReplayedRequest(
            "", trace, str(number), 0, model, step.at, step.tokens, step.shared if index else static,
            step.output, step.trigger, "5m", stop=step.stop,
        )
        for model, own in models.items()
        for index, step in enumerate(_whole(_chain(own)))
    ]  # fmt: skip


def _whole(chain: Chain) -> Chain:
    """Take a request that shares all but two blocks with the one before for one that shares all of it.

    A trace tells the content by whole blocks of 64 tokens; the simulator's entries end where a request did.
    """
    steps = list(chain[:1])
    for before, step in pairwise(chain):
        near = before.tokens - 2 * BLOCK < step.shared and before.tokens <= step.tokens
        steps.append(msgspec.structs.replace(step, shared=before.tokens) if near else step)
    return tuple(steps)


def _chain(requests: list[dict]) -> Chain:
    steps = []
    last = None
    for request in requests:
        shared = 0
        if last is not None and last["model"] == request["model"]:
            shared = min(_common(last["hash_rle"], request["hash_rle"]) * BLOCK, request["in"])
        steps.append(
            ChainStep(
                request["t"],
                request["in"],
                shared,
                _trigger(request, last, shared),
                request["stop"],
                request["out"],
            )
        )
        last = request
    return tuple(steps)


def _trigger(request: dict, last: dict | None, shared: int) -> str:
    """Return what a request answers. Several kinds of input at once mean a history that is sent anew."""
    if request["input_types"] == ["tool_result"]:
        return "tool"
    anew = len(request["input_types"]) > 1 and last is not None and shared < last["in"] / 2
    return "compact" if anew else "user"


def _common(one: list[list[int]], other: list[list[int]]) -> int:
    """Return the length of the longest common prefix of two runs of consecutive block ids."""
    found = first = second = into = onto = 0
    while first < len(one) and second < len(other):
        (left, size), (right, length) = one[first], other[second]
        if left + into != right + onto:
            break
        step = min(size - into, length - onto)
        found, into, onto = found + step, into + step, onto + step
        if into == size:
            first, into = first + 1, 0
        if onto == length:
            second, onto = second + 1, 0
    return found
