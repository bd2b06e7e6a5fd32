"""How fast one long session of each further agent is imported, and in how much memory, in a process of its own.

Each is a session of so many megabytes that reads a file of 20 kB again and again, written as the agent writes it.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing import Process
from pathlib import Path
from typing import Any

from bench import reporting
from bench.speed.import_speed import run
from support import agent_sessions
from support.agent_sessions import CopilotLog, OpenCodeDatabase, PiLog

TEXT = 'def part(value):\n    return value * 3  # "x"\n' * 450
CALL = ("read", {"filePath": "/src/app/a.py", "path": "/src/app/a.py"})


def opencode(folder: Path, turns: int) -> None:
    """Write a database."""
    state = {"status": "completed", "input": CALL[1], "output": TEXT}
    with closing(OpenCodeDatabase(folder / "opencode.db")) as database:
        database.connection.execute("BEGIN")
        database.session()
        database.ask("ses_1", "msg_0", 0)
        for turn in range(turns):
            told = {"input": 1, "output": 5, "reasoning": 1, "cache": {"read": turn, "write": 7}}
            parts: list[dict[str, Any]] = [
                {"type": "step-start"},
                {"type": "tool", "tool": "read", "callID": f"c{turn}", "state": state},
                {"type": "step-finish", "tokens": told},
            ]
            model = {"modelID": "claude-sonnet-5-5", "providerID": "anthropic"}
            database.message("ses_1", f"msg_{turn + 1:07}", turn + 1.0, parts, role="assistant", **model)
        database.connection.execute("COMMIT")


def pi(folder: Path, turns: int) -> None:
    """Write entries, each behind the one before."""
    log = PiLog()
    log.ask(0)

    def entries() -> Iterator[dict[str, Any]]:
        yield from log.entries
        leaf = log.leaf
        for turn in range(turns):
            pair = PiLog()
            pair.answer(turn + 1.0, (1, turn, 7, 5), CALL, f"msg_{turn}")
            answer, result = pair.entries[1:]
            result["message"]["content"] = [{"type": "text", "text": TEXT}]
            for number, entry in enumerate((answer, result)):
                entry["id"], entry["parentId"], leaf = f"{turn}-{number}", leaf, f"{turn}-{number}"
                yield entry

    _write_lines(folder / "pi.jsonl", entries())


def cline(folder: Path, turns: int) -> None:
    """Write a document."""
    document = agent_sessions.cline()
    asked, answer, result = document["messages"][:3]
    messages = [asked]
    for turn in range(turns):
        at = answer["ts"] + turn * 1000
        call = {**answer["content"][1], "id": f"c{turn}"}
        messages.append({**answer, "id": f"a{turn}", "ts": at, "content": [call]})
        content = [{**result["content"][0], "tool_use_id": f"c{turn}", "content": TEXT}]
        messages.append({**result, "id": f"r{turn}", "ts": at + 500, "content": content})
    agent_sessions.lay_cline(folder, {**document, "messages": messages})


def copilot(folder: Path, turns: int) -> None:
    """Write events."""
    log = CopilotLog()

    def events() -> Iterator[dict[str, Any]]:
        for turn in range(turns):
            log.answer(turn % 39, (1, turn, 7, 5), CALL)
            log.events[-1]["data"]["result"]["content"] = TEXT
            yield from log.events
            log.events.clear()

    _write_lines(folder / "events.jsonl", events())


def _write_lines(path: Path, values: Iterator[dict[str, Any]]) -> None:
    with path.open("w") as file:
        file.writelines(json.dumps(value) + "\n" for value in values)


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "opencode": opencode,
    "pi": pi,
    "cline": cline,
    "copilot-cli": copilot,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=350)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for agent, writer in WRITERS.items():
        with tempfile.TemporaryDirectory() as place:
            folder, home = Path(place) / "sessions", Path(place) / "home"
            folder.mkdir()
            # in a process of its own: the peak of memory is inherited
            writing = Process(target=writer, args=(folder, options.megabytes * 1_000_000 // len(TEXT)))
            writing.start()
            writing.join()
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            first, second = (run(agent, folder, home) for _ in range(2))
        for metric, value in (
            ("mb_per_s", size / 1e6 / first["seconds"]),
            ("mb_per_cpu_s", size / 1e6 / first["cpu_s"]),
            ("rss_mb", first["rss_mb"]),
            ("again_s", second["seconds"]),
        ):
            rows.append(reporting.interval("ours", metric, [value], subset=agent) | {"n": first["requests"]})
    reporting.show("long_sessions", rows, reporting.environment(), as_json=options.json)


if __name__ == "__main__":
    main()
