"""A prompt's warm prefix, the probability that the cache hits, and the cause of a miss.

The rule: the same model, no compaction, and less time since the last request than the entry lives. `hits` turns it into
a probability. What is said of a miss is what the ledger or the session can prove: see `_gone`.
"""

from collections.abc import Sequence
from itertools import accumulate, chain
from math import erf, inf, sqrt
from operator import attrgetter

import msgspec

from anchorline.cache import hits, turns
from anchorline.cache.gaps import Moment
from anchorline.cache.hits import HitModel, Return, TableHits
from anchorline.cache.ledger import Entry, Held
from anchorline.cache.rules import Provider, canonical
from anchorline.plan import Miss
from anchorline.prompt.model import Prompt

NEVER_SENT = 0.02
"""P(hit) for a prefix that was never seen: tools and system may be warm from another session of the account."""

COMPACTED = hits.probability(hits.returning("5m", 300.0, 0.0, compacted=True))
MODEL_CHANGED = hits.probability(hits.returning("5m", 300.0, 0.0, model_changed=True))
"""P(hit) where a compaction or another model left nothing."""

MAYBE = 0.1
"""From this probability on an entry past its lifetime still counts: automatic caches often keep it for longer."""

ESTIMATE = 0.05
"""Standard error of a prefix's tokens as a share, where an estimate was corrected by what its request was billed
(docs/research/tokens.md: 90 % of whole prompts are within 8.3 %)."""

_TOKENS = attrgetter("tokens")


class Warmth(msgspec.Struct, frozen=True):
    """The prefix of a prompt that is believed warm: everything up to segment `last` (-1: nothing), `tokens` of it.

    `expires_in` is in seconds, None where the lifetime has passed. `misses` may speak of what was lost behind `last`.
    """

    last: int
    tokens: int
    p_hit: float
    expires_in: float | None
    misses: tuple[Miss, ...]


class _Match(msgspec.Struct, frozen=True, gc=False):
    """An entry whose prefix the prompt begins with, up to segment `index`."""

    index: int
    entry: Entry


class _Search(msgspec.Struct, frozen=True):
    """The longest entries that fit: `warm`, past their lifetime (`expired`), of another model (`foreign`).

    `stripped` is warm but of no use, since the provider takes thinking out of what it covers.
    """

    warm: _Match | None
    expired: _Match | None
    foreign: Entry | None
    stripped: _Match | None


class Reach(msgspec.Struct, frozen=True):
    """From where a provider looks for what it holds: back from the `ends` of breakpoints, `lookback` blocks at most.

    None: any number of blocks.
    """

    ends: tuple[int, ...]
    lookback: int | None = None

    def __contains__(self, segment: int) -> bool:
        """Says whether a prefix that ends with this segment is found."""
        return any(
            segment <= end and (self.lookback is None or end - segment <= self.lookback) for end in self.ends
        )


class Judge(msgspec.Struct, frozen=True):
    """Who says how probable a hit is, and at which moment of the conversation."""

    hits: HitModel = TableHits()
    moment: Moment | None = None

    def probability(self, request: Return) -> float:
        """Returns the probability that at least 90 % of the prefix is read from the cache."""
        return self.hits.probability(request, self.moment)


TABLE = Judge()


def assess(
    prompt: Prompt,
    held: Held,
    model: str,
    provider: Provider,
    now: float,
    totals: Sequence[int],
    judge: Judge = TABLE,
    reach: Reach | None = None,
) -> Warmth:
    """Returns what `held` says of the prompt at `now` (epoch seconds).

    `totals` are the cumulative tokens at each segment's end, `provider` has the rules of `model`, `judge` says how
    probably an entry that fits is read. With a `reach` only what is within it counts.
    """
    minimum = provider.minimum(model)
    if prompt.segments and totals[-1] < minimum:
        text = f"{totals[-1]:,} tokens, and {model} caches from {minimum:,} up"
        return Warmth(-1, 0, 0.0, None, (Miss("below_minimum", text),))
    drops = provider.drops_thinking(model)
    useful = _stripped_from(prompt) if drops else len(prompt.segments)
    search = _search(prompt, held, model, now, useful, reach)
    warm, expired = search.warm, search.expired
    warmth = _believed(prompt, warm, now, totals, drops, judge) if warm is not None else None
    if warmth is not None and warm is not None and (held_at_all := _cached(warm.entry, minimum)) < 1.0:
        warmth = msgspec.structs.replace(warmth, p_hit=warmth.p_hit * held_at_all)
        if held_at_all < MAYBE:
            text = f"about {warm.entry.tokens:,} tokens were sent, and {model} caches from {minimum:,} up"
            return Warmth(-1, 0, max(warmth.p_hit, NEVER_SENT), None, (Miss("below_minimum", text),))
    if expired is not None:
        entry = expired.entry
        text = f"{entry.tokens:,} tokens expired {_duration(now - entry.expires_at)} ago"
        old = _believed(prompt, expired, now, totals, drops, judge)
        if old.p_hit >= MAYBE and (warmth is None or old.p_hit * old.tokens > warmth.p_hit * warmth.tokens):
            warmth = old
        if warmth is None:
            return Warmth(-1, 0, old.p_hit, None, (Miss("expired", text, entry.tokens),))
        lost = 0 if warmth is old else max(entry.tokens - warmth.tokens, 0)
        return msgspec.structs.replace(warmth, misses=(Miss("expired", text, lost),))
    gone = _gone(prompt, held, search, model, now) if reach is None else None
    if warmth is not None:
        return warmth if gone is None else msgspec.structs.replace(warmth, misses=(gone,))
    if search.foreign is not None:
        text = f"what was sent before went to {search.foreign.model}; another model starts from nothing"
        return Warmth(-1, 0, MODEL_CHANGED, None, (Miss("model_changed", text),))
    if prompt.compacted:
        return Warmth(-1, 0, COMPACTED, None, (Miss("compacted", "the conversation was compacted"),))
    if gone is not None:
        return Warmth(-1, 0, NEVER_SENT, None, (gone,))
    if reach is not None:
        return Warmth(-1, 0, NEVER_SENT, None, (Miss("no_anchor", "no breakpoint reaches what is held"),))
    return Warmth(-1, 0, NEVER_SENT, None, (Miss("never_sent", "this prefix was not sent before"),))


def cumulative(prompt: Prompt) -> list[int]:
    """Returns the estimated tokens up to the end of each segment."""
    return list(accumulate(map(_TOKENS, prompt.segments)))


def counted(prompt: Prompt, now: float = inf) -> tuple[list[int], int]:
    """Returns the tokens up to the end of each segment, corrected by what the conversation was billed before `now`.

    With it, how many segments the newest of its requests had. What was billed beyond their estimate stands before them
    (a session file lacks tools and system prompt), what was billed less is taken from each in proportion.
    """
    totals = cumulative(prompt)
    if not prompt.sent:
        return totals, 0
    ends = {segment.prefix: index for index, segment in enumerate(prompt.segments)}
    for sent in reversed(prompt.sent):
        end = ends.get(sent.prefix)
        if end is not None and sent.at < now:
            break
    else:
        return totals, 0
    billed, estimate = sent.input + (sent.read or 0) + (sent.write or 0), totals[end]
    more = billed - estimate
    if more >= 0:
        return [total + more for total in totals], end + 1
    share = billed / estimate
    return [round(total * share) for total in totals[: end + 1]] + [
        total + more for total in totals[end + 1 :]
    ], end + 1


def _cached(entry: Entry, minimum: int) -> float:
    """Returns the probability that a prefix had the tokens from which on a provider caches one at all.

    A transcript's counts are the provider's own; others are estimates, which near the minimum decide nothing.
    """
    if entry.source == "transcript":
        return 1.0
    spread = ESTIMATE * max(entry.tokens, 1)
    return 0.5 * (1.0 + erf((entry.tokens - minimum) / (spread * sqrt(2.0))))


def _search(
    prompt: Prompt, held: Held, model: str, now: float, useful: int, reach: Reach | None = None
) -> _Search:
    """Looks the prompt's prefixes up, the longest first; those that end at segment `useful` or later can't be read."""
    warm: _Match | None = None
    expired: _Match | None = None
    foreign: Entry | None = None
    stripped: _Match | None = None
    segments = prompt.segments
    name = canonical(model)
    for index in range(len(segments) - 1, -1, -1) if held else ():
        if reach is not None and index not in reach:
            continue
        for entry in held.get(segments[index].prefix, ()):
            if entry.model != model and canonical(entry.model) != name:
                foreign = foreign or entry
            elif index >= useful:
                if entry.is_warm(now):
                    stripped = stripped or _Match(index, entry)
            elif entry.is_warm(now):
                warm = _Match(index, entry)
            elif entry.expires_at <= now:
                expired = expired or _Match(index, entry)
        if warm is not None:
            break
    return _Search(warm, expired, foreign, stripped)


def _believed(
    prompt: Prompt, match: _Match, now: float, totals: Sequence[int], drops: bool, judge: Judge
) -> Warmth:
    """Returns how warm an entry is that fits."""
    entry, index = match.entry, match.index
    request = _return(prompt, index, entry, now, drops)
    left = entry.expires_at - now
    tokens = max(entry.tokens, totals[index])
    return Warmth(index, tokens, judge.probability(request), left if left > 0 else None, ())


def _return(prompt: Prompt, index: int, entry: Entry, now: float, drops: bool) -> Return:
    """Returns what is known of a request that comes back to the prefix up to segment `index`."""
    message = None
    if prompt.draft is not None:
        session = prompt.format == "claude-code"
        message = turns.message(prompt.segments, prompt.draft.segment, index, session=session, drops=drops)
    return hits.returning(entry.ttl, entry.expires_at - entry.written_at, now - entry.written_at, message)


def _stripped_from(prompt: Prompt) -> int:
    """Returns the first segment of thinking that a new message of a person takes out, or the number of segments.

    Thinking before the turn that ends was taken out when that turn began.
    """
    segments, draft = prompt.segments, prompt.draft
    first = len(segments)
    if draft is None or any(segment.role == "assistant" for segment in segments[draft.segment :]):
        return first
    for index in range(turns.start(segments, draft.segment) - 1, -1, -1):
        if turns.opens(segments, index):
            break
        if segments[index].kind == "thinking":
            first = index
    return first


def _gone(prompt: Prompt, held: Held, search: _Search, model: str, now: float) -> Miss | None:
    """Returns why cached tokens of this very conversation don't fit any more, or None.

    Nothing is said on a suspicion: another session that shares the head of the prompt must not look like an edit.
    Proof is the session file itself (what it sent last is no prefix of what it sends now), or one request of which the
    ledger holds two prefixes, where the prompt begins with the shorter one, a model's answer in it, and not with the
    longer.
    """
    if search.stripped is not None:
        lost = search.stripped.entry.tokens - (search.warm.entry.tokens if search.warm is not None else 0)
        return _thinking(lost)
    warm = search.warm
    if warm is None:
        return None
    last = next((sent for sent in reversed(prompt.sent) if sent.at < now), None)
    if last is not None:
        if last.prefix == warm.entry.prefix or canonical(last.model) != canonical(model):
            return None
        lost = last.input + (last.read or 0) + (last.write or 0) - warm.entry.tokens
        # Nothing but that changes a session's former messages, short of a compaction.
        return _thinking(lost)
    segments = prompt.segments
    following = warm.index + 1
    if following == len(segments) or segments[following].role == "assistant":
        return None  # what was sent last goes on with the model's answer
    if not any(segment.role == "assistant" for segment in segments[:following]):
        return None
    lost = 0
    for entry in chain.from_iterable(held.values()):
        if entry.written_at == warm.entry.written_at and entry.model == warm.entry.model:
            lost = max(lost, entry.tokens - warm.entry.tokens)
    return _edited(prompt, following, lost) if lost else None


def _thinking(lost: int) -> Miss:
    return Miss(
        "thinking_stripped",
        f"{lost} cached tokens no longer fit: the thinking of the turn before is left out",
    )


def _edited(prompt: Prompt, segment: int, lost: int) -> Miss:
    pointer = prompt.pointer(segment)
    return Miss(
        "prefix_edited",
        f"{lost} cached tokens no longer fit: the prompt was changed at {pointer} or after it",
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
