"""Changes of what a client sends, whose worth a replay tells: each makes other requests of those that were recorded.

A change keeps the order in which requests start. It yields both sides that are compared, since some requests that it
is about stand in no record.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Protocol

import msgspec

from anchorline.cache.rules import Rules
from anchorline.replay import policies
from anchorline.replay.history import ReplayedRequest
from anchorline.replay.rule import CachingRule
from anchorline.replay.timeline import Timeline

Requests = Sequence[ReplayedRequest]


class Change(Protocol):
    """Something that a developer can do otherwise."""

    def sides(self, requests: Requests, rules: Rules) -> tuple[Requests, Requests]:
        """Returns the requests as they were, which are the very same object where nothing is added, and as changed."""
        ...


class Lifetimes(msgspec.Struct, frozen=True):
    """Other lifetimes for main conversations and for sub-agents: ``5m``, ``1h``; None leaves what was recorded.

    Claude Code's settings for them are `promptCacheTtl` and `subagentPromptCacheTtl`: of other agents' sessions they
    change nothing. `sessions` are those that are changed, None for all.
    """

    main: str | None = None
    subagents: str | None = None
    sessions: frozenset[str] | None = None

    def sides(self, requests: Requests, rules: Rules) -> tuple[Requests, Requests]:  # noqa: ARG002  (`Change`'s)
        """Returns the requests with these lifetimes."""
        changed = []
        for request in requests:
            ttl = self.main if request.chain == "main" else self.subagents
            is_changed = ttl is not None and _is_changed(request, self.sessions)
            changed.append(request if not is_changed else msgspec.structs.replace(request, ttl=ttl))
        return requests, changed


def _is_changed(request: ReplayedRequest, sessions: frozenset[str] | None) -> bool:
    return sessions is None or request.session in sessions


class ChosenLifetimes(msgspec.Struct, frozen=True):
    """The lifetimes that Anchorline's gateway chooses (`policies`: "anchorline"), in sessions on an API key.

    On a plan Claude Code writes main conversations for an hour, and the gateway changes nothing: a session in which
    one was written so stays as it is. A request after which Anchorline would set no breakpoint keeps its own.
    `sessions` are those that are changed, None for all.
    """

    sessions: frozenset[str] | None = None

    def sides(self, requests: Requests, rules: Rules) -> tuple[Requests, Requests]:
        """Returns the requests with these lifetimes."""
        on_plan = {request.session for request in requests if request.ttl == "1h" and request.chain == "main"}
        models: dict[str, list[int]] = defaultdict(list)
        for number, request in enumerate(requests):
            if request.session not in on_plan and _is_changed(request, self.sessions):
                models[request.model].append(number)
        rule = policies.named([policies.OWN])[policies.OWN]
        changed = list(requests)
        for model, numbers in models.items():
            sent = [requests[number] for number in numbers]
            timeline = Timeline(model, rules.for_model(model), sent)
            for place, lifetime in zip(timeline.sent.tolist(), _lifetimes(timeline, rule), strict=True):
                request = sent[place]
                if lifetime is not None and lifetime != request.ttl:
                    changed[numbers[place]] = msgspec.structs.replace(request, ttl=lifetime)
        return requests, changed


def _lifetimes(timeline: Timeline, rule: CachingRule) -> Iterator[str | None]:
    """Yields the lifetime that a rule chooses for each request, in the timeline's order."""
    choices = rule.choose(timeline)
    alive = -inf
    for cold, warm, gap, shared in zip(
        choices.cold.tolist(),
        choices.warm.tolist(),
        timeline.gap.tolist(),
        timeline.shared.tolist(),
        strict=True,
    ):
        action = choices.actions[warm if shared and gap <= alive else cold]
        alive = action.alive
        yield action.lifetime.name if action.lifetime is not None else None


class OneModel(msgspec.Struct, frozen=True):
    """No switch of model: a chain keeps to the model that most of its requests went to, at that one's prices."""

    def sides(self, requests: Requests, rules: Rules) -> tuple[Requests, Requests]:  # noqa: ARG002  (`Change`'s)
        """Returns the requests with one model a chain; after what was a switch all is shared with the one before."""
        sent: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for request in requests:
            sent[request.session, request.chain][request.model] += 1
        most = {chain: models.most_common(1)[0][0] for chain, models in sent.items() if len(models) > 1}
        last: dict[tuple[str, str, int], ReplayedRequest] = {}
        changed = []
        for request in requests:
            model = most.get((request.session, request.chain), request.model)
            branch = request.session, request.chain, request.branch
            before = last.get(branch)
            last[branch] = request
            if model == request.model and (before is None or before.model == model):
                changed.append(request)
                continue
            shared = request.shared
            if before is not None and before.model != request.model and request.trigger != "compact":
                shared = min(before.tokens, request.tokens)
            changed.append(msgspec.structs.replace(request, model=model, shared=shared))
        return requests, changed


class WarmCompactions(msgspec.Struct, frozen=True):
    """Compaction right before a prefix expires, so many seconds, where it took place when that had expired.

    The request that has the summary written is in no record, so it is added on both sides: it sends the whole
    conversation once more.
    """

    margin: float = 20.0

    def sides(self, requests: Requests, rules: Rules) -> tuple[Requests, Requests]:
        """Returns the requests with those that ask for a summary: cold as it was, and warm."""
        last: dict[tuple[str, str, int, str], ReplayedRequest] = {}
        was, changed = list(requests), list(requests)
        for request in requests:
            before = last.get(request.conversation)
            last[request.conversation] = request
            if request.trigger != "compact" or before is None:
                continue
            lifetime = rules.for_model(before.model).lifetime(before.ttl)
            if lifetime is None or request.at - before.at <= lifetime.seconds:
                continue
            asking = msgspec.structs.replace(
                before, id=f"{request.id} summary", shared=before.tokens, output=0, trigger="tool"
            )
            was.append(msgspec.structs.replace(asking, at=max(request.at - self.margin, before.at)))
            warm = before.at + max(lifetime.seconds - self.margin, 0.0)
            changed.append(msgspec.structs.replace(asking, at=warm))
        return _ordered(was), _ordered(changed)


class Unbroken(msgspec.Struct, frozen=True):
    """History, tools and system prompt before these requests (by id) are as they were in the one before."""

    requests: frozenset[str]

    def sides(self, requests: Requests, rules: Rules) -> tuple[Requests, Requests]:  # noqa: ARG002  (`Change`'s)
        """Returns the requests, those named sharing all that they can with the one before."""
        last: dict[tuple[str, str, int, str], ReplayedRequest] = {}
        changed = []
        for request in requests:
            before = last.get(request.conversation)
            last[request.conversation] = request
            if request.id in self.requests and before is not None:
                whole = min(before.tokens, request.tokens)
                changed.append(msgspec.structs.replace(request, shared=whole))
            else:
                changed.append(request)
        return requests, changed


class Shorter(msgspec.Struct, frozen=True):
    """What requests (by id) bring is so many tokens shorter: tool results capped, images or re-reads left out.

    Every later request of the chain that carries it is shorter too: until a compaction, or until the prompt is shorter
    than what stood there.
    """

    tokens: Mapping[str, int]

    def sides(self, requests: Requests, rules: Rules) -> tuple[Requests, Requests]:  # noqa: ARG002  (`Change`'s)
        """Returns the requests, shortened."""
        chains: dict[tuple[str, str], _Carried] = {}
        changed = []
        for request in requests:
            chain = chains.get((request.session, request.chain))
            if chain is None:
                chain = chains[request.session, request.chain] = _Carried(request.shared)
            changed.append(chain.take(request, self.tokens.get(request.id, 0)))
        return requests, changed


class _Carried:
    """What was taken away from the prompts of a chain: where it ended, and how many tokens it had."""

    def __init__(self, tokens: int) -> None:
        self._before = tokens
        self._cuts: list[tuple[int, int]] = []
        self._total = 0

    def take(self, request: ReplayedRequest, cut: int) -> ReplayedRequest:
        """Returns the chain's next request without what it carries of earlier cuts, and `cut` tokens shorter."""
        cuts, tokens = self._cuts, request.tokens
        while cuts and (request.trigger == "compact" or cuts[-1][0] > tokens):
            self._total -= cuts.pop()[1]
        new = tokens - (self._before if self._before < tokens else request.shared)
        self._before = tokens
        cut = min(cut, new - 1)
        if cut > 0:
            cuts.append((tokens, cut))
            self._total += cut
        if not self._total:
            return request
        shared = request.shared
        within = self._total
        for end, removed in reversed(cuts):
            if end <= shared:
                break
            within -= min(removed, end - shared)
        return msgspec.structs.replace(request, tokens=tokens - self._total, shared=shared - within)


def _ordered(requests: list[ReplayedRequest]) -> list[ReplayedRequest]:
    return sorted(requests, key=lambda request: request.at)
