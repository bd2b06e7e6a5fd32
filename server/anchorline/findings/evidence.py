"""What the fixes of a history would change, by finding."""

import msgspec

from anchorline.findings.attribution import Avoidable, Shares
from anchorline.findings.model import Code

CLAUDE_CODE = "claude-code"
"""The agent whose settings fixes change."""


class Evidence(msgspec.Struct):
    """The requests (by id) that `missed`, and what others `brought` that need not have been there."""

    missed: dict[Code, set[str]] = {}
    brought: dict[Code, list[tuple[str, Avoidable]]] = {}

    def note(self, request: str, shares: Shares) -> None:
        """Takes in a request."""
        if shares.missed is not None:
            self.missed.setdefault(shares.missed, set()).add(request)
        for part in shares.brought:
            self.brought.setdefault(part.code, []).append((request, part))

    def add(self, other: "Evidence") -> None:
        """Takes in that of another session."""
        for code, requests in other.missed.items():
            self.missed.setdefault(code, set()).update(requests)
        for code, parts in other.brought.items():
            self.brought.setdefault(code, []).extend(parts)


class ClaudeCodeEvidence(msgspec.Struct):
    """Claude Code's sessions, by name, and their evidence: other agents don't heed its settings."""

    sessions: set[str] = set()
    evidence: Evidence = msgspec.field(default_factory=Evidence)
