"""Decisions out of the database, with what became of them: imported requests, and plans whose outcome is known.

What a label means stands in docs/explain/learning.md. Requests that a client sent by itself (`AUTOMATIC`) are left out.
"""

import sqlite3
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from anchorline.cache import turns
from anchorline.cache.gaps import WINDOW, Moment, Pause
from anchorline.cache.hits import PersonMessage, Return, is_hit, returning
from anchorline.learn import features
from anchorline.learn.features import DRAFT, MOMENT, Decision, Features, of_moment, of_return
from anchorline.outcome import Usage
from anchorline.prompt.model import Kind, Role
from anchorline.route.target import Targets
from anchorline.sessions.request import RecordedRequest
from anchorline.store import billing, database, outcomes, privacy
from anchorline.store.reader import Reader
from anchorline.trial.evidence import signs

AUTOMATIC = frozenset({"codex-auto-review"})
OTHERWISE = 4
"""One imported request in so many counts once more for its pause as its body alone would show it, without a past, and
one as it looks once its answer is there."""


class _Noted(msgspec.Struct, frozen=True):
    """A row of `features`."""

    features: Features
    thoughtless: bool
    commands: bool


def read(path: Path, targets: Targets) -> list[Decision]:
    """Returns all decisions in order of time. Raises StoreError."""
    reader = Reader(path)
    billed = reader.imported(0.0)
    if not path.exists():
        return []
    with database.reading(path) as connection:
        if database.read_schema(connection) is None:
            return []
        key = database.key(connection)
        noted = _noted(connection)
        twice = _twice(connection)
        imported = _imported(billed, noted, targets)
        found = [
            one for one in imported if one.id.removesuffix(":body").removesuffix(":answered") not in twice
        ]
        found += _planned(connection, noted, targets)
    found = [msgspec.structs.replace(one, session=privacy.tag(one.session, key)) for one in found]
    return sorted(found, key=lambda one: one.at)


def _twice(connection: sqlite3.Connection) -> set[str]:
    """Returns the imported requests that have a plan as well, by their provider's ids: the plan shows more of them."""
    if not database.knows_answers(connection):
        return set()
    found = connection.execute(
        "SELECT imported.id FROM imported JOIN outcomes "
        "ON outcomes.answer = imported.answer AND outcomes.request IS imported.request "
        "WHERE imported.answer IN (SELECT answer FROM imported GROUP BY answer HAVING count(*) = 1)"
    )
    return {row[0] for row in found}


def texts(path: Path) -> dict[str, str]:
    """Returns the drafts that are kept, by plan. Raises StoreError."""
    if not path.exists():
        return {}
    with database.reading(path) as connection:
        if database.read_schema(connection) is None:
            return {}
        return dict(connection.execute("SELECT plan, text FROM texts WHERE kind = 'draft'").fetchall())


def oldest(path: Path) -> float | None:
    """Returns when the first was sent of all that is recorded, epoch seconds; None for nothing. Raises StoreError."""
    if not path.exists():
        return None
    with database.reading(path) as connection:
        if database.read_schema(connection) is None:
            return None
        times = {"imported": "sent_at", "plans": "created_at", "outcomes": "sent_at"}
        known = [table for table in database.tables(connection) if table in times]
        found = [connection.execute(f"SELECT min({times[one]}) FROM {one}").fetchone()[0] for one in known]  # noqa: S608
    return min((at for at in found if at is not None), default=None)


def _noted(connection: sqlite3.Connection) -> dict[str, _Noted]:
    if "features" not in database.tables(connection):
        return {}
    found = connection.execute(
        "SELECT id, grams, draft, moment, thoughtless, commands FROM features WHERE version = ?",
        [features.VERSION],
    )
    return {
        row["id"]: _Noted(
            Features(
                struct.unpack(f"<{len(row['grams']) // 2}H", row["grams"]),
                _unpacked(row["draft"], len(DRAFT)),
                _unpacked(row["moment"], len(MOMENT)),
            ),
            bool(row["thoughtless"]),
            bool(row["commands"]),
        )
        for row in found
    }


def _unpacked(numbers: bytes | None, count: int) -> tuple[float, ...] | None:
    return struct.unpack(f"<{count}f", numbers) if numbers is not None and len(numbers) == 4 * count else None


def _imported(
    billed: Sequence[RecordedRequest], noted: Mapping[str, _Noted], targets: Targets
) -> Iterator[Decision]:
    chains: dict[tuple[str, str, int], list[RecordedRequest]] = defaultdict(list)
    for request in billed:
        if request.model not in AUTOMATIC and request.tokens:
            chains[(request.session, request.chain, request.branch)].append(request)
    seen_until = max((request.sent_at for request in billed), default=0.0)
    for chain in chains.values():
        yield from _chain(chain, noted, targets, seen_until)


def _chain(
    chain: Sequence[RecordedRequest],
    noted: Mapping[str, _Noted],
    targets: Targets,
    seen_until: float,
) -> Iterator[Decision]:
    pauses: list[Pause] = []
    before: RecordedRequest | None = None
    ttl, messages = "default", 0
    for index, request in enumerate(chain):
        if before is not None:
            pauses.append((max(request.sent_at - before.sent_at, 0.0), request.trigger == "user"))
        known = noted.get(request.id)
        draft = known.features if known is not None else Features()
        moment = Moment(
            request.trigger,
            request.tokens,
            index,
            tuple(pauses[-WINDOW:]),
            request.sent_at - chain[0].sent_at,
        )
        back = hit = None
        if before is not None:
            ttl = before.ttl or ttl
            back = _return(request, before, ttl, messages, known, targets)
            hit = None if back is None else float(is_hit(request.bill.first.read, before.tokens))
        later = (chain[place] for place in range(index + 1, len(chain)))
        following = next((one for one in later if targets.same(one.model, request.model)), None)
        gap = (following.sent_at if following is not None else seen_until) - request.sent_at
        yield Decision(
            id=request.id,
            session=request.session,
            source="imported",
            at=request.sent_at,
            features=Features(
                draft.grams, draft.draft, of_moment(moment), None if back is None else of_return(back)
            ),
            gap=max(gap, 0.0),
            censored=following is None,
            hit=hit,
        )
        if index % OTHERWISE < 2:
            source, seen = (
                ("body", _bare(moment)) if index % OTHERWISE else ("answered", _answered(moment, following))
            )
            yield Decision(
                id=f"{request.id}:{source}",
                session=request.session,
                source=source,
                at=request.sent_at,
                features=Features(moment=of_moment(seen)),
                gap=max(gap, 0.0),
                censored=following is None,
            )
        messages += request.trigger == "user"
        before = request


def _bare(moment: Moment) -> Moment:
    return Moment(moment.trigger, moment.tokens, moment.depth)


def _answered(moment: Moment, following: RecordedRequest | None) -> Moment:
    """Returns the moment after the answer: it asked for a tool if a tool's result follows, else it ended the turn."""
    asks = following is not None and following.trigger == "tool"
    return msgspec.structs.replace(moment, stop="tool_use" if asks else "end_turn")


def _return(
    request: RecordedRequest,
    before: RecordedRequest,
    ttl: str,
    messages: int,
    known: _Noted | None,
    targets: Targets,
) -> Return | None:
    """Returns the request as one that comes back to the prefix of the one before; None where that left none."""
    lifetime = targets.find(before.model).provider.lifetime(ttl)
    if lifetime is None:
        return None
    message = None
    if request.trigger == "user":
        message = PersonMessage(
            messages,
            thoughtless=known is not None and known.thoughtless,
            commands=known is not None and known.commands,
        )
    return returning(
        lifetime.name,
        lifetime.seconds,
        request.sent_at - before.sent_at,
        message,
        compacted=request.trigger == "compact",
        model_changed=not targets.same(request.model, before.model),
    )


class _Segment(msgspec.Struct, frozen=True, gc=False):
    """A segment, and the one that it goes on from."""

    parent: str | None
    kind: Kind
    role: Role


class _Planned(msgspec.Struct):
    """A plan with what became of it, and the segments that it has ends at; `ttl` is the one that it was sent with."""

    id: str
    session: str
    at: float
    target: str
    ttl: str | None
    format: str | None
    drafted: bool
    compacted: bool
    last_segment: str | None
    usage: Usage | None
    signs: list[bool]


def _planned(
    connection: sqlite3.Connection, noted: Mapping[str, _Noted], targets: Targets
) -> Iterator[Decision]:
    sessions: dict[str, list[_Planned]] = defaultdict(list)
    for one in _plans(connection, targets):
        sessions[one.session].append(one)
    rows = connection.execute("SELECT hash, parent, kind, role FROM segments")
    segments = {row[0]: _Segment(*row[1:]) for row in rows}
    seen_until = max((one.at for some in sessions.values() for one in some), default=0.0)
    for some in sessions.values():
        ways = [_way(one.last_segment, segments) for one in some]
        before: _Planned | None = None
        for index, one in enumerate(some):
            known = noted.get(one.id)
            given = known.features if known is not None else Features()
            back = hit = None
            if (
                before is not None
                and before.usage is not None
                and before.usage.prompt
                and one.usage is not None
            ):
                back = _planned_return(one, before, ways[index], ways[index - 1], segments, targets)
                hit = None if back is None else float(is_hit(one.usage.first.read, before.usage.prompt))
            following = some[index + 1] if index + 1 < len(some) else None
            gap = (following.at if following is not None else seen_until) - one.at
            yield Decision(
                id=one.id,
                session=one.session,
                source="planned",
                at=one.at,
                features=Features(
                    given.grams, given.draft, given.moment, None if back is None else of_return(back)
                ),
                gap=max(gap, 0.0),
                censored=following is None,
                hit=hit,
                solve={one.target: float(all(one.signs))} if one.signs else {},
            )
            before = one


def _plans(connection: sqlite3.Connection, targets: Targets) -> Iterator[_Planned]:
    """Yields the plans that were sent, in order of time."""
    thumbs = dict(connection.execute("SELECT plan, thumbs FROM feedback ORDER BY id").fetchall())
    recorded = outcomes.read(connection, f"NOT {billing.pinged(connection)}")
    in_columns = (database.read_schema(connection) or 0) >= database.BELIEFS
    sent = "plans.ttl" if in_columns else "json_extract(plans.plan, '$.cache.anchors[#-1].ttl') AS ttl"
    for row in connection.execute(
        f"SELECT plans.id, plans.session, plans.created_at, plans.target, {sent}, "  # noqa: S608
        "requests.format, requests.draft_chars, requests.compacted, requests.last_segment "
        "FROM plans LEFT JOIN requests ON requests.plan = plans.id WHERE NOT plans.failed ORDER BY plans.created_at"
    ):
        if row["id"] not in recorded:
            continue
        outcome = outcomes.combine(recorded[row["id"]], row["ttl"])
        yield _Planned(
            id=row["id"],
            session=row["session"] or row["id"],
            at=outcome.sent_at or row["created_at"],
            target=targets.find(outcome.target or row["target"] or "").id,
            ttl=row["ttl"],
            format=row["format"],
            drafted=row["draft_chars"] is not None,
            compacted=bool(row["compacted"]),
            last_segment=row["last_segment"],
            usage=outcome.usage,
            signs=signs(thumbs.get(row["id"]), outcome.signals),
        )


def _planned_return(
    one: _Planned,
    before: _Planned,
    way: Sequence[str],
    way_before: Sequence[str],
    segments: Mapping[str, _Segment],
    targets: Targets,
) -> Return | None:
    """Returns a plan as one that comes back to the prefix of the one before; None where that left none.

    What it says of a person's message is what the planner saw of it: both look at the same segments.
    """
    lifetime = targets.find(before.target).provider.lifetime(before.ttl or "default")
    if lifetime is None:
        return None
    message = None
    if one.drafted:
        parts = [segments[name] for name in way]
        texts = (k for k, part in enumerate(parts) if (part.role, part.kind) == ("user", "text"))
        sent = sum(a == b for a, b in zip(way, way_before, strict=False)) - 1
        drops = targets.find(one.target).provider.drops_thinking(one.target)
        session = one.format == "claude-code"
        message = turns.message(parts, max(texts, default=-1), sent, session=session, drops=drops)
    return returning(
        lifetime.name,
        lifetime.seconds,
        one.at - before.at,
        message,
        compacted=one.compacted,
        model_changed=one.target != before.target,
    )


Way = list[str]


def _way(last: str | None, segments: Mapping[str, _Segment]) -> Way:
    """Returns the segments of a prompt from the first to the last."""
    way: Way = []
    while last is not None and last in segments:
        way.append(last)
        last = segments[last].parent
    return way[::-1]
