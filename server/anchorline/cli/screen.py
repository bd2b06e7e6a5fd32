"""The first screen as text: what was spent, on what, and what to do about it."""

import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from anchorline import files
from anchorline.cli.offers import FixOffer
from anchorline.cli.terminal import Styled, StyledLine
from anchorline.figures import cents, count, share
from anchorline.findings.model import CostFinding, Fix, Overview
from anchorline.limits import wording
from anchorline.limits.finding_share import FindingShare
from anchorline.limits.model import WindowState
from anchorline.sessions import agents

MOST = 6
"""Findings that are shown, so that the screen stays one; the others are summed up."""
WIDEST = 100
LONGEST = 24
"""Characters of a project's path that are shown whole."""
_STYLES = {"": "", "near": "yellow", "full": "red"}


class PlanLimits(NamedTuple):
    """A plan's windows, and what findings took of them."""

    windows: tuple[WindowState, ...] = ()
    shares: tuple[FindingShare, ...] = ()


NO_PLAN = PlanLimits()


def lines(
    overview: Overview,
    offers: Sequence[FixOffer],
    done: Sequence[str],
    width: int,
    plan: PlanLimits = NO_PLAN,
    now: float = 0.0,
) -> list[StyledLine]:
    """Returns the screen of an overview that has requests, at the epoch second `now`.

    `offers` are the fixes that `anchorline fix` makes; `done` are the codes of findings whose fix is in force already.
    `plan` are the windows of a plan.
    """
    width = min(width, WIDEST)
    screen = [*_head(overview, width), []]
    if plan.windows:
        screen += [*_windows(plan.windows, now, width), []]
    if overview.unpriced < overview.requests:
        screen += [*_findings(overview, offers, done, width, plan.shares), []]
    return [*screen, *_plain(_next(offers), width)]


def sample(
    overview: Overview, offers: Sequence[FixOffer], looked: Sequence[tuple[str, list[str], int]], width: int
) -> list[StyledLine]:
    """Returns the screen of the sample history. `looked` has each agent's folders, and how many files are in them."""
    width = min(width, WIDEST)
    screen: list[StyledLine] = []
    if looked:
        screen += _plain("No requests yet. Anchorline has looked for sessions in", width)
        for agent, folders, number in looked:
            state = (
                f"{count(number)} file{'s' * (number != 1)}, no request imported" if number else "no sessions"
            )
            where = f"{', '.join(files.with_tilde(Path(folder)) for folder in folders)} ({state})"
            screen += _wrapped([(f"{agents.title(agent):11}  ", "bold"), (where, "")], 2, width, hanging=13)
        screen.append([])
    label = "Sample: an invented history, to show what this looks like. None of it is yours."
    screen += [*_plain(label, width, "bold yellow"), []]
    screen += [*_head(overview, width), [], *_findings(overview, offers, (), width), []]
    hint = (
        "Next: use your agent, then run `anchorline` again. Of one that writes nothing down, `anchorline gateway` "
        "records requests as they pass."
    )
    return [*screen, *_plain(hint, width)]


def _findings(
    overview: Overview,
    offers: Sequence[FixOffer],
    done: Sequence[str],
    width: int,
    shares: Sequence[FindingShare] = (),
) -> list[StyledLine]:
    taken = {of.code: f"; {of}" for of in shares}
    numbers: dict[str, int] = {offer.code: offer.number for offer in offers}
    shown, smaller = overview.findings[:MOST], overview.findings[MOST:]
    smaller_usd = sum(finding.usd for finding in smaller)
    rest = round(overview.usd, 2) - sum(round(usd, 2) for usd in (*(f.usd for f in shown), smaller_usd))
    indent = max(len(cents(overview.usd)), len("<$0.01")) + 9
    screen: list[StyledLine] = []
    for finding in shown:
        screen += _row(cents(finding.usd), finding.usd, overview, (finding.title, "bold"), indent, width)
        screen += _wrapped([(_details(finding) + taken.get(finding.code, ""), "dim")], indent, width)
        if finding.fix is not None:
            screen += _wrapped(_action(finding, finding.fix, numbers, done), indent, width, hanging=2)
    if smaller:
        title = f"{len(smaller)} smaller finding{'s' * (len(smaller) != 1)} (anchorline report)"
        screen += _row(cents(smaller_usd), smaller_usd, overview, (title, ""), indent, width)
    screen += _row(cents(max(rest, 0.0)), rest, overview, ("No finding", ""), indent, width)
    for finding in overview.observations:
        noted = f"{finding.title}: {count(finding.count)}, for {cents(finding.usd)} of the above."
        screen += [[], *_plain(noted, width, "dim")]
    return screen


def _head(overview: Overview, width: int) -> list[StyledLine]:
    counted = [(overview.requests, "request"), (overview.sessions, "session"), (overview.days, "day")]
    counts = ", ".join(f"{count(number)} {unit}{'s' * (number != 1)}" for number, unit in counted)
    parts = [_span(overview)]
    if overview.unpriced == overview.requests:
        spent: list[Styled] = [("Cost not known", "bold"), (f": {counts}", "")]
        parts += [f"{agents.title(use.agent)} {count(use.requests)}" for use in overview.agents]
        parts.append("`files.models` takes prices of your own")
    else:
        spent = [(cents(overview.usd), "bold"), (f" at API prices: {counts}", "")]
        parts += [f"{agents.title(use.agent)} {cents(use.usd)}" for use in overview.agents]
        if overview.unpriced:
            parts.append(f"{count(overview.unpriced)} of unknown price")
    return [*_wrapped(spent, 0, width), *_plain(" · ".join(parts), width, "dim")]


def _windows(windows: Sequence[WindowState], now: float, width: int) -> list[StyledLine]:
    names = wording.names(windows)
    indent = max(map(len, names)) + 2
    screen: list[StyledLine] = []
    for window, name in zip(windows, names, strict=True):
        style = _STYLES[wording.nearness(window)]
        screen += _wrapped(
            [(f"{name:{indent}}", "bold"), (wording.state(window, now), style)], 0, width, hanging=indent
        )
    return screen


def _row(
    amount: str, usd: float, overview: Overview, title: Styled, indent: int, width: int
) -> list[StyledLine]:
    part = share(usd / overview.usd) if overview.usd else ""
    first, *more = _wrapped([title], indent, width)
    return [[(f"{amount:>{indent - 9}}  {part:>5}  ", ""), *first[1:]], *more]


def _span(overview: Overview) -> str:
    days = [
        datetime.fromtimestamp(at or 0.0, UTC).date().isoformat()
        for at in (overview.first_at, overview.last_at)
    ]
    return days[0] if days[0] == days[1] else " to ".join(days)


def _details(finding: CostFinding) -> str:
    details = f"{count(finding.count)} {finding.unit}"
    worst = finding.worst
    if worst is None:
        return details
    where = f" in {_end(worst.project)}" if worst.project else ""
    return f"{details}; worst {cents(worst.usd)} on {worst.day}{where}"


def _end(project: str) -> str:
    """Returns the end of a long path: it says more than the beginning."""
    parts = project.replace("\\", "/").split("/")
    return project if len(project) <= LONGEST else "…/" + "/".join(parts[-2:])


def _action(finding: CostFinding, fix: Fix, numbers: dict[str, int], done: Sequence[str]) -> list[Styled]:
    if finding.code in done:
        return [("✓ ", "green"), (f"{fix.title}: now set", "")]
    saved = f"{cents(fix.worth.value)} ({cents(fix.worth.low)} to {cents(fix.worth.high)})"
    number = numbers.get(finding.code)
    lead = f"→ fix {number}: " if number is not None else "→ "
    return [(lead, "bold green"), (f"{fix.title}: would have saved ", ""), (saved, "green")]


def _next(offers: Sequence[FixOffer]) -> str:
    if not offers:
        return "Next: `anchorline report` shows cost by day, model and cause."
    return (
        f"Next: `anchorline fix {offers[0].number}` sets it (`--dry-run` only shows what would change), "
        "`anchorline undo` takes it back."
    )


def _plain(text: str, width: int, style: str = "") -> list[StyledLine]:
    return _wrapped([(text, style)], 0, width)


def _wrapped(spans: Sequence[Styled], indent: int, width: int, *, hanging: int = 0) -> list[StyledLine]:
    """Returns spans wrapped at words, each line behind so many blanks, and `hanging` more from the second on."""
    text = "".join(part for part, _ in spans)
    styles = [style for part, style in spans for _ in part]
    wrapped: list[StyledLine] = []
    begin = 0
    hung = " " * hanging
    for line in textwrap.wrap(text, max(width - indent, 20), subsequent_indent=hung, break_on_hyphens=False):
        lead = hung if wrapped else ""
        part = line.removeprefix(lead)
        begin = text.index(part, begin)
        styled = groupby(zip(part, styles[begin:], strict=False), key=itemgetter(1))
        spans_of_line = [("".join(letter for letter, _ in letters), style) for style, letters in styled]
        wrapped.append([(" " * indent + lead, ""), *spans_of_line])
        begin += len(part)
    return wrapped
