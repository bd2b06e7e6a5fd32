"""Imports session files, and works out the overview and a plan's limits: what loads much."""

from collections.abc import Mapping
from pathlib import Path

from anchorline.cli import progress, reading
from anchorline.cli.screen import PlanLimits
from anchorline.config import Config
from anchorline.findings.model import Overview
from anchorline.findings.overview import overview as worked_out
from anchorline.limits import wording
from anchorline.limits.state import limits
from anchorline.report.finding_shares import finding_shares
from anchorline.route.target import load as load_targets
from anchorline.store.session_import import import_sessions

NAMED = 3
"""Problems of an import that are named; of the others only the number is said."""


def import_files(new: Mapping[str, list[Path]], settings: Config, *, quiet: bool) -> int:
    """Imports session files, and returns how many of their requests are new. Raises StoreError.

    What can't be read is said on standard error.
    """
    targets = load_targets(settings.files)
    requests = 0
    problems = []
    with progress.bar("Importing sessions", sum(map(len, new.values())), quiet=quiet) as step:
        for agent, paths in new.items():
            summary = import_sessions(agent, paths, settings, targets, step)
            requests += summary.requests
            problems += summary.problems
            if summary.notice is not None:
                reading.notice(summary.notice)
    for problem in problems[:NAMED]:
        position = f"{problem.file}:{problem.line}" if problem.line else problem.file
        reading.notice(f"{position}: {problem.message}")
    if len(problems) > NAMED:
        reading.notice(f"{len(problems) - NAMED} more lines can't be read; the rest is imported")
    return requests


def plan_limits(path: Path, settings: Config, now: float, overview: Overview) -> PlanLimits:
    """Returns a plan's windows as they are at the epoch second `now`, and findings' shares. Raises StoreError."""
    known = limits(path, load_targets(settings.files), now)
    windows = wording.current(known.windows, now)
    return PlanLimits(windows, finding_shares(overview, known) if windows else ())


def work_out(path: Path, settings: Config, *, quiet: bool) -> Overview:
    """Returns the overview of the database at `path`. Raises StoreError."""
    with progress.bar("Looking for savings", None, quiet=quiet):
        return worked_out(path, load_targets(settings.files))
