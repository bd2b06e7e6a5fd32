"""How fast sessions are imported, and in how much memory: samples repeated to a size, in a process of its own.

Each copy gets response ids of its own, so that all its requests are new.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import reporting

from anchorline.prompt.source import read_bytes

AGENTS = {"claude-code": b'"msg_', "codex": b'"id":"'}

MODIFIED = 1_780_000_000
"""The files are of long ago, as most are at a first import: nothing is kept to go on from."""


def lay_out(samples: list[Path], folder: Path, size: int, mark: bytes) -> int:
    """Write copies of the samples below `folder` until they have `size` bytes; return the bytes written."""
    folder.mkdir(parents=True)
    written = copy = 0
    while written < size:
        for sample in samples:
            content = read_bytes(sample).replace(mark, mark + b"%d_" % copy)
            file = folder / f"{copy}-{sample.name.partition('.')[0]}.jsonl"
            file.write_bytes(content)
            os.utime(file, (MODIFIED, MODIFIED))
            written += len(content)
            if written >= size:
                break
        copy += 1
    return written


def run(agent: str, folder: Path, home: Path) -> dict[str, float]:
    """Import in a process of its own; return what it says, and its peak memory in MB."""
    script = (
        "import resource, sys\n"
        "from anchorline.cli.main import cli\n"
        "cli(['import', sys.argv[1], sys.argv[2], '--json'], standalone_mode=False)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    env = {**os.environ, "ANCHORLINE_DATA_DIR": str(home), "ANCHORLINE_CONFIG": str(home / "none.toml")}
    done = subprocess.run(
        [sys.executable, "-c", script, agent, str(folder)], env=env, stdout=subprocess.PIPE, check=True
    )
    summary, peak = done.stdout.splitlines()
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return {**json.loads(summary), "rss_mb": int(peak) / unit}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transcripts", type=Path, required=True, help="has claude-code/ and codex/")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for agent, mark in AGENTS.items():
        samples = sorted((options.transcripts / agent).glob("*.jsonl*"))
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "sessions"
            size = lay_out(samples, folder, options.megabytes * 500_000, mark)
            home = Path(place) / "home"
            first, second = (run(agent, folder, home) for _ in range(2))
            stored = sum(file.stat().st_size for file in home.iterdir())
        for metric, value in (
            ("mb_per_s", size / 1e6 / first["seconds"]),
            ("rss_mb", first["rss_mb"]),
            ("stored_share", stored / size),
            ("again_s", second["seconds"]),
        ):
            rows.append(reporting.interval("ours", metric, [value], subset=agent) | {"n": first["requests"]})
    reporting.show("import_speed", rows, reporting.environment(), as_json=options.json)


if __name__ == "__main__":
    main()
