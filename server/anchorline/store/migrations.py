"""The schema, migration by migration. Import it where a database is opened for writing, and nowhere else.

A migration that was released is never edited: a later one changes what it made. Names start with the number
of the schema that they lead to. Times are epoch seconds, sizes bytes, money USD.
"""

from sqlite_utils import Database, Migrations
from sqlite_utils.db import ForeignKey

migrations = Migrations("anchorline")


@migrations(name="0001_initial")
def initial(db: Database) -> None:
    """Creates the tables for prompts, plans, what became of them, and the ledger."""
    db.table("about").create({"name": str, "value": str}, pk="name", not_null={"value"})
    db.table("sessions").create(
        {"id": str, "first_at": float, "last_at": float, "format": str},
        pk="id",
        not_null={"first_at", "last_at", "format"},
    )
    db.table("segments").create(
        {"hash": str, "parent": str, "content": str, "kind": str, "role": str, "size": int, "tokens": int},
        pk="hash",
        not_null={"content", "kind", "role", "size", "tokens"},
    )
    db.table("plans").create(
        {
            "id": str,
            "created_at": float,
            "session": str,
            "policy": str,
            "version": str,
            "arm": str,
            "propensity": float,
            "refinement": str,
            "target": str,
            "tier": str,
            "sticky": int,
            "candidates": str,
            "provider": str,
            "p_hit": float,
            "expected_read_tokens": int,
            "expected_write_tokens": int,
            "cost_usd": float,
            "without_plan_usd": float,
            "failed": int,
            "plan": str,
        },
        pk="id",
        not_null={"created_at", "policy", "version", "arm", "propensity", "candidates", "failed", "plan"},
    )
    db.table("plans").create_index(["created_at"])
    db.table("requests").create(
        {
            "id": int,
            "plan": str,
            "session": str,
            "at": float,
            "format": str,
            "provider": str,
            "model": str,
            "last_segment": str,
            "segments": int,
            "tokens": int,
            "size": int,
            "draft_chars": int,
            "markers": int,
            "max_tokens": int,
            "compacted": int,
        },
        pk="id",
        not_null={"at", "format", "segments", "tokens", "size"},
        foreign_keys=[ForeignKey("requests", "plan", "plans", "id", on_delete="CASCADE")],
    )
    db.table("requests").create_index(["plan"])
    db.table("outcomes").create(
        {
            "id": int,
            "plan": str,
            "known": int,
            "recorded_at": float,
            "sent_at": float,
            "target": str,
            "decision": str,
            "edit_distance": int,
            "input_tokens": int,
            "read_tokens": int,
            "write_tokens": int,
            "output_tokens": int,
            "latency_ms": float,
            "signals": str,
        },
        pk="id",
        not_null={"plan", "known", "recorded_at", "signals"},
    )
    db.table("outcomes").create_index(["plan"])
    db.table("feedback").create(
        {"id": int, "plan": str, "known": int, "recorded_at": float, "thumbs": int, "note_chars": int},
        pk="id",
        not_null={"plan", "known", "recorded_at", "thumbs", "note_chars"},
    )
    db.table("feedback").create_index(["plan"])
    db.table("ledger").create(
        {
            "provider": str,
            "account": str,
            "model": str,
            "prefix": bytes,
            "tokens": int,
            "ttl": str,
            "written_at": float,
            "expires_at": float,
            "source": str,
        },
        pk=("provider", "account", "model", "prefix"),
        not_null={"tokens", "ttl", "written_at", "expires_at", "source"},
    )
    db.table("texts").create(
        {"id": int, "plan": str, "kind": str, "mode": str, "created_at": float, "text": str},
        pk="id",
        not_null={"plan", "kind", "mode", "created_at", "text"},
    )
    db.table("texts").create_index(["plan"])


@migrations(name="0002_imported")
def imported(db: Database) -> None:
    """Creates the tables for what session files say was sent and billed, and how far each was read."""
    db.table("imported").create(
        {
            "id": str,
            "file": str,
            "agent": str,
            "session": str,
            "chain": str,
            "branch": int,
            "model": str,
            "sent_at": float,
            "first_at": float,
            "trigger": str,
            "switched": int,
            "blocks": int,
            "prefix": bytes,
            "input_tokens": int,
            "read_tokens": int,
            "write_5m_tokens": int,
            "write_1h_tokens": int,
            "output_tokens": int,
        },
        pk="id",
        not_null={"file", "agent", "session", "chain", "model", "sent_at", "trigger", "prefix"},
    )
    db.table("imported").create_index(["file"])
    db.table("imported").create_index(["session", "chain", "sent_at"])
    db.table("imported").create_index(["prefix"])
    db.table("imports").create(
        {
            "file": str,
            "agent": str,
            "size": int,
            "mtime_ns": int,
            "offset": int,
            "line": int,
            "head": bytes,
            "tail": bytes,
            "state": bytes,
        },
        pk="file",
        not_null={"agent", "size", "mtime_ns", "offset", "line", "head", "tail"},
    )


@migrations(name="0003_instructions")
def instructions(db: Database) -> None:
    """Creates the table for instruction files that are part of warm prefixes."""
    db.table("instructions").create(
        {
            "file": str,
            "conversation": str,
            "provider": str,
            "account": str,
            "model": str,
            "ttl": str,
            "tokens": int,
            "behind": int,
            "lines": bytes,
            "taken": str,
            "written_at": float,
            "expires_at": float,
        },
        pk=("file", "conversation", "provider", "model"),
        not_null={"account", "ttl", "tokens", "behind", "lines", "taken", "written_at", "expires_at"},
    )


@migrations(name="0004_replays")
def replays(db: Database) -> None:
    """Creates the table for what the gateway has sent shorter, and so has to send the same way again."""
    db.table("replays").create(
        {"prefix": bytes, "digest": bytes, "sent_at": float}, pk="prefix", not_null={"digest", "sent_at"}
    )


@migrations(name="0005_features")
def features(db: Database) -> None:
    """Creates the table for what a network learns from: numbers of drafts and moments, by plan or imported request."""
    db.table("features").create(
        {
            "id": str,
            "at": float,
            "version": int,
            "grams": bytes,
            "draft": bytes,
            "moment": bytes,
            "thoughtless": int,
            "commands": int,
        },
        pk="id",
        not_null={"at", "version", "grams", "thoughtless", "commands"},
    )


@migrations(name="0006_experiments")
def experiments(db: Database) -> None:
    """Creates the tables for what a policy in shadow decided and for which policy was put in force when.

    A plan gets the experiment that its arm belongs to.
    """
    db.table("plans").add_column("experiment", str)
    db.table("plans").create_index(["experiment"])
    db.table("shadows").create(
        {
            "plan": str,
            "created_at": float,
            "session": str,
            "experiment": str,
            "version": str,
            "target": str,
            "anchors": str,
            "p_hit": float,
            "cost_usd": float,
            "same_model": int,
            "same_anchors": int,
            "milliseconds": float,
            "failed": int,
        },
        pk="plan",
        not_null={"created_at", "experiment", "version", "same_model", "same_anchors", "failed"},
    )
    db.table("shadows").create_index(["experiment"])
    db.table("policy_events").create(
        {
            "id": int,
            "at": float,
            "event": str,
            "version": str,
            "instead_of": str,
            "experiment": str,
            "stage": str,
            "share": float,
            "by": str,
            "reason": str,
        },
        pk="id",
        not_null={"at", "event", "version", "instead_of", "by", "reason"},
    )


@migrations(name="0007_beliefs")
def beliefs(db: Database) -> None:
    """Gives plans as columns what the dashboard adds up of them, and all of it an index: it never reads a plan's JSON.

    Plans that are there get it from their JSON, 100 000 of them in a few seconds. One that a program of an earlier
    version goes on to record has no `tokens` there.
    """
    plans = db.table("plans")
    for name, kind in (
        ("warm_tokens", int),
        ("tokens", int),
        ("ttl", str),
        ("miss", str),
        ("miss_tokens", int),
    ):
        plans.add_column(name, kind)
    db.execute("""
        UPDATE plans SET
            warm_tokens = json_extract(plan, '$.cache.warm_tokens'),
            tokens = json_extract(plan, '$.tokens.estimate'),
            ttl = json_extract(plan, '$.cache.anchors[#-1].ttl'),
            (miss, miss_tokens) = (
                SELECT json_extract(value, '$.code'), coalesce(json_extract(value, '$.tokens'), 0)
                FROM json_each(plan, '$.cache.miss_reasons')
                WHERE json_extract(value, '$.code') IN
                    ('expired', 'model_changed', 'compacted', 'prefix_edited', 'thinking_stripped')
                LIMIT 1
            )
        WHERE json_valid(plan)
    """)
    db.execute("DROP INDEX idx_plans_created_at")
    plans.create_index(
        [
            "created_at",
            "id",
            "target",
            "tier",
            "policy",
            "version",
            "arm",
            "failed",
            "sticky",
            "propensity",
            "refinement",
            "cost_usd",
            "without_plan_usd",
            "p_hit",
            "warm_tokens",
            "tokens",
            "ttl",
            "miss",
            "miss_tokens",
        ],
        index_name="idx_plans_added_up",
    )


@migrations(name="0008_answers")
def answers(db: Database) -> None:
    """Notes the provider's ids of answers, by which a request counts once, and all that a price depends on.

    Keep-alive pings get a mark of their own, so that none stands for a request. Entries of the ledger know their
    conversation, so that it is listed once. Session files are read once more: earlier versions left some of their
    requests out.
    """
    for name, kind in (
        ("write_1h_tokens", int),
        ("billing", str),
        ("answer", str),
        ("request", str),
        ("ping", int),
    ):
        db.table("outcomes").add_column(name, kind)
    db.execute(
        "UPDATE outcomes SET ping = json_extract(signals, '$.keepalive') "
        "WHERE signals LIKE '%\"keepalive\"%' AND json_valid(signals)"
    )
    for name, kind in (("billing", str), ("answer", str), ("request", str)):
        db.table("imported").add_column(name, kind)
    # A row was known by its answer's id.
    db.execute("UPDATE imported SET answer = id WHERE agent = 'claude-code'")
    db.table("imported").create_index(["answer"])
    db.table("ledger").add_column("conversation", str)
    db.execute("DELETE FROM imports")


@migrations(name="0009_facts")
def facts(db: Database) -> None:
    """Notes where imported requests were made, by which sub-agent, and what the tools had returned.

    `session_facts` adds up what the calls of a session did. Session files are read once more.
    """
    db.table("places").create(
        {"id": int, "project": str, "branch": str, "pr": str}, pk="id", not_null={"project", "branch", "pr"}
    )
    db.table("places").create_index(["project", "branch", "pr"], unique=True)
    db.table("imported").add_column("place", int)
    db.table("imported").add_column("subagent", str)
    db.execute("""
        CREATE TABLE tool_results (
            request TEXT NOT NULL,
            number INTEGER NOT NULL,
            tool TEXT NOT NULL,
            target BLOB,
            first_line INTEGER,
            lines INTEGER,
            tokens INTEGER NOT NULL,
            kind TEXT NOT NULL,
            effect TEXT,
            PRIMARY KEY (request, number)
        ) WITHOUT ROWID
    """)
    db.execute("""
        CREATE VIEW session_facts AS
        SELECT
            imported.session AS session,
            coalesce(sum(tool_results.effect = 'commit'), 0) AS commits,
            coalesce(sum(tool_results.effect = 'instructions'), 0) AS instruction_edits
        FROM imported LEFT JOIN tool_results ON tool_results.request = imported.id
        GROUP BY imported.session
    """)
    db.execute("DELETE FROM imports")


@migrations(name="0010_limits")
def limits(db: Database) -> None:
    """Creates the table for what was told of a plan's limits. Codex's files are read once more: they have some."""
    db.table("limit_samples").create(
        {
            "provider": str,
            "account": str,
            "plan": str,
            "window": str,
            "source": str,
            "reset": int,
            "used": float,
            "at": float,
            "until": float,
            "resets_at": float,
            "length": float,
        },
        pk=("provider", "account", "plan", "window", "source", "reset", "used"),
        not_null={"at", "until"},
    )
    db.table("limit_samples").create_index(["until"])
    db.execute("DELETE FROM imports WHERE agent = 'codex'")


@migrations(name="0011_additions")
def additions(db: Database) -> None:
    """Creates the table for the additions that a refinement proposed, and what the developer made of each."""
    db.table("additions").create(
        {
            "plan": str,
            "addition": str,
            "kind": str,
            "probability": float,
            "shown_at": float,
            "shown_in": str,
            "decision": str,
            "decided_at": float,
        },
        pk=("plan", "addition"),
    )
    db.table("additions").create_index(["decided_at"])
