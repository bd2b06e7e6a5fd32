"""How long does a keystroke take? From `textDocument/didChange` to the published diagnostics of that version.

    python tests/bench keystroke [--kilobytes 100] [--keys 500] [--document FILE] [--json]

A developer types at the end of a prompt of 100 kB, one character a change, and the next key comes when the
diagnostics are there. Subsets: `markdown` (a prompt file), `instructions` (an AGENTS.md), `body` (a request body in
JSON, one line), and `longest-draft` (a prompt file of 60 kB: the longest that is refined, which takes its time).
The documents are made here; `--document` takes a real one instead.
"""

import argparse
import json
import random
import time
from pathlib import Path

from bench.reporting import environment, interval, percentile, show
from bench.speed.startup import OURS, Session

WARM_UP = 20
TYPED = "Please make the parser read empty lines too, and keep src/parse.py as it is. "
SENTENCE = """the parser reads each line and returns a record with its fields unless a header is missing
while tests in tests/test_parse.py cover quoted values numbers dates and nested lists so keep every name"""
WORDS = SENTENCE.split()


def prose(size: int) -> str:
    """Return about `size` bytes of headings, paragraphs and code, always the same."""
    pick = random.Random(7)
    parts = ["# Parser\n\nCurrent time: 2026-11-23T09:41:07Z\n"]
    length = 0
    while length < size:
        words = " ".join(pick.choices(WORDS, k=60)).capitalize()
        code = f"def step_{len(parts)}(row):\n    return row.split(',')"
        part = f"\n## Step {len(parts)}\n\n{words}.\n\n```python\n{code}\n```\n"
        parts.append(part)
        length += len(part)
    return "".join(parts) + "\nFix `step_3`."


def body(size: int) -> str:
    """Return a request body of about `size` bytes: a system prompt, turns, and the draft at the end."""
    system = prose(size // 4)
    turns = []
    for number in range(12):
        turns.append({"role": "user", "content": f"Step {number}: {prose(size // 40)}"})
        turns.append({"role": "assistant", "content": [{"type": "text", "text": prose(size // 40)}]})
    turns.append({"role": "user", "content": "Fix `step_3`."})
    return json.dumps({"model": "claude-sonnet-5", "max_tokens": 4096, "system": system, "messages": turns})


def measure(name: str, text: str, keys: int) -> list[float]:
    """Return the milliseconds of each key."""
    session = Session(OURS)
    session.initialize()
    session.send({"method": "initialized", "params": {}})
    uri = f"file:///{name}"
    session.open(uri, text, "json" if name.endswith(".json") else "markdown")
    before = text.rindex('"}]}') if name.endswith(".json") else len(text)
    line = text.count("\n", 0, before)
    character = before - (text.rfind("\n", 0, before) + 1)
    times = []
    for version in range(1, keys + WARM_UP + 1):
        place = {"line": line, "character": character}
        change = {"range": {"start": place, "end": place}, "text": TYPED[version % len(TYPED)]}
        character += 1
        params = {"textDocument": {"uri": uri, "version": version}, "contentChanges": [change]}
        start = time.perf_counter()
        session.send({"method": "textDocument/didChange", "params": params})
        session.diagnostics(version)
        times.append((time.perf_counter() - start) * 1000)
    session.end()
    return times[WARM_UP:]


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kilobytes", type=int, default=100)
    parser.add_argument("--keys", type=int, default=500)
    parser.add_argument("--document", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    size = arguments.kilobytes * 1000
    documents = {
        "markdown": ("bench.prompt.md", prose(size)),
        "instructions": ("AGENTS.md", prose(size)),
        "body": ("bench.request.json", body(size)),
        "longest-draft": ("long.prompt.md", prose(60_000)),
    }
    if arguments.document is not None:
        name = arguments.document.name
        name += "" if name.endswith((".md", ".request.json", ".chat.json")) else ".prompt.md"
        documents = {"given": (name, arguments.document.read_text("utf-8"))}
    rows = []
    for subset, (name, text) in documents.items():
        times = measure(name, text, arguments.keys)
        rows.append(interval("ours", "p50_ms", times, percentile(times, 0.5), subset))
        rows.append(interval("ours", "p99_ms", times, percentile(times, 0.99), subset))
    show("keystroke", rows, environment(), as_json=arguments.json)


if __name__ == "__main__":
    main()
