"""`anchorline` without a command: imports what is new, and prints one screen of what it cost and what to do."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import msgspec

from anchorline import files
from anchorline.cli import offers, reading, screen, terminal
from anchorline.cli.offers import FixOffer
from anchorline.cli.screen import PlanLimits
from anchorline.client_settings.document import UnwritableError
from anchorline.client_settings.edits import edited_files
from anchorline.config import Config, Store
from anchorline.findings import kept
from anchorline.findings.model import Overview
from anchorline.limits import finding_share, wording
from anchorline.limits.finding_share import FindingShare
from anchorline.limits.model import WindowState
from anchorline.sessions import session_files
from anchorline.sessions.agents import AGENTS
from anchorline.store.database import StoreError, locate
from anchorline.store.limits_told import limits_told
from anchorline.store.unread import unread

LATELY_S = 14 * 86_400.0
"""What was told of a plan's limits before that is not looked at."""


class AgentFiles(msgspec.Struct, frozen=True):
    """Where an agent keeps its sessions, and how many files of them there are."""

    agent: str
    folders: list[str]
    files: int


class FirstScreen(msgspec.Struct, frozen=True):
    """All that the screen shows. `imported` requests are new; `fixes` are what `anchorline fix N` makes.

    `windows` are those of a plan, where its limits are known, and `finding_shares` what findings took of them.
    `sample`: nothing is recorded on this machine, and the overview is that of the sample history.
    """

    agents: list[AgentFiles]
    imported: int
    overview: Overview
    fixes: list[FixOffer]
    sample: bool = False
    windows: tuple[WindowState, ...] = ()
    finding_shares: tuple[FindingShare, ...] = ()


def show(*, as_json: bool, sample: bool) -> None:
    """Prints the screen. What can't be imported is said on standard error, and the rest is shown.

    `sample`: of the sample history, though there is a history of the user's own.
    """
    settings = reading.settings().config
    agents: list[AgentFiles] = []
    imported, overview = 0, None
    plan = PlanLimits()
    if not sample:
        sources = {agent: session_files.files(agent, session_files.homes(agent)) for agent in AGENTS}
        agents = [_files(agent, paths) for agent, paths in sources.items()]
        imported = _import(sources, settings, quiet=as_json)
        try:
            path = locate(settings.store.path)
            overview = _overview(path, settings, quiet=as_json)
            plan = _plan_limits(path, settings, overview)
        except StoreError as error:
            raise reading.Unusable(str(error)) from error
    if overview is None or not overview.requests:
        _show_sample(agents, as_json=as_json)
        return
    offered, done = _offers(overview)
    try:
        offers.keep(offered, files.data_folder())
    except OSError as error:
        reading.notice(f"{error.filename}: {error.strerror}; so `anchorline fix` won't know these fixes")
    if as_json:
        _print(
            FirstScreen(agents, imported, overview, offered, windows=plan.windows, finding_shares=plan.shares)
        )
    else:
        terminal.show(screen.lines(overview, offered, done, terminal.width(), plan, time.time()))


def _show_sample(agents: list[AgentFiles], *, as_json: bool) -> None:
    """Shows the sample history, after where sessions were looked for; its fixes are not on offer."""
    from anchorline.cli import update  # noqa: PLC0415  (as below)

    with TemporaryDirectory(prefix="anchorline-sample-") as folder:
        settings = Config(store=Store(path=str(Path(folder) / "sample.db")))
        shipped = files.shipped() / "sample"
        samples = {agent: session_files.files(agent, (shipped / agent,)) for agent in AGENTS}
        update.import_files(samples, settings, quiet=True)
        overview = update.work_out(locate(settings.store.path), settings, quiet=True)
    offered, _ = _offers(overview)
    if as_json:
        _print(FirstScreen(agents, 0, overview, offered, sample=True))
        return
    width = terminal.width()
    looked = [(agent.agent, agent.folders, agent.files) for agent in agents]
    terminal.show(screen.sample(overview, offered, looked, width))


def _print(shown: FirstScreen) -> None:
    click.echo(msgspec.json.encode(shown).decode())


def _files(agent: str, paths: list[Path]) -> AgentFiles:
    return AgentFiles(agent, [str(folder) for folder in session_files.homes(agent)], len(paths))


def _import(sources: dict[str, list[Path]], settings: Config, *, quiet: bool) -> int:
    """Imports what is new, and returns how many requests that were."""
    if not settings.store.enabled:
        reading.notice(
            "recording is off (store.enabled): nothing is imported, and what was recorded before is shown"
        )
        return 0
    path = locate(settings.store.path)
    try:
        new = {agent: paths for agent, found in sources.items() if (paths := unread(path, agent, found))}
    except StoreError:
        new = {agent: paths for agent, paths in sources.items() if paths}  # a damaged database is begun anew
    if not new:
        return 0
    from anchorline.cli import update  # noqa: PLC0415  (200 ms, which most runs do without: nothing is new)

    try:
        return update.import_files(new, settings, quiet=quiet)
    except StoreError as error:
        reading.notice(f"{error}. Nothing is imported")
        return 0


def _overview(path: Path, settings: Config, *, quiet: bool) -> Overview:
    """Returns the overview, worked out anew where anything has changed that it rests on."""
    state = kept.basis(path, settings.files)
    overview = kept.read(path, state)
    if overview is None:
        from anchorline.cli import update  # noqa: PLC0415  (as above)

        overview = update.work_out(path, settings, quiet=quiet)
        kept.write(path, state, overview)
    return overview


def _plan_limits(path: Path, settings: Config, overview: Overview) -> PlanLimits:
    """Returns a plan's windows, and what findings took of them; none where nothing has told of them lately."""
    now = time.time()
    if not limits_told(path, now - LATELY_S):
        return PlanLimits()
    state = kept.basis(path, settings.files)
    shares = finding_share.read(path, state)
    if shares is None:
        from anchorline.cli import update  # noqa: PLC0415  (as above)

        plan = update.plan_limits(path, settings, now, overview)
        finding_share.write(path, state, plan.shares)
        return plan
    from anchorline.limits.kept import windows  # noqa: PLC0415  (20 ms, which those without a plan do without)

    return PlanLimits(wording.current(windows(path, now), now), shares)


def _offers(overview: Overview) -> tuple[list[FixOffer], list[str]]:
    """Returns the fixes that can be made, numbered in the order of their findings, and codes of those in force."""
    offered: list[FixOffer] = []
    done: list[str] = []
    for finding in overview.findings:
        if finding.fix is None or not finding.fix.changes:
            continue
        offer = FixOffer(len(offered) + 1, finding.code, finding.fix)
        try:
            in_force = not edited_files(offer.edits())
        except (UnwritableError, OSError):
            in_force = False  # `anchorline fix` says what is wrong with the file
        if in_force:
            done.append(finding.code)
        else:
            offered.append(offer)
    return offered, done
