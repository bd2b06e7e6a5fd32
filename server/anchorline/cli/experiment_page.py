"""The page of `anchorline experiment report --html`: one file without scripts or links, for light and dark."""

from collections.abc import Sequence
from html import escape

from anchorline.cli.experiment import heading, in_shadow, share, told
from anchorline.trial.report import Estimated, Point, Report, Side

_WIDTH, _HEIGHT, _MARGIN = 720, 240, 8
_BAR = 200

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --champion: #8a8f98; --challenger: #2f7ed8; --band: #2f7ed833; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.verdict { border-left: .3rem solid var(--challenger); padding-left: .8rem; }
small { opacity: .8; font-weight: 400; }
svg { width: 100%; height: auto; }
svg.bar { width: 9rem; }
"""


def page(found: Report) -> str:
    """Return the HTML."""
    contest = found.contest
    title = f"{contest.challenger} against {contest.champion}"
    shadow = f"<p>{escape(in_shadow(found))}</p>" if found.evidence.shadowed.plans else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Anchorline: {escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p>{escape(heading(found))}</p>
<p class="verdict">{escape(found.evidence.verdict.reason)}.</p>
{shadow}
{_sides(found)}
{_course(found.course)}
{_off_policy(found.off_policy)}
{_metrics(found)}
<p><small>The unit is the session. Cost is what a session was billed, as a share of what it would have cost at the
models that it named without a cache. The intervals of the differences are one-sided at 95 % and hold however often
one looks.</small></p>
</main>
</body>
</html>
"""


def _dollars(usd: float | None) -> str:
    return "not known" if usd is None else f"${usd:,.2f}"


def _sides(found: Report) -> str:
    if not any(side.requests for side in found.sides):
        return ""
    most = max([side.cost or 0.0 for side in found.sides] + [1.0])
    rows = "".join(_side(side, most) for side in found.sides)
    return f"""<h2>Both sides</h2>
<table>
<thead><tr><th scope="col">policy</th><th scope="col" class="number">sessions</th>
<th scope="col" class="number">requests</th><th scope="col" class="number">billed</th>
<th scope="col">of the uncached cost</th><th scope="col">accepted</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
<p>Cost: {escape(told(found.evidence.cost))}.<br>Acceptance: {escape(told(found.evidence.acceptance))}.</p>
"""


def _side(side: Side, most: float) -> str:
    return (
        f'<tr><th scope="row">{escape(side.policy)}<br><small>{side.arm}</small></th>'
        f'<td class="number">{side.sessions:,}</td><td class="number">{side.requests:,}</td>'
        f'<td class="number">{_dollars(side.usd)}</td><td>{_bar(side.arm, side.cost, most)}</td>'
        f"<td>{_bar(side.arm, side.accepted, 1.0)}</td></tr>\n"
    )


def _bar(arm: str, value: float | None, most: float) -> str:
    if value is None:
        return "not known"
    width = max(_BAR * value / most, 1)
    return (
        f'<svg class="bar" viewBox="0 0 {_BAR} 12" role="img" aria-label="{share(value)}">'
        f'<rect width="{width:.1f}" height="12" fill="var(--{arm})"/></svg> {share(value)}'
    )


def _course(points: Sequence[Point]) -> str:
    """Return the difference in cost as it grew, with its bounds."""
    if len(points) < 2:
        return ""
    ends = [end for point in points for end in (point.value, point.low, point.high) if end is not None]
    low, high = min(*ends, 0.0), max(*ends, 0.0)
    span = high - low or 1.0
    last = points[-1]

    def x(point: Point) -> float:
        return _MARGIN + (_WIDTH - 2 * _MARGIN) * point.sessions / last.sessions

    def y(value: float) -> float:
        return _MARGIN + (_HEIGHT - 2 * _MARGIN) * (high - value) / span

    line = " ".join(f"{x(point):.1f},{y(point.value):.1f}" for point in points)
    bounded = [point for point in points if point.low is not None and point.high is not None]
    upper = [f"{x(point):.1f},{y(point.high or 0.0):.1f}" for point in bounded]
    lower = [f"{x(point):.1f},{y(point.low or 0.0):.1f}" for point in reversed(bounded)]
    band = f'<polygon fill="var(--band)" points="{" ".join([*upper, *lower])}"/>' if bounded else ""
    label = f"The difference in cost over {last.sessions} sessions ends at {last.value:+.1%}"
    return f"""<h2>The difference in cost, as it grew</h2>
<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">
{band}
<line x1="0" y1="{y(0.0):.1f}" x2="{_WIDTH}" y2="{y(0.0):.1f}" stroke="var(--line)"/>
<polyline fill="none" stroke="var(--challenger)" stroke-width="2" points="{line}"/>
</svg>
<p><small>{last.sessions} sessions, from {high:+.1%} to {low:+.1%}; below the line the challenger costs less. The
band is the interval.</small></p>
"""


def _off_policy(estimates: Sequence[Estimated]) -> str:
    if not estimates:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(one.policy)}</th><td>{one.measure}</td><td>{one.estimator}</td>'
        f'<td class="number">{one.value:.1%}</td><td class="number">{one.low:.1%} to {one.high:.1%}</td>'
        f'<td class="number">{one.effective:.0f}{"" if one.believable else " (too few)"}</td></tr>\n'
        for one in estimates
    )
    return f"""<h2>Had one policy decided everywhere</h2>
<table>
<thead><tr><th scope="col">policy</th><th scope="col">measure</th><th scope="col">estimator</th>
<th scope="col" class="number">value</th><th scope="col" class="number">95 % interval</th>
<th scope="col" class="number">effective n</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
"""


def _metrics(found: Report) -> str:
    """Return what the network's training has measured."""
    version = found.version
    if version is None or not version.metrics:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(head)}</th><td>{escape(name)}</td><td class="number">{value:.4g}</td></tr>\n'
        for head, values in version.metrics.items()
        for name, value in values.items()
    )
    return f"""<h2>What its training has measured</h2>
<table>
<thead><tr><th scope="col">head</th><th scope="col">metric</th><th scope="col" class="number">value</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
<p><small>Trained on {version.data.decisions:,} decisions of {version.data.sessions:,} sessions of this machine, seed
{version.seed}.</small></p>
"""
