"""Recorded requests as conversations that can be replayed under another policy.

What is in a prompt is not recorded, only how large it was and what was read of it. So what a request has in common with
the one before is told from the bill: all of it where it was read, or where its lifetime had passed; what was read where
less was; the head (tools and system prompt) after a compaction. docs/how-to/replay.md says how far that carries.
"""

from collections.abc import Iterable, Sequence
from statistics import median

from anchorline.cache.hits import is_hit
from anchorline.cache.rules import Provider, Rules
from anchorline.replay.account import RecordedConversation
from anchorline.replay.chain import ChainStep
from anchorline.sessions.request import RecordedRequest

BranchKey = tuple[str, str, int, str]


def conversations(requests: Iterable[RecordedRequest], rules: Rules) -> list[RecordedConversation]:
    """Returns the conversations: one for each branch of each chain and each model."""
    grouped: dict[BranchKey, list[RecordedRequest]] = {}
    for request in sorted(requests, key=lambda request: request.sent_at):
        key = (request.session, request.chain, request.branch, request.model)
        grouped.setdefault(key, []).append(request)
    heads = _heads(grouped)
    return [
        _conversation(key, branch, rules.for_model(key[3]), heads.get((key[3], key[1] == "main"), 0))
        for key, branch in grouped.items()
    ]


def _heads(grouped: dict[BranchKey, list[RecordedRequest]]) -> dict[tuple[str, bool], int]:
    """Returns what first requests to a model usually read, in conversations and in sub-agents: their head."""
    read: dict[tuple[str, bool], list[int]] = {}
    for (_, chain, branch, model), requests in grouped.items():
        if not branch and requests[0].read:
            read.setdefault((model, chain == "main"), []).append(requests[0].read)
    return {key: round(median(sizes)) for key, sizes in read.items()}


def _conversation(
    key: BranchKey, requests: Sequence[RecordedRequest], provider: Provider, usual: int
) -> RecordedConversation:
    head = requests[0].read or min(usual, min(request.tokens for request in requests) - 1)
    steps, ttls = [], []
    before: RecordedRequest | None = None
    ttl = "default"
    for request in requests:
        shared = _shared(request, before, ttl, head, provider) if before is not None else 0
        ttl = "1h" if request.write_1h else "5m" if request.write_5m else ttl
        steps.append(ChainStep(request.sent_at, request.tokens, shared, request.trigger))
        ttls.append(ttl)
        before = request
    return RecordedConversation(
        key[0], "\0".join(map(str, key)), key[3], tuple(steps), tuple(ttls), max(head, 0)
    )


def _shared(
    request: RecordedRequest, before: RecordedRequest, ttl: str, head: int, provider: Provider
) -> int:
    whole = min(before.tokens, request.tokens)
    if is_hit(request.bill.first.read, whole):  # so it had all of it in common
        return whole
    lifetime = provider.lifetime(ttl)
    expired = lifetime is None or request.sent_at - before.sent_at > lifetime.seconds
    if request.trigger == "compact":
        return min(request.read or head, whole)
    return whole if expired else min(request.read, whole)
