"""All that was billed, each request once, with what its session file tells of it where there is one."""

import sqlite3
from collections.abc import Collection, Iterator

import msgspec

from anchorline.billed.imported import ImportedRequest, imported_requests
from anchorline.billed.planned import PlannedRequest, planned_requests, seen_requests, untold_requests
from anchorline.billed.request import BilledTokens, ModelFacts, PricedModels
from anchorline.route.pricing import Bill, Unpriced
from anchorline.store import database


class BilledRequest(msgspec.Struct, frozen=True, gc=False):
    """A request that was sent at `at`, epoch seconds, and its bill.

    It is `planned` where the gateway saw it or an editor told of it, `imported` where a session file has it, or both.
    `tokens` are None where the answer did not tell them.
    """

    at: float
    facts: ModelFacts
    tokens: BilledTokens | None
    bill: Bill | Unpriced
    planned: PlannedRequest | None = None
    imported: ImportedRequest | None = None


def billed_requests(
    connection: sqlite3.Connection,
    models: PricedModels,
    since: float,
    sessions: Collection[str] | None = None,
) -> Iterator[BilledRequest]:
    """Yields all requests since then: the imported ones session by session and by their times, then all others.

    What the gateway saw as well counts as it was billed there. With `sessions`, only these of the imported ones.
    """
    seen = seen_requests(connection)
    for planned in planned_requests(connection, models, since):
        seen.note(planned)
    for request in imported_requests(connection, models, since, sessions) if _imported(connection) else ():
        began = request.at if request.began is None else request.began
        match = seen.take(began, request.answer, request.request, request.bill)
        billed = request if match is None else match
        bill = models.bill(billed.at, billed.facts, billed.tokens)
        yield BilledRequest(billed.at, billed.facts, billed.tokens, bill, match, request)
    for planned in seen.left():
        bill = models.bill(planned.at, planned.facts, planned.tokens)
        yield BilledRequest(planned.at, planned.facts, planned.tokens, bill, planned)
    for untold in untold_requests(connection, models, since):
        yield BilledRequest(untold.at, untold.facts, None, untold.why)


def _imported(connection: sqlite3.Connection) -> bool:
    return "imported" in database.tables(connection)
