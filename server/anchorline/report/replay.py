"""A replay of caching policies, in a sentence and as a page of charts."""

from itertools import accumulate

from anchorline.replay.comparison import Comparison, PolicyCost
from anchorline.replay.policies import RECORDED
from anchorline.report.html import Html, element, join
from anchorline.report.page import bar, document, key, lines, table

PARTS = (
    ("0", "read", "read_usd"),
    ("1", "written", "write_usd"),
    ("quiet", "neither", "plain_usd"),
    ("3", "pings", "ping_usd"),
)
"""What is paid for: a colour, a name, and the field of a line."""
FAR = 0.1
"""Share of the bill that a simulation may be off, before it is said so."""
COURSES = {RECORDED: "quiet", "anchorline": "2", "anchorline-pings": "3", "clairvoyant": "1"}
"""The policies whose cost is drawn from day to day, with their colours."""


def saves(line: PolicyCost) -> tuple[str, str]:
    """Returns the share of the recorded policy's cost that is saved, and its interval."""
    saved = line.saved
    if line.policy == RECORDED:
        return "", ""
    return f"{saved.value:.1%}", f"{saved.low:.1%} to {saved.high:.1%}"


def summary(comparison: Comparison) -> str:
    """Returns what was replayed, and what the provider billed for it."""
    days = {day for line in comparison.policies for day in line.days}
    return (
        f"{comparison.requests:,} requests of {comparison.sessions:,} sessions on {len(days)} days. Billed for input, "
        f"by their recorded usage: ${comparison.billed_usd:,.2f}; without any caching: ${comparison.uncached_usd:,.2f}."
    )


def warning(comparison: Comparison) -> str:
    """Returns that the simulation is far from what was billed; nothing where it is near."""
    simulated, billed = comparison.recorded_usd, comparison.billed_usd
    if not billed or abs(simulated - billed) <= FAR * billed:
        return ""
    side = "above" if simulated > billed else "below"
    off = f"{abs(simulated / billed - 1):.0%}"
    return (
        f"Simulated as they were sent, your requests cost ${simulated:,.2f}: {off} {side} what was billed. So on this "
        "history the savings may not carry."
    )


def page(comparison: Comparison) -> str:
    """Returns the page."""
    most = max((line.usd for line in comparison.policies), default=0.0) or 1.0
    return document(
        "Your requests under other caching policies",
        element("p", summary(comparison)),
        element("p", element("strong", warned)) if (warned := warning(comparison)) else Html(),
        element("h2", "Input cost"),
        key((colour, name) for colour, name, _ in PARTS),
        table(
            ("policy", "cost", "paid for", "vs. no cache", "saves, 95 % interval"),
            [
                (
                    join((line.policy, element("br"), element("small", line.does))),
                    f"${line.usd:,.2f}",
                    _paid_for(line, most),
                    f"{line.relative:.1%}",
                    " · ".join(filter(None, saves(line))),
                )
                for line in comparison.policies
            ],
            figures=(1, 3, 4),
            chosen="anchorline",
        ),
        _courses(comparison),
        element(
            "p",
            element(
                "small",
                "All policies are simulated, the recorded one as well, so that they compare. The saving is over the "
                "recorded policy, its interval by bootstrap over sessions.",
            ),
        ),
    )


def _paid_for(line: PolicyCost, most: float) -> Html:
    label = ", ".join(f"{name} ${getattr(line, field):,.2f}" for _, name, field in PARTS)
    return bar([(colour, getattr(line, field)) for colour, _, field in PARTS], most, label)


def _courses(comparison: Comparison) -> Html:
    """Returns the costs as they add up from day to day."""
    drawn = [line for line in comparison.policies if line.policy in COURSES]
    days = sorted({day for line in drawn for day in line.days})
    if len(days) < 2:
        return Html()
    courses = {line.policy: list(accumulate(line.days.get(day, 0.0) for day in days)) for line in drawn}
    ends = {name: f"${course[-1]:,.2f}" for name, course in courses.items()}
    label = f"Cost adding up over {len(days)} days: " + "; ".join(
        f"{name} ends at {end}" for name, end in ends.items()
    )
    most = max(course[-1] for course in courses.values())
    return join(
        (
            element("h2", "From day to day"),
            key((COURSES[name], f"{name} {end}") for name, end in ends.items()),
            lines(
                ((COURSES[name], list(enumerate(course))) for name, course in courses.items()),
                label,
            ),
            element("p", element("small", f"{days[0]} to {days[-1]}, up to ${most:,.2f}")),
        )
    )
