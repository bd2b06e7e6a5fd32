"""How long does Claude Code's status line take, and what does its helper hold? With 1 and 10 sessions open.

    python tests/bench statusline [--seconds 30] [--transcripts DIR] [--json]

Each session asks three times a second by the command that `anchorline connect claude-code --plugin` sets, as Claude Code
starts it (a shell, the session's JSON on standard input), while its session file grows. `told`: the JSON says what
is cached, as Claude Code does from 2.1.251 on; `untold`: the session file has to be read. In the same run, three times a
second: the shell with `/bin/true`, and with a bare start of this Python (`-I -S -c 0`), which are the floor.
Times are those of the whole process in ms, from its start to its end, and `cpu_ms` what it takes of a processor, which a
busy machine changes less; `rss_mb` is the helper's memory at the end, `cpu` its share of one core.
Session files: those of DIR, the largest first, else made ones of 1 MB.
"""

import argparse
import gzip
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from anchorline.hooks import client, client_aside, launcher, plugin
from bench.reporting import environment, interval, percentile, show

UPDATES_S = 1 / 3
SHELL = "/bin/sh"
FLOORS = {"true": "/bin/true", "python": f"{shlex.quote(sys.executable)} -I -S -c 0"}
LONG = 1_000_000
MODEL = "claude-opus-5-5"
WAIT_S = 10.0


class Session:
    """An open session: its growing file, and the JSON that Claude Code gives its status line."""

    def __init__(self, number: int, folder: Path, text: str, *, is_told: bool) -> None:
        self.file = folder / "projects" / f"p{number}" / f"session-{number}.jsonl"
        self.file.parent.mkdir(parents=True)
        self.file.write_text(text)
        self.number = number
        self.is_told = is_told
        self.requests = 0

    def grow(self) -> None:
        """Write down another request."""
        self.requests += 1
        with self.file.open("a") as file:
            file.write(lines(self.number, self.requests))

    def status(self) -> bytes:
        """Return what Claude Code 2.1.332 gives a status line on a plan."""
        now = int(time.time())
        window = {"context_window_size": 1_000_000, "used_percentage": 14, "remaining_percentage": 86}
        status: dict[str, Any] = {
            "session_id": f"session-{self.number}",
            "transcript_path": str(self.file),
            "cwd": str(self.file.parent),
            "model": {"id": MODEL, "display_name": "Opus 5.5"},
            "workspace": {"current_dir": "/w", "project_dir": "/w", "added_dirs": []},
            "version": "2.1.332",
            "cost": {"total_cost_usd": 1.36, "total_duration_ms": 8478, "total_api_duration_ms": 629},
            "context_window": {"total_input_tokens": 141_300, **window},
            "rate_limits": {
                "five_hour": {
                    "used_percentage": 30 + self.requests % 9,
                    "resets_at": now // 9000 * 9000 + 9000,
                },
                "seven_day": {"used_percentage": 12, "resets_at": now // 90_000 * 90_000 + 90_000},
            },
        }
        if self.is_told:
            told = {"warm": True, "caching_observed": True, "ttl": "1h", "expires_at": now + 3000}
            status["prompt_cache"] = {**told, "requests": self.requests, "recache_tokens_if_cold": 141_300}
        return json.dumps(status).encode()


def lines(session: int, number: int) -> str:
    """Return a turn as Claude Code writes it down."""
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    base = {"sessionId": f"session-{session}", "cwd": "/w", "version": "2.1.332", "timestamp": at}
    user = {"type": "user", "uuid": f"u{number}", "parentUuid": f"a{number - 1}" if number > 1 else None}
    user["message"] = {"role": "user", "content": "word " * 300}
    creation = {"ephemeral_1h_input_tokens": 900, "ephemeral_5m_input_tokens": 0}
    usage = {"input_tokens": 3, "output_tokens": 500, "cache_read_input_tokens": 140_400}
    usage |= {"cache_creation_input_tokens": 900, "cache_creation": creation}
    message = {"id": f"msg_{number}", "role": "assistant", "model": MODEL, "usage": usage}
    message["content"] = [{"type": "text", "text": "answer " * 300}]
    answer = {
        "type": "assistant",
        "uuid": f"a{number}",
        "parentUuid": f"u{number}",
        "requestId": f"req_{number}",
    }
    return "".join(json.dumps({**base, **line}) + "\n" for line in (user, {**answer, "message": message}))


def texts(folder: Path | None, count: int) -> list[str]:
    """Return the text of so many session files."""
    files = sorted(folder.glob("*.jsonl*"), key=lambda path: -path.stat().st_size)[:count] if folder else []
    read = []
    for path in files:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            read.append(file.read())
    while len(read) < count:
        turns = [lines(len(read), number) for number in range(1, LONG // 4600)]
        read.append("".join(turns))
    return read


def start(command: str, given: bytes, env: dict[str, str]) -> tuple[float, float, str]:
    """Return the ms that a command takes in a shell, those of the processor, and what it prints."""
    began = time.perf_counter()
    with subprocess.Popen(
        [SHELL, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(given)
        process.stdin.close()
        printed = process.stdout.read().decode()
        _, status, used = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return 1000 * took, 1000 * (used.ru_utime + used.ru_stime), printed


def measure(count: int, texts_: list[str], seconds: float, *, is_told: bool) -> list[dict[str, Any]]:
    """Return the rows of so many sessions that are open for so long."""
    times: defaultdict[str, list[float]] = defaultdict(list)
    processor: defaultdict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data"
        data.mkdir()
        plugin.write(data)
        env = {**os.environ, "CLAUDE_CONFIG_DIR": str(folder), "COLUMNS": "120"}
        env["ANCHORLINE_CONFIG"] = str(folder / "anchorline.toml")
        command = plugin.status_line_command(data)
        sessions = [Session(number, folder, texts_[number], is_told=is_told) for number in range(count)]
        helper = wait_for_helper(command, sessions[0], env, data)
        stop = time.monotonic() + seconds
        alone = 0

        def ask(session: Session) -> None:
            nonlocal alone
            time.sleep(random.random() * UPDATES_S)
            while time.monotonic() < stop:
                next_at = time.monotonic() + UPDATES_S
                session.grow()
                took, used, line = start(command, session.status(), env)
                times["status line"].append(took)
                processor["status line"].append(used)
                alone += "at stake" not in line
                time.sleep(max(next_at - time.monotonic(), 0))

        def start_floor() -> None:
            while time.monotonic() < stop:
                for case, floor in FLOORS.items():
                    took, used, _ = start(floor, b"", env)
                    times[case].append(took)
                    processor[case].append(used)
                time.sleep(UPDATES_S)

        threads = [threading.Thread(target=ask, args=[session]) for session in sessions]
        threads.append(threading.Thread(target=start_floor))
        cpu = sum(helper.cpu_times()[:2])
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cpu = sum(helper.cpu_times()[:2]) - cpu
        rss = helper.memory_info().rss / 1e6
        start(f"{shlex.quote(str(data / plugin.FOLDER / launcher.NAME))} {client.END}", b"", env)
        log = data / client_aside.LOG
        failures = len(log.read_text().splitlines()) if log.exists() else 0
    subset = f"{count} {'told' if is_told else 'untold'}"
    rows = []
    for case, took in times.items():
        rows += [interval(case, "p50_ms", took, subset=subset)]
        rows += [interval(case, "p99_ms", took, percentile(took, 0.99), subset=subset)]
        rows += [interval(case, "cpu_ms", processor[case], subset=subset)]
    rows += [interval("helper", metric, [value], subset=subset) for metric, value in (
        ("rss_mb", rss), ("cpu", cpu / seconds), ("without_helper", alone), ("log_lines", failures),
    )]  # fmt: skip
    return rows


def wait_for_helper(command: str, session: Session, env: dict[str, str], data: Path) -> psutil.Process:
    """Start the helper by a first line, and return it once it knows prices."""
    session.grow()
    until = time.monotonic() + WAIT_S
    while "at stake" not in (line := start(command, session.status(), env)[2]) or "$" not in line:
        assert time.monotonic() < until, line
        time.sleep(0.1)
    found = [
        process
        for process in psutil.process_iter(["cmdline"])
        if "anchorline.hooks.server" in (process.info["cmdline"] or ())
        and process.cwd() == str(data.resolve())
    ]
    return found[0]


def main() -> None:
    """Measure, and print the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--transcripts", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    contents = texts(options.transcripts, 10)
    before = os.getloadavg()[0]
    rows = []
    for count, is_told in ((1, True), (10, True), (1, False), (10, False)):
        rows += measure(count, contents, options.seconds, is_told=is_told)
    about = {**environment(), "load_before": before, "load_after": os.getloadavg()[0]}
    show("statusline", rows, about, as_json=options.json)


if __name__ == "__main__":
    main()
