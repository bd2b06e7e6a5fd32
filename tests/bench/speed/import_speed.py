"""How fast sessions are imported, and in how much memory: samples repeated to a size, in a process of its own.

Each copy gets response ids of its own, so that all its requests are new. The floor is what reading the lines and decoding
them into Python's own objects takes, in the same conditions: a shared machine makes both slower.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from anchorline.prompt.source import lines, read_bytes
from bench import reporting

AGENTS = {"claude-code": b'"msg_', "codex": b'"id":"'}

MODIFIED = 1_780_000_000
"""The files are of long ago, as most are at a first import: nothing is kept to go on from."""


def lay_out(samples: list[Path], folder: Path, size: int, mark: bytes, modified: float = MODIFIED) -> int:
    """Write copies of the samples below `folder` until they have `size` bytes; return the bytes written."""
    folder.mkdir(parents=True)
    written = copy = 0
    while written < size:
        for sample in samples:
            content = read_bytes(sample).replace(mark, mark + b"%d_" % copy)
            file = folder / f"{copy}-{sample.name.partition('.')[0]}.jsonl"
            file.write_bytes(content)
            os.utime(file, (modified, modified))
            written += len(content)
            if written >= size:
                break
        copy += 1
    return written


def run(agent: str, folder: Path, home: Path) -> dict[str, float]:
    """Import in a process of its own; return what it says, its CPU time in seconds and its peak memory in MB."""
    script = (
        "import resource, sys\n"
        "from anchorline.cli.main import cli\n"
        "cli(['import', sys.argv[1], sys.argv[2], '--json'], standalone_mode=False)\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(used.ru_maxrss, used.ru_utime + used.ru_stime)\n"
    )
    env = {**os.environ, "ANCHORLINE_DATA_DIR": str(home), "ANCHORLINE_CONFIG": str(home / "none.toml")}
    done = subprocess.run(
        [sys.executable, "-c", script, agent, str(folder)], env=env, stdout=subprocess.PIPE, check=True
    )
    summary, used = done.stdout.splitlines()
    peak, cpu = used.split()
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return {**json.loads(summary), "rss_mb": int(peak) / unit, "cpu_s": float(cpu)}


def floor(folder: Path) -> float:
    """Return the seconds that reading all lines and decoding them takes."""
    started = time.perf_counter()
    for file in sorted(folder.iterdir()):
        for line in lines(file):
            msgspec.json.decode(line.text)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transcripts", type=Path, required=True, help="has claude-code/ and codex/")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--young", action="store_true", help="files of now: what is needed to go on is kept")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for agent, mark in AGENTS.items():
        samples = sorted((options.transcripts / agent).glob("*.jsonl*"))
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "sessions"
            modified = time.time() if options.young else MODIFIED
            size = lay_out(samples, folder, options.megabytes * 500_000, mark, modified)
            lowest = floor(folder)
            home = Path(place) / "home"
            first, second = (run(agent, folder, home) for _ in range(2))
            stored = sum(file.stat().st_size for file in home.iterdir())
        for metric, value in (
            ("mb_per_s", size / 1e6 / first["seconds"]),
            ("mb_per_cpu_s", size / 1e6 / first["cpu_s"]),
            ("floor_mb_per_s", size / 1e6 / lowest),
            ("rss_mb", first["rss_mb"]),
            ("stored_share", stored / size),
            ("again_s", second["seconds"]),
        ):
            rows.append(reporting.interval("ours", metric, [value], subset=agent) | {"n": first["requests"]})
    reporting.show("import_speed", rows, reporting.environment(), as_json=options.json)


if __name__ == "__main__":
    main()
