"""What the results of each tool cost: written once, and read again with each request that follows.

A request's prompt is what was sent before and what is new. Of the one, what was read costs the price of reading, and
what was not the price of its writing; so does the other. A result has its estimated tokens' share of the part in which
it stands, until a compaction takes it out. docs/how-to/costs.md says so for users.
"""

import sqlite3
from collections import Counter, defaultdict

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
    """The prompt of a conversation's newest request: its tokens, and the tools' results in it."""

    __slots__ = ("carried", "end")

    def __init__(self) -> None:
        self.carried: Counter[str] = Counter()
        self.end = 0


class ToolCosts:
    """Adds up what tool results cost. Requests come session by session, those of one by their times."""

    def __init__(self, connection: sqlite3.Connection, models: PricedModels) -> None:
        self._connection = connection if "tool_results" in database.tables(connection) else None
        self._models = models
        self._session: str | None = None
        self._results: dict[str, list[tuple[str, int]]] = {}
        self._contexts: dict[tuple[str, int], _Context] = {}
        self._costs: defaultdict[str, ToolCost] = defaultdict(ToolCost)

    def costs(self) -> dict[str, ToolCost]:
        """Returns the costs by tool. Those of `REST` and of all tools add up to the bill."""
        return dict(self._costs)

    def add(self, request: BilledRequest) -> None:
        """Adds a request."""
        bill = request.bill
        rest = self._costs[REST]
        rest.requests += 1
        if isinstance(bill, Unpriced):
            rest.unpriced += 1
        brought, new = self._brought(request)
        for tool, results in brought.items():
            self._costs[tool].requests += 1
            self._costs[tool].results += results
        if request.imported is None or request.tokens is None:
            shares: dict[str, tuple[float, float]] = {}
        else:
            shares = self._shares(request, new)
        usd, uncached = (0.0, 0.0) if isinstance(bill, Unpriced) else (bill.usd, bill.uncached)
        for tool, (own, own_uncached) in shares.items():
            cost = self._costs[tool]
            cost.usd += own
            cost.uncached_usd += own_uncached
            usd -= own
            uncached -= own_uncached
        rest.usd += usd
        rest.uncached_usd += uncached

    def _brought(self, request: BilledRequest) -> tuple[Counter[str], Counter[str]]:
        """Returns the results that a request brings by tool: how many, and of how many tokens."""
        count: Counter[str] = Counter()
        size: Counter[str] = Counter()
        imported = request.imported
        if imported is not None and self._connection is not None:
            if imported.session != self._session:
                self._begin(self._connection, imported.session)
            for tool, tokens in self._results.get(imported.id, ()):
                count[tool] += 1
                size[tool] += tokens
        return count, size

    def _begin(self, connection: sqlite3.Connection, session: str) -> None:
        self._session = session
        self._contexts.clear()
        results: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        for request, tool, tokens in connection.execute(
            "SELECT tool_results.request, tool, tokens FROM tool_results "
            "JOIN imported ON imported.id = tool_results.request WHERE session = ?",
            [session],
        ):
            results[request].append((tool or ATTACHED, tokens))
        self._results = results

    def _shares(self, request: BilledRequest, new: Counter[str]) -> dict[str, tuple[float, float]]:
        """Returns each tool's dollars of a request, and those without a cache; the conversation goes on from it."""
        imported, tokens, bill = request.imported, request.tokens, request.bill
        if imported is None or tokens is None:
            return {}
        context = self._contexts.get((imported.chain, imported.branch))
        if context is None:
            context = self._contexts[imported.chain, imported.branch] = _Context()
        if imported.trigger == "compact":
            context.carried.clear()
            context.end = 0
        prompt, read = tokens.first
        before = min(context.end, prompt)
        carried = context.carried.copy()
        context.carried.update(new)
        context.end = prompt if tokens.usage is None else tokens.usage.prompt
        rates = self._models.rates(request.at, request.facts, tokens)
        if isinstance(bill, Unpriced) or rates is None:
            return {}
        warm = min(read, before)
        old_usd = rates.read * warm + rates.unread * (before - warm)
        new_usd = rates.read * (read - warm) + rates.unread * (prompt - before - (read - warm))
        uncached = _uncached(bill, tokens.prompt)
        shares: dict[str, tuple[float, float]] = {}
        for parts, usd, size in ((carried, old_usd, before), (new, new_usd, prompt - before)):
            estimated = max(parts.total(), size)  # estimates count for less where they exceed what was billed
            for tool, count in parts.items():
                own, own_uncached = shares.get(tool, (0.0, 0.0))
                share = count / estimated if estimated else 0.0
                shares[tool] = own + share * usd, own_uncached + share * size * uncached
        return shares


def _uncached(bill: Bill, prompt: int) -> float:
    """Returns what a token of a prompt costs without a cache."""
    return (bill.uncached - bill.output - bill.searches) / prompt if prompt else 0.0
