"""Reads decisions from the database, with what became of them: imported requests, and plans whose outcome is known.

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
from anchorline.store import billing, database, outcomes, tags
from anchorline.store.reader import Reader
from anchorline.trial.evidence import signs

AUTOMATIC = frozenset({"codex-auto-review"})
OTHERWISE = 4
"""One imported request in so many counts once more for its pause as its body alone would show it, without a past, and
one as it looks once its answer is there."""


class _FeatureRow(msgspec.Struct, frozen=True):
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
        feature_rows = _feature_rows(connection)
        with_plan = _ids_with_plan(connection)
        imported = _imported(billed, feature_rows, targets)
        decisions = [
            decision
            for decision in imported
            if decision.id.removesuffix(":body").removesuffix(":answered") not in with_plan
        ]
        decisions += _planned(connection, feature_rows, targets)
    decisions = [
        msgspec.structs.replace(decision, session=tags.tag(decision.session, key)) for decision in decisions
    ]
    return sorted(decisions, key=lambda decision: decision.at)


def _ids_with_plan(connection: sqlite3.Connection) -> set[str]:
    """Returns the imported requests that have a plan as well, by their provider's ids: the plan shows more of them."""
    if not database.knows_answers(connection):
        return set()
    rows = connection.execute(
        "SELECT imported.id FROM imported JOIN outcomes "
        "ON outcomes.answer = imported.answer AND outcomes.request IS imported.request "
        "WHERE imported.answer IN (SELECT answer FROM imported GROUP BY answer HAVING count(*) = 1)"
    )
    return {row[0] for row in rows}


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
        columns = {"imported": "sent_at", "plans": "created_at", "outcomes": "sent_at"}
        names = [table for table in database.tables(connection) if table in columns]
        times = [
            connection.execute(f"SELECT min({columns[name]}) FROM {name}").fetchone()[0]  # noqa: S608  (constants)
            for name in names
        ]
    return min((at for at in times if at is not None), default=None)


def _feature_rows(connection: sqlite3.Connection) -> dict[str, _FeatureRow]:
    if "features" not in database.tables(connection):
        return {}
    rows = connection.execute(
        "SELECT id, grams, draft, moment, thoughtless, commands FROM features WHERE version = ?",
        [features.VERSION],
    )
    return {
        row["id"]: _FeatureRow(
            Features(
                struct.unpack(f"<{len(row['grams']) // 2}H", row["grams"]),
                _unpacked(row["draft"], len(DRAFT)),
                _unpacked(row["moment"], len(MOMENT)),
            ),
            bool(row["thoughtless"]),
            bool(row["commands"]),
        )
        for row in rows
    }


def _unpacked(numbers: bytes | None, count: int) -> tuple[float, ...] | None:
    return struct.unpack(f"<{count}f", numbers) if numbers is not None and len(numbers) == 4 * count else None


def _imported(
    billed: Sequence[RecordedRequest], feature_rows: Mapping[str, _FeatureRow], targets: Targets
) -> Iterator[Decision]:
    chains: dict[tuple[str, str, int], list[RecordedRequest]] = defaultdict(list)
    for request in billed:
        if request.model not in AUTOMATIC and request.tokens:
            chains[(request.session, request.chain, request.branch)].append(request)
    seen_until = max((request.sent_at for request in billed), default=0.0)
    for chain in chains.values():
        yield from _chain(chain, feature_rows, targets, seen_until)


def _chain(
    chain: Sequence[RecordedRequest],
    feature_rows: Mapping[str, _FeatureRow],
    targets: Targets,
    seen_until: float,
) -> Iterator[Decision]:
    pauses: list[Pause] = []
    before: RecordedRequest | None = None
    ttl, messages = "default", 0
    for index, request in enumerate(chain):
        if before is not None:
            pauses.append((max(request.sent_at - before.sent_at, 0.0), request.trigger == "user"))
        row = feature_rows.get(request.id)
        draft = row.features if row is not None else Features()
        moment = Moment(
            request.trigger,
            request.tokens,
            index,
            tuple(pauses[-WINDOW:]),
            request.sent_at - chain[0].sent_at,
        )
        prefix_return = hit = None
        if before is not None:
            ttl = before.ttl or ttl
            prefix_return = _return(request, before, ttl, messages, row, targets)
            hit = None if prefix_return is None else float(is_hit(request.bill.first.read, before.tokens))
        later = (chain[position] for position in range(index + 1, len(chain)))
        following = next(
            (candidate for candidate in later if targets.same(candidate.model, request.model)), None
        )
        gap = (following.sent_at if following is not None else seen_until) - request.sent_at
        yield Decision(
            id=request.id,
            session=request.session,
            source="imported",
            at=request.sent_at,
            features=Features(
                draft.grams,
                draft.draft,
                of_moment(moment),
                None if prefix_return is None else of_return(prefix_return),
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
    row: _FeatureRow | None,
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
            thoughtless=row is not None and row.thoughtless,
            commands=row is not None and row.commands,
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
    connection: sqlite3.Connection, feature_rows: Mapping[str, _FeatureRow], targets: Targets
) -> Iterator[Decision]:
    sessions: dict[str, list[_Planned]] = defaultdict(list)
    for plan in _plans(connection, targets):
        sessions[plan.session].append(plan)
    rows = connection.execute("SELECT hash, parent, kind, role FROM segments")
    segments = {row[0]: _Segment(*row[1:]) for row in rows}
    seen_until = max((plan.at for plans in sessions.values() for plan in plans), default=0.0)
    for plans in sessions.values():
        hashes = [_segment_hashes(plan.last_segment, segments) for plan in plans]
        before: _Planned | None = None
        for index, plan in enumerate(plans):
            feature_row = feature_rows.get(plan.id)
            learned = feature_row.features if feature_row is not None else Features()
            prefix_return = hit = None
            if (
                before is not None
                and before.usage is not None
                and before.usage.prompt
                and plan.usage is not None
            ):
                prefix_return = _planned_return(
                    plan, before, hashes[index], hashes[index - 1], segments, targets
                )
                hit = (
                    None
                    if prefix_return is None
                    else float(is_hit(plan.usage.first.read, before.usage.prompt))
                )
            following = plans[index + 1] if index + 1 < len(plans) else None
            gap = (following.at if following is not None else seen_until) - plan.at
            yield Decision(
                id=plan.id,
                session=plan.session,
                source="planned",
                at=plan.at,
                features=Features(
                    learned.grams,
                    learned.draft,
                    learned.moment,
                    None if prefix_return is None else of_return(prefix_return),
                ),
                gap=max(gap, 0.0),
                censored=following is None,
                hit=hit,
                solve={plan.target: float(all(plan.signs))} if plan.signs else {},
            )
            before = plan


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
    plan: _Planned,
    before: _Planned,
    hashes: Sequence[str],
    hashes_before: Sequence[str],
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
    if plan.drafted:
        parts = [segments[name] for name in hashes]
        texts = (index for index, part in enumerate(parts) if (part.role, part.kind) == ("user", "text"))
        sent = sum(a == b for a, b in zip(hashes, hashes_before, strict=False)) - 1
        drops = targets.find(plan.target).provider.drops_thinking(plan.target)
        session = plan.format == "claude-code"
        message = turns.message(parts, max(texts, default=-1), sent, session=session, drops=drops)
    return returning(
        lifetime.name,
        lifetime.seconds,
        plan.at - before.at,
        message,
        compacted=plan.compacted,
        model_changed=plan.target != before.target,
    )


def _segment_hashes(last: str | None, segments: Mapping[str, _Segment]) -> list[str]:
    """Returns the segments of a prompt from the first to the last."""
    hashes: list[str] = []
    while last is not None and last in segments:
        hashes.append(last)
        last = segments[last].parent
    return hashes[::-1]
