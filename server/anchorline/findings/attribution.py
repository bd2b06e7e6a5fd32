"""Divides the bill of a request among the findings: each dollar belongs to one of them or to none.

A prompt is made of what was sent before and what is new. What was sent before costs the price of reading it, and where
it was not read, what it cost more is the miss's. Tool results, images and PDFs have their tokens' share of the one or
the other. docs/explain/findings.md says so kind by kind.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from anchorline.billed.request import BilledTokens, ModelFacts, PrefixReturn, PricedModels
from anchorline.findings.kinds import MISSES
from anchorline.findings.model import Code
from anchorline.sessions.facts import ResultKind, ToolResult

LARGE_TOKENS = 4000
"""What a tool result has beyond so many tokens is counted as large: some 16 000 characters, or 400 lines of code."""

_EDITS = frozenset({"Edit", "MultiEdit", "Write", "NotebookEdit"})
_WHOLE = (None, None)

Span = tuple[int | None, int | None]


class Avoidable(NamedTuple):
    """What a request brings for the first time that need not be there: `tokens` of the `whole` result of a `tool`."""

    code: Code
    tool: str
    kind: ResultKind
    tokens: int
    whole: int


class Shares:
    """What a request's bill is divided into: dollars, tokens and occurrences by finding.

    Tokens are those that were `unread` and those that were `read`; the ones that a miss should have read count against
    the latter. `missed` is the finding that its miss is, `brought` what it brings that need not be there: what a fix
    would change.
    """

    __slots__ = ("brought", "counts", "missed", "read", "unread", "usd")

    def __init__(self) -> None:
        self.usd: defaultdict[Code, float] = defaultdict(float)
        self.unread: defaultdict[Code, float] = defaultdict(float)
        self.read: defaultdict[Code, float] = defaultdict(float)
        self.counts: defaultdict[Code, int] = defaultdict(int)
        self.missed: Code | None = None
        self.brought: list[Avoidable] = []

    def within(self, bill: float) -> None:
        """Keeps the sum of all shares within the bill, which estimates of tokens may exceed."""
        total = sum(self.usd.values())
        if total > bill:
            for parts in (self.usd, self.unread, self.read):
                for code in parts:
                    parts[code] *= bill / total


class _Carried(NamedTuple):
    """Tokens that a conversation brings again in each request, as long as its prompt reaches to their `end`."""

    end: int
    code: Code
    tokens: int


class _Read(NamedTuple):
    """Lines of a file that a conversation has read; they stand before `end`."""

    end: int
    span: Span


class Conversation:
    """A conversation, or a sub-agent's, as it grows: what it carries that need not be there, and the files it has read.

    Its requests come in the order of their times. One with a shorter prompt than before has gone back, and has lost
    what stood behind.
    """

    def __init__(self, *, subagent: bool) -> None:
        self._subagent = subagent
        self._requests = 0
        self._head = 0
        self._end = 0
        self._carried: list[_Carried] = []
        self._totals: defaultdict[Code, int] = defaultdict(int)
        self._attached = 0
        self._reads: defaultdict[bytes, list[_Read]] = defaultdict(list)
        self._edited = False

    def divide(
        self,
        models: PricedModels,
        at: float,
        facts: ModelFacts,
        tokens: BilledTokens,
        *,
        prefix_return: PrefixReturn | None,
        compacted: bool,
        results: Sequence[ToolResult],
    ) -> Shares:
        """Returns the shares of the conversation's next request."""
        shares = Shares()
        prompt, read = tokens.first
        rates = models.rates(at, facts, tokens)
        self._requests += 1
        self._lose(0 if compacted else prompt)
        if self._requests == 1:
            self._head = prompt
        before = 0 if compacted else min(self._end, prompt)
        self._end = prompt if tokens.usage is None else tokens.usage.prompt
        edits = any(result.effect == "instructions" for result in results)
        edited, self._edited = edits or self._edited, edits
        carried, resent = dict(self._totals), self._attached
        self._bring(results, prompt, shares)
        if rates is None:
            return shares
        reading = min(rates.read, rates.unread)
        if self._subagent and self._requests == 1:
            shares.usd["subagent_starts"] = rates.unread * (prompt - read) + rates.read * read
            shares.unread["subagent_starts"], shares.read["subagent_starts"] = prompt - read, read
            shares.counts.clear()
            shares.counts["subagent_starts"] = 1
            return shares
        if prefix_return is not None and (code := _finding(prefix_return, edited=edited)) is not None:
            believed = min(prefix_return.believed, self._head) if compacted else prefix_return.believed
            lost = max(min(believed, prompt) - read, 0)
            shares.missed = code
            shares.usd[code] += lost * max(rates.unread - reading, 0.0)
            shares.unread[code] += lost
            shares.read[code] -= lost
            shares.counts[code] += 1
        _share(shares, shares.read, carried, reading, before)
        if resent:
            shares.counts["media_resent"] += resent
        new: defaultdict[Code, int] = defaultdict(int)
        for part in shares.brought:
            if part.code != "media_resent":  # an attachment has to be sent once
                new[part.code] += part.tokens
        _share(shares, shares.unread, new, rates.unread, max(prompt - max(before, read), 0))
        return shares

    def _lose(self, prompt: int) -> None:
        """Forgets what stood behind the end of a prompt."""
        if prompt >= self._end:
            return
        while self._carried and self._carried[-1].end > prompt:
            lost = self._carried.pop()
            self._totals[lost.code] -= lost.tokens
        self._attached = 0
        for reads in self._reads.values():
            reads[:] = (earlier for earlier in reads if earlier.end <= prompt)

    def _bring(self, results: Sequence[ToolResult], prompt: int, shares: Shares) -> None:
        """Takes in what of a request's results need not be there."""
        self._attached = 0
        for result in results:
            code: Code
            tokens = result.tokens
            if result.kind != "text":
                code = "media_resent"
                self._attached += 1
            elif self._again(result, prompt):
                code = "files_reread"
            elif tokens > LARGE_TOKENS:
                code, tokens = "large_results", tokens - LARGE_TOKENS
            else:
                continue
            shares.brought.append(Avoidable(code, result.tool, result.kind, tokens, result.tokens))
            self._carried.append(_Carried(prompt, code, tokens))
            self._totals[code] += tokens
            if code != "media_resent":
                shares.counts[code] += 1

    def _again(self, result: ToolResult, prompt: int) -> bool:
        """Says whether a file's lines were read before and the agent has not written it since."""
        if result.target is None:
            return False
        if result.tool in _EDITS:
            self._reads.pop(result.target, None)
            return False
        span = result.first_line, result.lines
        reads = self._reads[result.target]
        again = any(_covers(earlier.span, span) for earlier in reads)
        if not again:
            reads.append(_Read(prompt, span))
        return again


def _finding(prefix_return: PrefixReturn, *, edited: bool) -> Code | None:
    """Returns the finding that a miss is; None where it is none. `edited`: instruction files were, just before."""
    cause = prefix_return.cause
    if cause is None or cause == "compacted":
        return "compacted_cold" if cause is not None and prefix_return.expired else None
    if edited and cause in ("history_changed", "prefix_edited", "dropped"):
        return "instructions_edited"
    return MISSES.get(cause)


def _share(
    shares: Shares, counted: defaultdict[Code, float], parts: Mapping[Code, int], rate: float, most: int
) -> None:
    """Adds what `parts` of at most so many tokens cost: they are estimates, and count for less where they exceed it.

    Their tokens are added to `counted`.
    """
    total = sum(parts.values())
    scale = min(1.0, most / total) if total else 0.0
    for code, tokens in parts.items():
        if tokens:
            shares.usd[code] += rate * scale * tokens
            counted[code] += scale * tokens


def _covers(earlier: Span, span: Span) -> bool:
    """Says whether an earlier read has all lines of another one. A whole file has all of them."""
    if earlier == _WHOLE:
        return True
    first, count = earlier[0] or 1, earlier[1]
    begin, lines = span[0] or 1, span[1]
    if begin < first:
        return False
    return count is None or (lines is not None and begin + lines <= first + count)
