"""A folder with prompts, as a developer has it, and what must have become of it once an editor was there."""

import contextlib
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import msgspec

from anchorline.lsp import prompt_files
from anchorline.prompt import formats
from anchorline.store import database

HEAD = """---
description: Fix the parser
---
"""
DRAFT = """
I was wondering if you could maybe please fix this, it basically crashes when the the `größe` 🙂 is missing.
Don't change `load()`.

```python
def load(path):
    ...
"""
NOTES = "# Notes\n\nPlease could you add the the tests of `load()` to `tests/test_load.py`?\n"
SERVED = [
    *(f"some{suffix}" for suffix in (*prompt_files.SUFFIXES, *prompt_files.BODIES)),
    *sorted(prompt_files.NAMES),
]
OTHERS = ["package.json", "main.py", "README.md", "some.md"]
"""Names of files that Anchorline serves, and of some that it has no business with."""


class Workspace(msgspec.Struct, frozen=True):
    """What lies in the folder: `prompt` needs a refinement (and has a fence without an end), `body` needs anchors."""

    home: Path
    folder: Path
    prompt: Path
    body: Path
    notes: Path

    @property
    def database(self) -> Path:
        """Where the server records."""
        return self.home / "data" / database.FILE_NAME


def lay(home: Path, folder: Path) -> Workspace:
    """Write the prompts."""
    prompt = folder / "fix.prompt.md"
    prompt.write_bytes((HEAD + DRAFT).encode())
    rules = "\n".join(
        f"{number}. Read a file before you edit it, and run its tests." for number in range(400)
    )
    sent = {
        "model": "claude-sonnet-5",
        "max_tokens": 1024,
        "system": [{"type": "text", "text": rules}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Why does `load` ignore the größe?"}]}
        ],
    }
    body = folder / "agent.request.json"
    body.write_text(json.dumps(sent, ensure_ascii=False, indent=1) + "\n", "utf-8")
    notes = folder / "notes.md"
    notes.write_text(NOTES, "utf-8")
    for name in (*SERVED, *OTHERS):
        (folder / name).touch()
    return Workspace(home, folder, prompt, body, notes)


def check_prompt(seen: dict[str, Any], workspace: Workspace) -> None:
    """Assert what every editor must have shown of the prompt document, and what must be left of it."""
    found = {diagnostic["code"]: diagnostic for diagnostic in seen["diagnostics"]}
    assert "AL402" in found
    fence = (HEAD + DRAFT).split("\n").index("```python")
    assert found["AL402"]["line"] == fence
    plan = seen["plan"]
    for part in (plan["route"]["target"], "Tokens", "Cost", "Refinement"):
        assert part in seen["hover"]
    assert re.fullmatch(r"[A-Za-z0-9_-]+", plan["id"])
    assert plan["refinement"]["status"] == "proposed"
    proposed = plan["refinement"]["text"]
    assert proposed != DRAFT
    assert "`größe` 🙂" in proposed
    assert seen["refined"] == HEAD + proposed, "applied as proposed, and nothing else is touched"
    assert workspace.prompt.read_bytes() == (HEAD + DRAFT).encode(), "undo gives it all back"
    assert seen["plan_after_undo"]["prompt_hash"] == plan["prompt_hash"], "the server follows the undo"


def check_anchored(anchored: str, workspace: Workspace) -> None:
    """Assert that breakpoints, and only breakpoints, were inserted, and that undo took them away."""
    original = workspace.body.read_bytes()
    assert json.loads(original)["system"][0].keys() == {"type", "text"}
    assert formats.read(anchored.encode(), name=workspace.body.name).markers
    without = re.sub(r',\s*"cache_control":\s*\{[^{}]*\}', "", anchored)
    assert json.loads(without) == json.loads(original)


def check_outcomes(seen: dict[str, Any], workspace: Workspace) -> None:
    """Assert that the outcomes which the editor was told are recorded are in the database, with their plan."""
    with contextlib.closing(sqlite3.connect(workspace.database)) as opened:
        opened.row_factory = sqlite3.Row
        rows = opened.execute("select * from outcomes order by id").fetchall()
        plans = {row["id"] for row in opened.execute("select id from plans")}
    chosen, reported = (dict(row) for row in rows if "observed" not in row["signals"])
    assert (chosen["plan"], chosen["decision"]) == (seen["plan_id"], "accepted")
    assert reported["plan"] == seen["plan_id"]
    assert reported["decision"] == "accepted"
    tokens = ("input_tokens", "read_tokens", "write_tokens", "output_tokens")
    assert [reported[name] for name in tokens] == [310, 48210, 1204, 655]
    assert reported["latency_ms"] == 2140
    assert {chosen["plan"], reported["plan"]} <= plans
    assert (chosen["known"], reported["known"]) == (1, 1)
