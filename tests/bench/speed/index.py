"""How fast is a workspace indexed, brought up to date and asked, and how much does it take? Beside FTS5 and `git grep`.

    python tests/bench/index.py --repo DIR... [--made 20000] [--data DIR] [--json]

DIR are work trees or git directories; each is cloned first and stays as it is. `--made N` makes a repository of N files
from stretches of lines of the first DIR's, about 9 kB a file. Queries are the prompts that `--data` (a folder with
tasks.jsonl.gz) has for the repository, else the messages of its newest commits;
of the made one those of the last DIR.

Peers in the same run: SQLite's FTS5 with the text of the same files in it (bm25 of the OR of the query's words), and
`git grep` for the files that have any of the query's words, which needs no index. `update_ms`: a file was saved, until the
index has it. `cold_query_ms`: the first query after a file was saved. `again_ms`: a refresh that finds nothing changed.
`open_ms`: a kept index, until it can be asked. `cpu_ms`
is what the thread worked, which a busy machine changes less. `pause_ms`: how late a thread wakes that sleeps for 1 ms, while all is
indexed; of `idle` nothing else goes on, of `python` a loop in Python does. `memory_mb` is what a process takes more with
the index open, `arrays_mb` what of it are the postings.
"""

import argparse
import gzip
import json
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from anchorline.index import words
from anchorline.index.folder import FolderSnapshot
from anchorline.index.workspace_index import WorkspaceIndex
from bench.reporting import environment, interval, percentile, show

PROGRAM = Path(__file__).resolve().parents[1] / "index.py"
UPDATES = 300
QUERIES = 300
SCANS = 30
PAUSE_S = 0.001
WATCHED_S = 2.0
LINES = (5.0, 0.9)
"""Of a made file: the mean and standard deviation of the logarithm of its number of lines."""
MEGABYTE = 1 << 20


def main() -> None:
    """Measure each repository."""
    arguments = _arguments()
    if arguments.held:
        print(_memory(*arguments.held))
        return
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repositories = {_name(path): _cloned(path, folder) for path in arguments.repo}
        roots = dict(repositories)
        if arguments.made:
            like = next(iter(repositories.values()))
            roots[f"made-{arguments.made}"] = _made(folder / "made", arguments.made, like)
        for case, root in roots.items():
            if case in repositories:
                queries = _prompts(arguments.data, case) or _messages(root)
            rows += _measured(case, root, queries, folder / f"{case}.db")
    show("index", rows, environment(), as_json=arguments.json)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repo", type=Path, nargs="+", default=[Path(__file__).resolve().parents[3]])
    parser.add_argument("--made", type=int, default=0, help="files of a made repository")
    parser.add_argument("--data", type=Path, help="folder with tasks.jsonl.gz")
    parser.add_argument("--held", type=Path, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _name(path: Path) -> str:
    resolved = path.resolve()
    return resolved.parent.name.split("+")[-1] if resolved.name in {"repo", ".git"} else resolved.name


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)
    return done.stdout.decode("utf-8", "replace")


def _cloned(path: Path, folder: Path) -> Path:
    root = folder / _name(path)
    _git(folder, "clone", "-q", "--shared", str(path.resolve()), str(root))
    return root


def _made(root: Path, count: int, like: Path) -> Path:
    """Make a repository of stretches of another one's lines."""
    chance = random.Random(17)
    texts = (path.read_text("utf-8", "replace") for path in sorted(like.rglob("*.py")))
    lines = [line for text in texts for line in text.splitlines()] or ["value = 1"]
    for number in range(count):
        length = min(int(chance.lognormvariate(*LINES)) + 1, len(lines) - 1)
        start = chance.randrange(len(lines) - length)
        path = root / f"package_{number % 211}" / f"part_{number % 7}" / f"module_{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"def made_{number}():\n    pass\n" + "\n".join(lines[start : start + length]) + "\n")
    _git(root, "init", "-q")
    _git(root, "add", "-A")
    _git(
        root, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-q", "-m", "all that is made"
    )
    return root


def _prompts(data: Path | None, case: str) -> list[str]:
    if data is None:
        return []
    with gzip.open(data / "tasks.jsonl.gz", "rt", encoding="utf-8") as lines:
        tasks = [json.loads(line) for line in lines]
    return [task["prompt"] for task in tasks if task["repo"].endswith(f"/{case}")][:QUERIES]


def _messages(root: Path) -> list[str]:
    raw = _git(root, "log", "-n", str(QUERIES), "--no-merges", "--format=%s %b%x00")
    return [message.strip() for message in raw.split("\0") if message.strip()]


def _measured(case: str, root: Path, queries: list[str], file: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []

    def add(metric: str, value: float, subset: str = "index") -> None:
        rows.append(interval(case, metric, [value], subset=subset))

    def spread(metric: str, times: list[Times], subset: str = "index") -> None:
        for kind, values in (("", [each.wall for each in times]), ("cpu_", [each.cpu for each in times])):
            milliseconds = [1000 * value for value in values]
            name = metric.replace("_ms", f"_{kind}ms")
            high = percentile(milliseconds, 0.99)
            rows.append(interval(case, f"{name}_p50", milliseconds, subset=subset))
            rows.append(interval(case, f"{name}_p99", milliseconds, high, subset=subset))

    chance = random.Random(18)
    index = WorkspaceIndex(FolderSnapshot(root), file)
    with _watched() as pauses:
        begun, worked = time.perf_counter(), time.process_time()
        done = index.refresh()
        took, worked = time.perf_counter() - begun, time.process_time() - worked
    size = sum((root / path).stat().st_size for path in index.paths)
    add("files", done.files)
    add("megabytes", size / MEGABYTE)
    add("files_a_second", done.read / took)
    add("files_a_cpu_second", done.read / worked)
    rows.append(interval(case, "pause_ms_p99", pauses, percentile(pauses, 0.99), subset="index"))
    rows.append(interval(case, "pause_ms_max", pauses, max(pauses), subset="index"))
    spread("again_ms", [_times(index.refresh) for _ in range(5)])
    index.close()
    add("disk_mb", file.stat().st_size / MEGABYTE)
    held = subprocess.run(
        [sys.executable, str(PROGRAM), "--held", str(root), str(file)],
        check=True,
        capture_output=True,
        text=True,
    )
    add("memory_mb", float(held.stdout))
    index = WorkspaceIndex(FolderSnapshot(root), file)
    spread("open_ms", [_times(index.refresh)])
    add("arrays_mb", index.size / MEGABYTE)
    index.search(queries[0])
    spread("query_ms", [_times(index.search, query) for query in queries])
    paths = chance.choices(index.paths, k=UPDATES)
    updates, cold = [], []
    for path in paths:
        _save(root / path)
        updates.append(_times(index.update, path))
        cold.append(_times(index.search, chance.choice(queries)))
    spread("update_ms", updates)
    spread("cold_query_ms", cold)
    index.close()
    _full_text(root, queries, paths, spread, add)
    spread("query_ms", [_times(_grep, root, query) for query in queries[:SCANS]], "git grep")
    for name, busy in (("idle", lambda: time.sleep(WATCHED_S)), ("python", _spin)):
        with _watched() as floor:
            busy()
        rows.append(interval(case, "pause_ms_p99", floor, percentile(floor, 0.99), subset=name))
        rows.append(interval(case, "pause_ms_max", floor, max(floor), subset=name))
    return rows


class Times(NamedTuple):
    """Seconds that something took, and of these what this thread worked."""

    wall: float
    cpu: float


def _times(call: Callable[..., object], *arguments: object) -> Times:
    begun, worked = time.perf_counter(), time.thread_time()
    call(*arguments)
    return Times(time.perf_counter() - begun, time.thread_time() - worked)


def _save(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("\n# another line of parse_config\n")


def _spin() -> None:
    until = time.perf_counter() + WATCHED_S
    while time.perf_counter() < until:
        pass


@contextmanager
def _watched() -> Iterator[list[float]]:
    """Collect by how many ms a thread that sleeps again and again wakes late."""
    late: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            begun = time.perf_counter()
            time.sleep(PAUSE_S)
            late.append(1000 * (time.perf_counter() - begun - PAUSE_S))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield late
    finally:
        ended.set()
        thread.join()


def _memory(root: Path, file: Path) -> float:
    """Return how many MB more this process has with the index open and asked."""
    process = psutil.Process()
    before = process.memory_info().rss
    index = WorkspaceIndex(FolderSnapshot(root), file)
    index.refresh()
    index.search("where is the config parsed")
    return (process.memory_info().rss - before) / MEGABYTE


def _full_text(
    root: Path,
    queries: list[str],
    paths: list[str],
    spread: Callable[..., None],
    add: Callable[..., None],
) -> None:
    """Measure FTS5 with the same files."""
    file = root.parent / f"{root.name}-fts5.db"
    snapshot = FolderSnapshot(root)
    numbers: dict[str, int] = {}

    def text(path: str) -> str:
        return (snapshot.read(path) or b"").decode("utf-8", "replace")

    def save(path: str) -> None:
        with database:
            database.execute("DELETE FROM files WHERE rowid = ?", [numbers[path]])
            database.execute(
                "INSERT INTO files (rowid, path, text) VALUES (?, ?, ?)", [numbers[path], path, text(path)]
            )

    def ask(query: str) -> None:
        terms = " OR ".join(f'"{word}"' for word in dict.fromkeys(words.WORD.findall(query)))
        if terms:
            database.execute(
                "SELECT path, bm25(files) FROM files WHERE files MATCH ? ORDER BY rank LIMIT 100", [terms]
            ).fetchall()

    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("CREATE VIRTUAL TABLE files USING fts5(path, text)")
        begun = time.perf_counter()
        with database:
            for number, path in enumerate(snapshot.files()):
                numbers[path] = number
                database.execute(
                    "INSERT INTO files (rowid, path, text) VALUES (?, ?, ?)", [number, path, text(path)]
                )
        add("files_a_second", len(numbers) / (time.perf_counter() - begun), "fts5")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        add("disk_mb", file.stat().st_size / MEGABYTE, "fts5")
        spread("query_ms", [_times(ask, query) for query in queries], "fts5")
        updates = []
        for path in paths:
            _save(root / path)
            updates.append(_times(save, path))
        spread("update_ms", updates, "fts5")


def _grep(root: Path, query: str) -> None:
    sought = [word for word in dict.fromkeys(re.findall(r"\w{3,}", query)) if word.lower() not in words.STOP]
    command = [
        "git",
        "-C",
        str(root),
        "grep",
        "-l",
        "-i",
        "-F",
        *(part for word in sought[:50] for part in ("-e", word)),
    ]
    if sought:
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
