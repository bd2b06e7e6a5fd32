"""The kinds of findings: what each is called, and in what it is counted."""

from typing import NamedTuple

from anchorline.cache.miss_causes import Cause
from anchorline.findings.model import Code


class Kind(NamedTuple):
    """`title` is what happened, `unit` what is counted, in the singular and plural."""

    title: str
    unit: tuple[str, str]


KINDS: dict[Code, Kind] = {
    "expired": Kind("Cache expired before you returned", ("return", "returns")),
    "history_changed": Kind("History changed", ("change", "changes")),
    "model_switched": Kind("Model switched mid-session", ("switch", "switches")),
    "tools_changed": Kind("Tools, MCP servers or system prompt changed", ("change", "changes")),
    "compacted_cold": Kind("Compacted after the cache had expired", ("compaction", "compactions")),
    "instructions_edited": Kind("Instruction files edited mid-session", ("edit", "edits")),
    "not_readable": Kind("Sent before the cache was readable", ("request", "requests")),
    "files_reread": Kind("Files read again and again", ("re-read", "re-reads")),
    "large_results": Kind("Large tool results", ("result", "results")),
    "subagent_starts": Kind("Sub-agents' first requests", ("sub-agent", "sub-agents")),
    "media_resent": Kind("Images and PDFs sent again", ("attachment", "attachments")),
    "no_commit": Kind("Sessions without a commit", ("session", "sessions")),
}

MISSES: dict[Cause, Code] = {
    "expired": "expired",
    "model_changed": "model_switched",
    "history_changed": "history_changed",
    "prefix_edited": "history_changed",
    "not_readable": "not_readable",
    "dropped": "tools_changed",
}
"""The finding that a cause of a miss is. A compaction is one where it was cold; stripped thinking is the provider's."""
