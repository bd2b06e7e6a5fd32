"""The page of `anchorline replay --html`: one file without scripts or links, for light and dark, read out as tables."""

from html import escape
from itertools import accumulate

from anchorline.cli.replay import saves, summary
from anchorline.replay.comparison import Comparison, Line

_PARTS = (("read_usd", "read"), ("write_usd", "written"), ("plain_usd", "neither"), ("ping_usd", "pings"))
_WIDTH, _HEIGHT, _MARGIN = 720, 240, 8
_STROKES = ("recorded", "ours", "ours-pings", "clairvoyant")
"""The policies whose course is drawn."""

_STYLE = """
:root { color-scheme: light dark; --read: #2f7ed8; --written: #e08a1e; --neither: #8a8f98; --pings: #7a4fc9;
  --line: #8884; --recorded: #8a8f98; --ours: #1f9d55; --ours-pings: #7a4fc9; --clairvoyant: #e08a1e; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { display: flex; height: .9rem; min-width: 14rem; }
.key span { display: inline-block; margin-right: 1rem; }
.key i { display: inline-block; width: .8rem; height: .8rem; margin-right: .3rem; vertical-align: -1px; }
tr.ours th { font-weight: 700; }
small { opacity: .8; font-weight: 400; }
svg { width: 100%; height: auto; }
"""


def page(comparison: Comparison) -> str:
    """Return the HTML."""
    rows = "".join(_row(line, _most(comparison)) for line in comparison.policies)
    parts = "".join(f'<span><i style="background:var(--{name})"></i>{name}</span>' for _, name in _PARTS)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Anchorline: your requests under other caching policies</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>Your requests under other caching policies</h1>
<p>{escape(summary(comparison))}</p>
<h2>Input cost</h2>
<p class="key">{parts}</p>
<table>
<thead><tr><th scope="col">policy</th><th scope="col" class="number">cost</th><th scope="col">paid for</th>
<th scope="col" class="number">of no caching</th><th scope="col" class="number">saves, 95 % interval</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
{_course(comparison)}
<p><small>All policies are simulated, the recorded one as well, so that they compare. The saving is over the recorded
policy, its interval by bootstrap over sessions.</small></p>
</main>
</body>
</html>
"""


def _most(comparison: Comparison) -> float:
    return max((line.usd for line in comparison.policies), default=0.0) or 1.0


def _row(line: Line, most: float) -> str:
    parts = "".join(
        f'<span title="{name}: ${value:,.2f}" style="width:{100 * value / most:.2f}%;background:var(--{name})"></span>'
        for field, name in _PARTS
        if (value := getattr(line, field)) > 0
    )
    told = ", ".join(f"{name} ${getattr(line, field):,.2f}" for field, name in _PARTS)
    ours = ' class="ours"' if line.policy.startswith("ours") else ""
    return (
        f'<tr{ours}><th scope="row">{escape(line.policy)}<br><small>{escape(line.does)}</small></th>'
        f'<td class="number">${line.usd:,.2f}</td>'
        f'<td><div class="bar" role="img" aria-label="{told}">{parts}</div></td>'
        f'<td class="number">{line.relative:.1%}</td><td class="number">{escape(saves(line))}</td></tr>\n'
    )


def _course(comparison: Comparison) -> str:
    """Return the costs as they add up from day to day."""
    drawn = [line for line in comparison.policies if line.policy in _STROKES]
    days = sorted({day for line in drawn for day in line.days})
    if len(days) < 2:
        return ""
    courses = {line.policy: list(accumulate(line.days.get(day, 0.0) for day in days)) for line in drawn}
    most = max(course[-1] for course in courses.values()) or 1.0
    lines = "".join(
        f'<polyline fill="none" stroke="var(--{name})" stroke-width="2" points="{_points(course, most)}"/>'
        for name, course in courses.items()
    )
    keys = "".join(
        f'<span><i style="background:var(--{name})"></i>{name} ${course[-1]:,.2f}</span>'
        for name, course in courses.items()
    )
    told = "; ".join(f"{name} ends at ${course[-1]:,.2f}" for name, course in courses.items())
    return f"""<h2>From day to day</h2>
<p class="key">{keys}</p>
<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Cost adding up over {len(days)} days: {told}">
<line x1="0" y1="{_HEIGHT - _MARGIN}" x2="{_WIDTH}" y2="{_HEIGHT - _MARGIN}" stroke="var(--line)"/>
{lines}
</svg>
<p><small>{days[0]} to {days[-1]}, up to ${most:,.2f}</small></p>
"""


def _points(course: list[float], most: float) -> str:
    step = (_WIDTH - 2 * _MARGIN) / (len(course) - 1)
    height = _HEIGHT - 2 * _MARGIN
    return " ".join(
        f"{_MARGIN + step * index:.1f},{_HEIGHT - _MARGIN - height * value / most:.1f}"
        for index, value in enumerate(course)
    )
