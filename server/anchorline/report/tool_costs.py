"""What the results of each tool cost: written once, and read again with each request that follows.

A request's prompt is what was sent before and what is new. Of the one, what was read costs the price of reading, and
what was not the price of its writing; so does the other. A result has its estimated tokens' share of the part in which
it stands, until a compaction takes it out. docs/how-to/costs.md says so for users.
"""

import sqlite3
from collections import defaultdict

from anchorline.billed.request import PricedModels
from anchorline.billed.requests import BilledRequest
from anchorline.route.pricing import Bill, Unpriced
from anchorline.store import database

REST = "everything else"
"""Stands for the bill beside tool results: instructions, messages, answers, definitions of tools."""
ATTACHED = "attached by you"
"""Stands for the images and PDFs of a person."""


class ToolCost:
    """`results` of a tool, the `requests` that brought them, and their share of the bill, in USD."""

    __slots__ = ("requests", "results", "uncached_usd", "unpriced", "usd")

    def __init__(self) -> None:
        self.requests = self.results = self.unpriced = 0
        self.usd = self.uncached_usd = 0.0


class _Context:
    """The prompt of a conversation's newest request: its end, and the tokens of the tools' results in it.

    `usd` is what a token of a result has cost as a part of what was sent before, summed over the requests so far, and
    `uncached` without a cache. Of each tool there are its tokens, and these times the two sums when they came.
    """

    __slots__ = ("end", "tokens", "tools", "uncached", "usd")

    def __init__(self) -> None:
        self.end = self.tokens = 0
        self.usd = self.uncached = 0.0
        self.tools: dict[str, list[float]] = {}

    def bring(self, tool: str, tokens: int) -> None:
        """Takes in a new result."""
        own = self.tools.get(tool)
        if own is None:
            own = self.tools[tool] = [0.0, 0.0, 0.0]
        own[0] += tokens
        own[1] += tokens * self.usd
        own[2] += tokens * self.uncached
        self.tokens += tokens


class ToolCosts:
    """Adds up what tool results cost. Requests come session by session, those of one by their times."""

    def __init__(self, connection: sqlite3.Connection, models: PricedModels) -> None:
        self._connection = connection if "tool_results" in database.tables(connection) else None
        self._models = models
        self._session: str | None = None
        self._results: dict[str, list[tuple[str, int]]] = {}
        self._contexts: dict[tuple[str, int], _Context] = {}
        self._costs: defaultdict[str, ToolCost] = defaultdict(ToolCost)
        self._whole = ToolCost()

    def costs(self) -> dict[str, ToolCost]:
        """Returns the costs by tool, after the last request. Those of `REST` and of all tools add up to the bill."""
        self._leave()
        rest, whole = ToolCost(), self._whole
        rest.requests, rest.unpriced = whole.requests, whole.unpriced
        rest.usd = whole.usd - sum(cost.usd for cost in self._costs.values())
        rest.uncached_usd = whole.uncached_usd - sum(cost.uncached_usd for cost in self._costs.values())
        return {REST: rest, **self._costs} if whole.requests else {}

    def add(self, request: BilledRequest) -> None:
        """Adds a request."""
        bill, whole = request.bill, self._whole
        whole.requests += 1
        if isinstance(bill, Unpriced):
            whole.unpriced += 1
        else:
            whole.usd += bill.usd
            whole.uncached_usd += bill.uncached
        imported, tokens = request.imported, request.tokens
        if imported is None or tokens is None or self._connection is None:
            return
        if imported.session != self._session:
            self._begin(self._connection, imported.session)
        context = self._contexts.get((imported.chain, imported.branch))
        if context is None or imported.trigger == "compact":
            if context is not None:
                self._settle(context)
            context = self._contexts[imported.chain, imported.branch] = _Context()
        new = self._results.get(imported.id, ())
        prompt, read = tokens.first
        before = min(context.end, prompt)
        context.end = prompt if tokens.usage is None else tokens.usage.prompt
        if not (context.tokens or new):
            return
        rates = self._models.rates(request.at, request.facts, tokens)
        if rates is not None and not isinstance(bill, Unpriced):
            warm = min(read, before)
            uncached = _uncached(bill, tokens.prompt)
            if context.tokens:  # estimates count for less where they exceed what was billed
                usd = rates.read * warm + rates.unread * (before - warm)
                size = max(context.tokens, before)
                context.usd += usd / size
                context.uncached += uncached * before / size
            if new:
                late, fresh = read - warm, prompt - before
                usd = rates.read * late + rates.unread * (fresh - late)
                size = max(sum(count for _, count in new), fresh) or 1
                for tool, count in new:
                    cost = self._costs[tool]
                    cost.usd += usd * count / size
                    cost.uncached_usd += uncached * fresh * count / size
        for tool, count in new:
            context.bring(tool, count)
            self._costs[tool].results += 1
        for tool in {tool for tool, _ in new}:
            self._costs[tool].requests += 1

    def _begin(self, connection: sqlite3.Connection, session: str) -> None:
        """Reads what the tools of a session returned."""
        self._leave()
        self._session = session
        results: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        for request, tool, tokens in connection.execute(
            "SELECT tool_results.request, tool, tokens FROM tool_results "
            "JOIN imported ON imported.id = tool_results.request WHERE session = ?",
            [session],
        ):
            results[request].append((tool or ATTACHED, tokens))
        self._results = results

    def _leave(self) -> None:
        """Adds what the conversations of a session have carried."""
        for context in self._contexts.values():
            self._settle(context)
        self._contexts.clear()

    def _settle(self, context: _Context) -> None:
        for tool, (tokens, usd, uncached) in context.tools.items():
            cost = self._costs[tool]
            cost.usd += tokens * context.usd - usd
            cost.uncached_usd += tokens * context.uncached - uncached


def _uncached(bill: Bill, prompt: int) -> float:
    """Returns what a token of a prompt costs without a cache."""
    return (bill.uncached - bill.output - bill.searches) / prompt if prompt else 0.0
