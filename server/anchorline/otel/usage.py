"""The requests that are exported: each once, as it was billed, with what OpenTelemetry's conventions ask of it."""

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from anchorline.billed.request import BilledTokens, PricedModels
from anchorline.billed.requests import BilledRequest, billed_requests
from anchorline.route.pricing import Bill, Unpriced
from anchorline.route.target import Targets
from anchorline.store import database

NOTED_S = 60.0
"""So long after an answer's end the gateway has recorded it, and nobody tells of it otherwise any more."""
WRITTEN_S = 600.0
"""So long after a request an agent may still be writing its answer down: a session file has part of its tokens."""
RequestKey = bytes
"""16 bytes that name a request: the same wherever and whenever it is read."""

PROVIDERS = {
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "none": "unknown",
    "openai-before-5-6": "openai",
    "xai": "x_ai",
}
"""Values of gen_ai.provider.name, where the rules call a provider otherwise than the conventions.

github.com/open-telemetry/semantic-conventions-genai, docs/registry/attributes/gen-ai.md (2026-11)
"""


class ProjectBranch(NamedTuple):
    """Where a request was made; None where that is not known or not to be told."""

    project: str | None = None
    branch: str | None = None


class UsageRecord(msgspec.Struct, frozen=True, gc=False):
    """A billed request. `key` names it, `keys` are all names that it may be met by again.

    It was sent at `at`, epoch seconds; the answer began after `first` seconds and ended after `seconds`, where that is
    known. `bill` is None where the price is not known. Nothing of it changes any more from `settles_at` on.
    """

    key: RequestKey
    keys: tuple[RequestKey, ...]
    at: float
    first: float | None
    seconds: float | None
    settles_at: float
    provider: str
    model: str
    tokens: BilledTokens
    bill: Bill | None
    agent: str | None
    conversation: str | None
    place: ProjectBranch


def read(path: Path, targets: Targets, since: float, *, names: bool) -> Iterator[UsageRecord]:
    """Yields what was billed since then, with projects and branches where `names` are to be told.

    Left out is what has no usage: an answer that did not tell it, or broke off. Raises StoreError.
    """
    if not path.exists():
        return
    with database.reading(path) as connection:
        connection.row_factory = None
        tables = database.tables(connection)
        if "plans" not in tables:
            return
        places: dict[int, ProjectBranch] = {}
        if names and "places" in tables:
            rows = connection.execute("SELECT id, project, branch FROM places")
            places = {
                number: ProjectBranch(project or None, branch or None) for number, project, branch in rows
            }
        for request in billed_requests(connection, PricedModels(targets), since):
            if request.tokens is not None:
                yield _record(request, request.tokens, places, connection)


def _record(
    request: BilledRequest,
    tokens: BilledTokens,
    places: dict[int, ProjectBranch],
    connection: sqlite3.Connection,
) -> UsageRecord:
    planned, imported, facts = request.planned, request.imported, request.facts
    keys = []
    conversation = agent = first = seconds = None
    place = ProjectBranch()
    if planned is not None:
        keys.append(_key("plan", planned.plan))
        seconds = planned.seconds
    if planned is not None and imported is None:
        session = connection.execute("SELECT session FROM plans WHERE id = ?", [planned.plan]).fetchone()
        conversation = session[0] if session is not None else None
    if imported is not None:
        keys.append(_key("imported", imported.id))
        conversation, agent = imported.session, imported.agent
        place = places.get(imported.place, place) if imported.place is not None else place
        if imported.began is not None and imported.began > request.at:
            first = imported.began - request.at
    provider = facts.provider.name
    settles_at = request.at + (WRITTEN_S if planned is None else (seconds or 0.0) + NOTED_S)
    return UsageRecord(
        keys[0],
        tuple(keys),
        request.at,
        first,
        seconds,
        settles_at,
        PROVIDERS.get(provider, provider),
        facts.name,
        tokens,
        None if isinstance(request.bill, Unpriced) else request.bill,
        agent,
        conversation,
        place,
    )


def _key(kind: str, name: str) -> RequestKey:
    return hashlib.blake2b(f"{kind}:{name}".encode(), digest_size=16).digest()
