"""An experiment, in sentences and as a page of charts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from anchorline.report.html import Html, element, join
from anchorline.report.page import bar, document, lines, table

if TYPE_CHECKING:
    from anchorline.trial.evidence import Difference
    from anchorline.trial.summary import CoursePoint, PolicyEstimate, Side, TrialReport

COLOURS = {"champion": "quiet", "challenger": "0"}
STAGES = {"shadow": "in shadow", "ab": "A/B, {:.0%}", "promoted": "promoted, {:.0%}"}


def heading(report: "TrialReport") -> str:
    """Returns what is tried against what, in one line."""
    contest = report.contest
    stage = STAGES[contest.stage].format(contest.share)
    return f"{contest.id}: {_title(report)}, {stage}; {report.ended or 'running'}"


def in_shadow(report: "TrialReport") -> str:
    """Returns what the challenger decided in shadow, in one line."""
    shadowed = report.evidence.shadowed
    return (
        f"In shadow: {shadowed.plans:,} plans in {shadowed.sessions:,} sessions, {shadowed.failures} failed; the same "
        f"model in {shadowed.same_model / shadowed.plans:.0%}, the same anchors in "
        f"{shadowed.same_anchors / shadowed.plans:.0%}; {shadowed.milliseconds:.2f} ms each"
    )


def difference(measured: "Difference") -> str:
    """Returns a difference with its bounds, in words."""
    if not any(measured.sessions):
        return "nothing is known"
    interval = f"{measured.low:+.1%} to {measured.high:+.1%}"
    bounds = f" ({interval if measured.enough else 'too few sessions for an interval'})"
    return f"{measured.challenger:.1%} against {measured.champion:.1%}: {measured.value:+.1%}{bounds}"


def share(value: float | None) -> str:
    """Returns a share in percent."""
    return "-" if value is None else f"{value:.1%}"


def dollars(usd: float | None) -> str:
    """Returns an amount."""
    return "not known" if usd is None else f"${usd:,.2f}"


def page(report: "TrialReport") -> str:
    """Returns the page."""
    return document(
        _title(report),
        element("p", heading(report)),
        element("p", f"{report.evidence.verdict.reason}.", class_="verdict"),
        element("p", in_shadow(report)) if report.evidence.shadowed.plans else Html(),
        _sides(report),
        _course(report.course),
        _off_policy(report.off_policy),
        _metrics(report),
        _note(
            "The unit is the session. Cost is what a session was billed, as a share of what it would have cost at the "
            "models that it named without a cache. The intervals of the differences are one-sided at 95 % and hold "
            "however often one looks."
        ),
    )


def _title(report: "TrialReport") -> str:
    return f"{report.contest.challenger} against {report.contest.champion}"


def _note(text: str) -> Html:
    return element("p", element("small", text))


def _sides(report: "TrialReport") -> Html:
    if not any(side.requests for side in report.sides):
        return Html()
    most = max([side.cost or 0.0 for side in report.sides] + [1.0])
    evidence = report.evidence
    return join(
        (
            element("h2", "Both sides"),
            table(
                ("policy", "sessions", "requests", "billed", "of the uncached cost", "accepted"),
                [_side(side, most) for side in report.sides],
                figures=(1, 2, 3),
            ),
            element("p", f"Cost: {difference(evidence.cost)}."),
            element("p", f"Acceptance: {difference(evidence.acceptance)}."),
        )
    )


def _side(side: "Side", most: float) -> tuple[object, ...]:
    return (
        join((side.policy, element("br"), element("small", side.arm))),
        f"{side.sessions:,}",
        f"{side.requests:,}",
        dollars(side.usd),
        _bar(side.arm, side.cost, most),
        _bar(side.arm, side.accepted, 1.0),
    )


def _bar(arm: str, value: float | None, most: float) -> Html | str:
    if value is None:
        return "not known"
    return join((bar([(COLOURS[arm], value)], most, share(value)), f" {share(value)}"))


def _course(points: "Sequence[CoursePoint]") -> Html:
    """Returns the difference in cost as it grew, with its bounds."""
    if len(points) < 2:
        return Html()
    last = points[-1]
    band = [
        (point.sessions, point.low, point.high)
        for point in points
        if point.low is not None and point.high is not None
    ]
    label = f"The difference in cost over {last.sessions} sessions ends at {last.value:+.1%}"
    return join(
        (
            element("h2", "The difference in cost, as it grew"),
            lines([("0", [(point.sessions, point.value) for point in points])], label, band=band),
            _note(f"{label}. Below the line the challenger costs less. The band is the interval."),
        )
    )


def _off_policy(estimates: "Sequence[PolicyEstimate]") -> Html:
    if not estimates:
        return Html()
    return join(
        (
            element("h2", "Had one policy decided everywhere"),
            table(
                ("policy", "measure", "estimator", "value", "95 % interval", "effective n"),
                [
                    (
                        estimate.policy,
                        estimate.measure,
                        estimate.estimator,
                        f"{estimate.value:.1%}",
                        f"{estimate.low:.1%} to {estimate.high:.1%}",
                        f"{estimate.effective:.0f}{'' if estimate.believable else ' (too few)'}",
                    )
                    for estimate in estimates
                ],
                figures=(3, 4, 5),
            ),
        )
    )


def _metrics(report: "TrialReport") -> Html:
    """Returns what the network's training has measured."""
    version = report.version
    if version is None or not version.metrics:
        return Html()
    rows = [
        (head, name, f"{value:.4g}")
        for head, values in version.metrics.items()
        for name, value in values.items()
    ]
    return join(
        (
            element("h2", "What its training has measured"),
            table(("head", "metric", "value"), rows, figures=(2,)),
            _note(
                f"Trained on {version.data.decisions:,} decisions of {version.data.sessions:,} sessions of this "
                f"machine, seed {version.seed}."
            ),
        )
    )
