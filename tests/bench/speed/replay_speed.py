"""How long does `anchorline replay` take, and how much memory, as a history grows?

    python tests/bench replay_speed --transcripts DIR [--copies 1 4 16 50] [--json]

The sample sessions of Claude Code are laid out so many times, a week apart (50 times are some 75 000 requests), and imported.
`anew_s`: all policies on all requests. `nothing_new_s`: the same once more, from what was kept. `one_new_s`: after the import
of one more session. Each with its CPU time, which says more on a machine that has other things to do, and with its peak memory.
`cpu_us_per_request` is what a further request takes of `anew`, over the case before: where it stays, cost grows linearly.
"""

import argparse
import tempfile
from pathlib import Path

from anchorline.replay import history
from anchorline.route.target import load as load_targets
from bench.data.repeated_sessions import lay_out, samples
from bench.reporting import environment, interval, show
from bench.speed.first_run import FOLDERS, Run, rows_of, run

AGAIN = 3
AGENT = "claude-code"


def anew(home: Path, database: Path) -> Run:
    """Replay without what was kept."""
    (database.parent / "replay.msgpack").unlink(missing_ok=True)
    return run(home, "replay", "--json")


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--transcripts", type=Path, required=True, help="has claude-code/")
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 4, 16, 50])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    files = samples(options.transcripts)[AGENT]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        database, sessions = home / "data" / "anchorline.db", home / FOLDERS[AGENT]
        laid_out = requests = 0
        cpu = 0.0
        for copies in sorted(options.copies):
            lay_out(files, sessions, range(laid_out, copies))
            run(home, "import", AGENT)
            case = f"{copies}x"
            known = len(history.load(database, load_targets()))
            runs = [anew(home, database) for _ in range(AGAIN)]
            rows.append(interval(case, "requests", [known]))
            rows += rows_of(case, "anew", runs)
            if requests:
                each = [1e6 * (one.cpu - cpu) / (known - requests) for one in runs]
                rows.append(interval(case, "cpu_us_per_request", each))
            cpu, requests = min(one.cpu for one in runs), known
            rows += rows_of(case, "nothing_new", [run(home, "replay", "--json") for _ in range(AGAIN)])
            extra = sessions / "extra"
            lay_out(files[:1], extra, [1000 + copies])
            run(home, "import", AGENT)
            rows += rows_of(case, "one_new", [run(home, "replay", "--json")])
            laid_out = copies
    show("replay_speed", rows, environment(), as_json=options.json)


if __name__ == "__main__":
    main()
