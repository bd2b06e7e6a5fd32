"""A repository of some hundred files with a history, and what must be recorded of the lines that were added to a prompt."""

import contextlib
import sqlite3
from pathlib import Path

from e2e.workspace import Workspace
from support.grounded import FILE, PROMPT, shop

LINE = f"Context: `{FILE}`"
OTHERS = 300


def lay_repository(folder: Path) -> Path:
    """Make the repository with a prompt in it; return the prompt."""
    repository = shop(folder)
    repository.commit(
        {
            f"src/catalogue/part_{number}.py": f'"""Part {number}."""\n\n\ndef price_{number}():\n    return {number}\n'
            for number in range(OTHERS)
        }
    )
    repository.commit({FILE: (folder / FILE).read_text("utf-8") + "\n\nLATE = True\n"})
    prompt = folder / "fix.prompt.md"
    prompt.write_text(PROMPT + "\n", "utf-8")
    return prompt


def decisions(workspace: Workspace) -> list[tuple[str, str]]:
    """Return kind and decision of each addition that was decided, in the order of the decisions."""
    with contextlib.closing(sqlite3.connect(workspace.database)) as opened:
        return opened.execute(
            "select kind, decision from additions where decision is not null order by decided_at, rowid"
        ).fetchall()
