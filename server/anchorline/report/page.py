"""A page of tables and charts: one file that asks for nothing from outside and runs nothing but its own script.

The style, and the dashboard's script, are built from `client-vscode/dashboard` (`npm run build` there), and lie here
built, so that an installation needs no Node. `anchorline report --html` writes the dashboard, and VS Code shows the
same one; replays and experiments are pages without a script.
"""

import base64
import hashlib
from collections.abc import Collection, Iterable, Sequence
from importlib.resources import files

import msgspec

from anchorline.report.html import Html, element, join
from anchorline.report.model import Report

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; {sources}base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
{title}
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""
CHARTS = """
svg { width: 100%; height: auto; }
svg.bar { width: 12rem; height: 0.9rem; }
svg.swatch { width: 0.8rem; height: 0.8rem; }
.key span { display: inline-block; margin-right: 1rem; }
.verdict { border-left: 0.3rem solid var(--colour-0); padding-left: 0.8rem; }
tr.chosen th { font-weight: 600; }
small { opacity: 0.8; }
"""
"""The style of charts that are drawn here."""
WIDTH, HEIGHT, MARGIN = 720, 240, 8
"""Of a chart of lines, in its own units."""
BAR = 200
"""The longest bar, in its own units."""

Point = tuple[float, float]


def dashboard(report: Report) -> str:
    """Returns the dashboard: the report's data, and the script that draws it."""
    data = msgspec.json.encode(report).decode().replace("<", "\\u003c")  # names can't end the element
    script = _built("dashboard.js")
    body = f"""<main id="report"><h1>Anchorline</h1><noscript><p>The charts need JavaScript.</p></noscript></main>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>"""
    return _page("Anchorline: cost and cache usage", Html(body), _built("dashboard.css"), script)


def document(title: str, *parts: Html) -> str:
    """Returns a page without a script, with `title` as its heading."""
    body = element("main", element("h1", title), *parts)
    return _page(f"Anchorline: {title}", body, _built("dashboard.css") + CHARTS)


def table(
    head: Sequence[str], rows: Iterable[Sequence[object]], *, figures: Collection[int], chosen: str = ""
) -> Html:
    """Returns a table; each row begins with what it is about. `figures` are the columns of numbers.

    Rows whose first cell begins with `chosen` are set off.
    """

    def cell(kind: str, column: int, content: object, scope: str | None = None) -> Html:
        return element(kind, content, scope=scope, class_="number" if column in figures else None)

    def row(cells: Sequence[object]) -> Html:
        stressed = "chosen" if chosen and str(cells[0]).startswith(chosen) else None
        first = cell("th", 0, cells[0], "row")
        others = (cell("td", column, content) for column, content in enumerate(cells[1:], 1))
        return element("tr", first, *others, class_=stressed)

    heads = (cell("th", column, content, "col") for column, content in enumerate(head))
    return element(
        "table",
        element("thead", element("tr", *heads)),
        Html("\n"),
        element("tbody", *(join((row(cells), Html("\n"))) for cells in rows)),
    )


def key(names: Iterable[tuple[str, str]]) -> Html:
    """Returns what the colours of a chart mean, from pairs of a colour and a name."""
    spans = []
    for colour, name in names:
        square = element("rect", width=1, height=1, fill=fill(colour))
        spans.append(element("span", element("svg", square, class_="swatch", viewBox="0 0 1 1"), f" {name}"))
    return element("p", *spans, class_="key")


def bar(parts: Iterable[tuple[str, float]], most: float, label: str) -> Html:
    """Returns a bar of parts, pairs of a colour and a value; one of `most` takes the whole width."""
    drawn, start = [], 0.0
    for colour, value in parts:
        width = max(BAR * value / most, 0.0)
        drawn.append(element("rect", x=f"{start:.1f}", width=f"{width:.1f}", height=12, fill=fill(colour)))
        start += width
    options = {"viewBox": f"0 0 {BAR} 12", "preserveAspectRatio": "none", "role": "img", "aria_label": label}
    return element("svg", *drawn, class_="bar", **options)


def lines(
    courses: Iterable[tuple[str, Sequence[Point]]],
    label: str,
    *,
    band: Sequence[tuple[float, float, float]] = (),
) -> Html:
    """Returns a chart of lines, pairs of a colour and its points, over a line at 0.

    `band` is an area around the first of them: x, its lower and its upper end.
    """
    drawn = list(courses)
    places = [point for _, points in drawn for point in points]
    heights = [0.0, *(y for _, y in places), *(end for _, low, high in band for end in (low, high))]
    low, high = min(heights), max(heights)
    left, right = min(x for x, _ in places), max(x for x, _ in places)

    def at(x: float, y: float) -> str:
        across = (x - left) / (right - left or 1.0)
        down = (high - y) / (high - low or 1.0)
        return f"{MARGIN + (WIDTH - 2 * MARGIN) * across:.1f},{MARGIN + (HEIGHT - 2 * MARGIN) * down:.1f}"

    zero = at(left, 0.0).partition(",")[2]
    parts = [element("line", x1=0, y1=zero, x2=WIDTH, y2=zero, stroke="var(--lines)")]
    if band:
        edge = [*(at(x, top) for x, _, top in band), *(at(x, bottom) for x, bottom, _ in reversed(band))]
        parts.append(element("polygon", points=" ".join(edge), fill=fill(drawn[0][0]), fill_opacity=0.2))
    for colour, points in drawn:
        line = " ".join(at(x, y) for x, y in points)
        parts.append(element("polyline", points=line, fill="none", stroke=fill(colour), stroke_width=2))
    return element("svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)


def fill(colour: str) -> str:
    """Returns a colour of the style by its name: a number, or `quiet`."""
    return f"var(--colour-{colour})"


def _page(title: str, body: Html, style: str, script: str = "") -> str:
    sources = f"script-src '{_hash(script)}'; " if script else ""
    sources += f"style-src '{_hash(style)}'; "
    return PAGE.format(sources=sources, title=element("title", title), style=style, body=body)


def _built(name: str) -> str:
    return files(__package__).joinpath("page", name).read_text("utf-8")


def _hash(text: str) -> str:
    """Returns the source that the content security policy allows to run: this text and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
