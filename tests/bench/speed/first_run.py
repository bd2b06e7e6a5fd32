"""How long from nothing to the first screen? `anchorline` on recorded sessions in a home of its own.

    python tests/bench first_run --transcripts DIR [--repeat 36] [--json]

`first_screen_s`: from an empty database to the screen, all sessions imported. `nothing_new_s`: the same once more (median of
several). Each with its CPU time, which says more on a machine that has other things to do, and with its peak memory. `--repeat`
lays the sessions out so many times, a week apart (36 times are some 75 000 requests and a gigabyte), as the cases
`heavy`; `replay_s` is `anchorline replay` of all. `installed`: MB by package, of those that Anchorline needs, in
the environment that runs this (a clone's own code counts nothing). For each fix
that the screen offers, `claimed` is its worth there and `simulated` that of the same change by the cache itself, request by
request (replay/account.py), instead of the fast replay.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from packaging.utils import canonicalize_name

from anchorline.findings.model import Overview
from anchorline.findings.overview import overview
from anchorline.route.target import load as load_targets
from bench.data.repeated_sessions import lay_out, samples
from bench.reporting import environment, interval, show
from support.packages import required, sizes

AGAIN = 7
FOLDERS = {"claude-code": ".claude/projects/samples", "codex": ".codex/sessions/samples"}
LEAST = 1_000_000
"""Bytes of a package that is named."""


TOLD = """
import atexit, re, resource, sys
from pathlib import Path

def tell():
    used = resource.getrusage(resource.RUSAGE_SELF)
    status = Path("/proc/self/status")  # ru_maxrss is at least that of the process that started this one
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) * 1024 if status.exists() else used.ru_maxrss
    print(used.ru_utime + used.ru_stime, peak / 1e6, file=sys.stderr)

atexit.register(tell)
sys.argv[0] = "anchorline"
from anchorline.cli.main import main
main()
"""


class Run(NamedTuple):
    """What a command took: seconds, seconds of CPU time, and MB at its peak."""

    wall: float
    cpu: float
    rss: float


def run(home: Path, *words: str) -> Run:
    """Run a command in a home; its output goes nowhere."""
    env = {
        name: value for name, value in os.environ.items() if name not in ("CLAUDE_CONFIG_DIR", "CODEX_HOME")
    }
    env |= {
        "HOME": str(home),
        "ANCHORLINE_CONFIG": str(home / "none.toml"),
        "ANCHORLINE_DATA_DIR": str(home / "data"),
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.perf_counter()
    process = subprocess.run(
        [sys.executable, "-c", TOLD, *words],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=True,
    )
    wall = time.perf_counter() - started
    cpu, peak = process.stderr.split()[-2:]
    return Run(wall, float(cpu), float(peak))


def rows_of(case: str, metric: str, runs: list[Run]) -> list[dict[str, Any]]:
    """Return the rows of runs of one command."""
    return [
        interval(case, f"{metric}_s", [one.wall for one in runs]),
        interval(case, f"{metric}_cpu_s", [one.cpu for one in runs]),
        interval(case, f"{metric}_rss_mb", [one.rss for one in runs]),
    ]


def measured(case: str, transcripts: Path, copies: int, home: Path) -> tuple[list[dict[str, Any]], Overview]:
    """Return the rows of one history, and its overview."""
    laid_out = sum(
        lay_out(files, home / FOLDERS[agent], range(copies)) for agent, files in samples(transcripts).items()
    )
    rows = rows_of(case, "first_screen", [run(home)])
    rows += rows_of(case, "nothing_new", [run(home) for _ in range(AGAIN)])
    rows += rows_of(case, "replay", [run(home, "replay", "--json")])
    shown = overview(home / "data" / "anchorline.db", load_targets())
    rows.append(interval(case, "mb", [laid_out / 1e6]))
    rows.append(interval(case, "requests", [shown.requests]))
    parts = sum(finding.usd for finding in shown.findings) + shown.rest
    rows.append(interval(case, "usd_of_no_finding_nor_rest", [shown.usd - parts]))
    return rows, shown


def worths(subset: str, shown: Overview) -> list[dict[str, Any]]:
    """Return the worth of each fix of an overview, in USD."""
    rows = []
    for finding in shown.findings:
        if finding.fix is not None:
            worth = finding.fix.worth
            row = interval(finding.code, "worth_usd", [worth.value], subset=subset)
            rows.append(
                row | {"low": round(worth.low, 4), "high": round(worth.high, 4), "n": finding.requests}
            )
    return rows


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--transcripts", type=Path, required=True, help="has claude-code/ and codex/")
    parser.add_argument(
        "--repeat", type=int, default=0, help="also the sessions so many times, as a heavy user's"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "samples"
        home.mkdir()
        run(
            home, "--sample"
        )  # bytecode and the disk's cache are there, as with any program that is installed
        rows, claimed = measured("samples", options.transcripts, 1, home)
        with patch("anchorline.replay.simulation._usual", return_value=False):  # the cache itself
            simulated = overview(home / "data" / "anchorline.db", load_targets())
        rows += worths("claimed", claimed) + worths("simulated", simulated)
        if options.repeat:
            home = Path(folder) / "heavy"
            home.mkdir()
            rows += measured("heavy", options.transcripts, options.repeat, home)[0]
    needed = required("anchorline")
    by_package = {name: size for name, size in sizes().items() if canonicalize_name(name) in needed}
    rows.append(interval("installed", "mb", [sum(by_package.values()) / 1e6]))
    for name, size in by_package.items():
        if size >= LEAST:
            rows.append(interval("installed", "mb", [size / 1e6], subset=name))
    show("first_run", rows, environment(), as_json=options.json)


if __name__ == "__main__":
    main()
