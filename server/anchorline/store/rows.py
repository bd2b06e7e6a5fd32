"""Writes plans, outcomes, feedback and ledger entries as rows of the tables.

Each function runs inside the caller's transaction. What a queue holds of a plan is a `PlanNote`: without the
source of the prompt, so that a full queue is small and the text is not where it need not be.
"""

import re
import struct
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from anchorline import redact
from anchorline.cache.gaps import observed
from anchorline.cache.ledger import Entry
from anchorline.config import TextMode
from anchorline.learn.features import VERSION, Features
from anchorline.learn.features import of as features_of
from anchorline.outcome import Feedback, Outcome
from anchorline.plan import CachePlan, Plan
from anchorline.prompt.model import Prompt, Segment
from anchorline.store import additions, billing, database, privacy, tags

if TYPE_CHECKING:
    from sqlite_utils import Database

_SIGNAL = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}\Z")

_PUT_ENTRY = """
    INSERT INTO ledger (provider, account, model, prefix, tokens, ttl, written_at, expires_at, source, conversation)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (provider, account, model, prefix) DO UPDATE SET
        tokens = excluded.tokens, ttl = excluded.ttl, written_at = excluded.written_at,
        expires_at = excluded.expires_at, source = excluded.source, conversation = excluded.conversation
    WHERE excluded.expires_at >= ledger.expires_at
"""


class PlanNote(msgspec.Struct, frozen=True):
    """What is recorded of a plan and its prompt. `draft` is None in mode ``off``.

    `cache` is what was to be expected of the cache by what was sent: the plan's own, or where that changed nothing the
    client's.
    """

    plan: Plan
    cache: CachePlan
    mode: TextMode
    segments: tuple[Segment, ...]
    format: str
    provider: str | None
    model: str | None
    draft: str | None
    draft_chars: int | None
    markers: int
    max_tokens: int | None
    compacted: bool
    features: Features | None = None


def note(
    plan: Plan, prompt: Prompt, mode: TextMode, cache: CachePlan | None = None, *, features: bool = False
) -> PlanNote:
    """Takes from a plan and its prompt what is recorded; `features`: also what is learnt from."""
    draft = prompt.draft
    learned = None
    if features:
        moment = observed(prompt, plan.tokens.estimate, plan.created_at)
        learned = features_of(draft.text if draft else None, moment)
    return PlanNote(
        plan=plan,
        cache=cache or plan.cache,
        mode=mode,
        segments=prompt.segments,
        format=prompt.format,
        provider=prompt.provider,
        model=prompt.model,
        draft=draft.text if draft and mode != "off" else None,
        draft_chars=len(draft.text) if draft else None,
        markers=sum(mark.acts for mark in prompt.markers),
        max_tokens=prompt.max_tokens,
        compacted=prompt.compacted,
        features=learned,
    )


def insert(db: "Database", table: str, row: Mapping[str, object], conflict: str = "ABORT") -> None:
    """Inserts one row. Table and columns come from this module, never from outside.

    `Table.insert` of sqlite-utils asks for the schema at each call; this is ten times faster.
    """
    marks = ", ".join("?" * len(row))
    statement = f"INSERT OR {conflict} INTO {table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608
    db.execute(statement, tuple(row.values()))


def put_plan(db: "Database", key: bytes, note: PlanNote, shown_in: additions.ShownIn = "editor") -> None:
    """Records a plan, its request and the segments that are new. A plan recorded before is replaced.

    `shown_in` is where what it proposes was shown.
    """
    whole = note.plan
    plan = privacy.strip(whole)
    route, cost = plan.route, plan.cost
    cache = plan.cache
    if note.cache is not whole.cache:
        cache = privacy.strip(msgspec.structs.replace(whole, cache=note.cache)).cache
    lost = cache.lost
    db.execute("DELETE FROM plans WHERE id = ?", [plan.id])
    db.execute("DELETE FROM texts WHERE plan = ? AND kind != 'note'", [plan.id])
    db.execute("DELETE FROM features WHERE id = ?", [plan.id])
    insert(
        db,
        "plans",
        {
            "id": plan.id,
            "created_at": plan.created_at,
            "session": plan.session,
            "policy": plan.policy.name,
            "version": plan.policy.version,
            "arm": plan.policy.arm,
            "propensity": plan.policy.propensity,
            "experiment": plan.policy.experiment,
            "refinement": plan.refinement.status,
            "target": route.target,
            "tier": route.tier,
            "sticky": route.sticky,
            "candidates": msgspec.json.encode(route.alternatives).decode(),
            "provider": cache.provider,
            "p_hit": cache.p_hit,
            "expected_read_tokens": cache.expected_read_tokens,
            "expected_write_tokens": cache.expected_write_tokens,
            "cost_usd": cost.usd,
            "without_plan_usd": cost.without_plan_usd,
            "failed": plan.failure is not None,
            "plan": msgspec.json.encode(plan).decode(),
            "warm_tokens": cache.warm_tokens,
            "tokens": plan.tokens.estimate,
            "ttl": cache.anchors[-1].ttl if cache.anchors else None,
            "miss": lost.code if lost else None,
            "miss_tokens": lost.tokens if lost else None,
        },
    )
    if plan.session is not None:
        db.execute(
            "INSERT INTO sessions (id, first_at, last_at, format) VALUES (:id, :at, :at, :format) "
            "ON CONFLICT (id) DO UPDATE SET last_at = max(last_at, :at), first_at = min(first_at, :at)",
            {"id": plan.session, "at": plan.created_at, "format": note.format},
        )
    insert(
        db,
        "requests",
        {
            "plan": plan.id,
            "session": plan.session,
            "at": plan.created_at,
            "format": note.format,
            "provider": None if note.provider is None else privacy.name(note.provider),
            "model": None if note.model is None else privacy.name(note.model),
            "last_segment": _put_segments(db, key, note.segments),
            "segments": len(note.segments),
            "tokens": plan.tokens.estimate,
            "size": sum(segment.size for segment in note.segments),
            "draft_chars": note.draft_chars,
            "markers": note.markers,
            "max_tokens": note.max_tokens,
            "compacted": note.compacted,
        },
    )
    for kind, text in privacy.texts(whole, note.draft, note.mode).items():
        insert(
            db,
            "texts",
            {
                "plan": plan.id,
                "kind": kind,
                "mode": note.mode,
                "created_at": plan.created_at,
                "text": text,
            },
        )
    additions.put(db, plan, shown_in)
    if note.features is not None:
        put_features(db, plan.id, plan.created_at, note.features)
    for table in ("outcomes", "feedback"):  # another program may have been faster
        db.execute(f"UPDATE {table} SET known = 1 WHERE plan = ? AND NOT known", [plan.id])  # noqa: S608


def put_features(
    db: "Database",
    identity: str,
    at: float,
    features: Features,
    *,
    thoughtless: bool = False,
    commands: bool = False,
) -> None:
    """Records the features of a plan or an imported request; buckets sorted, in 16 bits, numbers in 32."""
    row = {
        "id": identity,
        "at": at,
        "version": VERSION,
        "grams": struct.pack(f"<{len(features.grams)}H", *sorted(features.grams)),
        "draft": _packed(features.draft),
        "moment": _packed(features.moment),
        "thoughtless": thoughtless,
        "commands": commands,
    }
    insert(db, "features", row, conflict="REPLACE")


def _packed(numbers: tuple[float, ...] | None) -> bytes | None:
    return None if numbers is None else struct.pack(f"<{len(numbers)}f", *numbers)


def _put_segments(db: "Database", key: bytes, segments: tuple[Segment, ...]) -> str | None:
    """Records the end of the prompt that is not known yet; returns the last segment's hash.

    A row stands for everything up to its end, so that prompts which begin alike share rows, and `parent`
    leads back to the beginning. The hashes are keyed with a random key of this database: an export confirms
    nobody's guess of a short text.
    """
    last: str | None = None
    new: list[tuple[str, Segment]] = []
    for segment in reversed(segments):
        hashed = tags.tag(segment.prefix, key)
        last = last or hashed
        if db.execute("SELECT 1 FROM segments WHERE hash = ?", [hashed]).fetchone():
            parent: str | None = hashed
            break
        new.append((hashed, segment))
    else:
        parent = None
    for hashed, segment in reversed(new):
        row = {
            "hash": hashed,
            "parent": parent,
            "content": tags.tag(segment.digest, key),
            "kind": segment.kind,
            "role": segment.role,
            "size": segment.size,
            "tokens": segment.tokens,
        }
        insert(db, "segments", row, conflict="IGNORE")
        parent = hashed
    return last


def put_shadow(db: "Database", plan: Plan, shadow: Plan, version: str) -> None:
    """Records what the policy `version` decided in shadow where `plan` was made."""
    own, other = privacy.strip(plan), privacy.strip(shadow)
    insert(
        db,
        "shadows",
        {
            "plan": own.id,
            "created_at": own.created_at,
            "session": own.session,
            "experiment": own.policy.experiment or "",
            "version": version,
            "target": other.route.target,
            "anchors": msgspec.json.encode(_anchors(other)).decode(),
            "p_hit": other.cache.p_hit,
            "cost_usd": other.cost.usd,
            "same_model": other.route.target == own.route.target,
            "same_anchors": _anchors(other) == _anchors(own),
            "milliseconds": other.timing.get("total"),
            "failed": other.failure is not None or other.policy.version != version,
        },
        conflict="REPLACE",
    )


def _anchors(plan: Plan) -> list[tuple[int, str]]:
    return [(anchor.segment, anchor.ttl) for anchor in plan.cache.anchors]


def put_outcome(db: "Database", outcome: Outcome, now: float) -> None:
    """Records an outcome. One for a plan that is not here is kept too, with `known` 0."""
    plan = privacy.plan_id(outcome.plan_id)
    usage = outcome.usage
    signals = {
        name if _SIGNAL.match(name) else tags.tag(name): value for name, value in outcome.signals.items()
    }
    insert(
        db,
        "outcomes",
        {
            "plan": plan,
            "known": _is_recorded(db, plan),
            "recorded_at": now,
            "sent_at": outcome.sent_at,
            "target": privacy.name(outcome.target) if outcome.target else None,
            "decision": outcome.decision,
            "edit_distance": outcome.edit_distance,
            "input_tokens": usage.input if usage else None,
            "read_tokens": usage.read if usage else None,
            "write_tokens": usage.write if usage else None,
            "output_tokens": usage.output if usage else None,
            "latency_ms": outcome.latency_ms,
            "signals": msgspec.json.encode(signals).decode(),
            "write_1h_tokens": usage.write_1h if usage else None,
            "billing": billing.details(usage) if usage else None,
            "answer": tags.tag(outcome.answer_id) if outcome.answer_id else None,
            "request": tags.tag(outcome.request_id) if outcome.request_id else None,
            "ping": outcome.ping,
        },
    )
    additions.decide(db, plan, outcome.additions, now)


def put_feedback(db: "Database", feedback: Feedback, mode: TextMode, now: float) -> None:
    """Records thumbs. The note is text: only its length is kept in mode ``off``."""
    plan = privacy.plan_id(feedback.plan_id)
    insert(
        db,
        "feedback",
        {
            "plan": plan,
            "known": _is_recorded(db, plan),
            "recorded_at": now,
            "thumbs": feedback.thumbs,
            "note_chars": len(feedback.note),
        },
    )
    if feedback.note and mode != "off":
        text = privacy.masked(feedback.note, mode)
        row = {"plan": plan, "kind": "note", "mode": mode, "created_at": now, "text": text}
        insert(db, "texts", row)


def put_ledger(db: "Database", entries: Iterable[Entry]) -> None:
    """Records what a provider holds; of two entries for one prefix the later expiry wins.

    A model comes from the request, so an entry whose model is no name is not taken.
    """
    for entry in entries:
        if not (privacy.name(entry.model) and privacy.name(entry.provider)) or redact.find(entry.account):
            continue
        conversation = privacy.session(entry.conversation) if entry.conversation else None
        db.execute(_PUT_ENTRY, (*msgspec.structs.astuple(entry)[:-1], conversation))


def forget_expired(db: "Database", now: float) -> None:
    """Removes what expired so long ago that it explains nothing any more."""
    for table in ("ledger", "instructions"):
        limit = now - database.LEDGER_KEPT_S
        db.execute(f"DELETE FROM {table} WHERE expires_at < ?", [limit])  # noqa: S608  (the two above)
    db.execute("DELETE FROM replays WHERE sent_at < ?", [now - database.LEDGER_KEPT_S])


def put_replays(db: "Database", replays: Mapping[bytes, bytes], now: float) -> None:
    """Records in which form tool results were sent: by the prefix up to each one, the digest of its form."""
    for prefix, digest in replays.items():
        insert(db, "replays", {"prefix": prefix, "digest": digest, "sent_at": now}, "REPLACE")


def _is_recorded(db: "Database", plan: str) -> bool:
    return db.execute("SELECT 1 FROM plans WHERE id = ?", [plan]).fetchone() is not None
