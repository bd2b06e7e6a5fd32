"""The page: one file with data, style and script in it, that asks for nothing from outside and runs nothing else.

Style and script are built from `client-vscode/dashboard` (`npm run build` there), and lie here built, so that an
installation needs no Node. `anchorline report --html` writes the page, VS Code shows the same one.
"""

import base64
import hashlib
from importlib.resources import files

import msgspec

from anchorline.report.model import Report

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src '{script_hash}'; \
style-src '{style_hash}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Anchorline: what came of it</title>
<style>{style}</style>
</head>
<body>
<main id="report"><h1>Anchorline</h1><noscript><p>The charts need JavaScript.</p></noscript></main>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def page(report: Report) -> str:
    """Return the HTML."""
    parts = files(__package__).joinpath("page")
    style = parts.joinpath("dashboard.css").read_text("utf-8")
    script = parts.joinpath("dashboard.js").read_text("utf-8")
    data = msgspec.json.encode(report).decode().replace("<", "\\u003c")  # names can't end the element
    return _PAGE.format(
        style=style, script=script, style_hash=_hash(style), script_hash=_hash(script), data=data
    )


def _hash(text: str) -> str:
    """Return the source that the content security policy allows to run: this text and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
