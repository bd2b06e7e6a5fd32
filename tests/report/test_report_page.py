"""The page holds all it needs, and only what was built for it may run."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.outcome import Outcome
from support.history import billed, planned, recorded

HOSTILE = "</script><script>alert(1)</script>"


class Page(HTMLParser):
    """Collects scripts, styles, the policy, and whatever would load something."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.policy = ""
        self.parts: list[tuple[str, dict[str, str | None], str]] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.outside += [
            f"{tag} {name}" for name in given if name in ("src", "href", "style") or name.startswith("on")
        ]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""
        self._open = tag in ("script", "style")
        if self._open:
            self.parts.append((tag, given, ""))

    def handle_data(self, data: str) -> None:
        if self._open:
            tag, given, text = self.parts.pop()
            self.parts.append((tag, given, text + data))

    def handle_endtag(self, tag: str) -> None:
        self._open = False


@pytest.fixture
def page(tmp_path) -> Page:
    recorded(
        (planned("p"), Outcome("p", target=HOSTILE[:128], usage=billed("p").usage)),
        (planned("q"), billed("q")),
    )
    target = tmp_path / "report.html"
    done = CliRunner().invoke(cli, ["report", "--html", str(target)])
    assert done.exit_code == 0, done.output
    assert str(target) in done.stdout
    page = Page()
    page.feed(target.read_text("utf-8"))
    return page


def test_nothing_is_loaded_and_only_the_built_parts_may_run(page):
    assert page.outside == []
    rules = dict(rule.strip().split(" ", 1) for rule in page.policy.split(";"))
    assert rules["default-src"] == "'none'"
    for kind, rule in (("script", "script-src"), ("style", "style-src")):
        (text,) = [
            text for tag, given, text in page.parts if tag == kind and given.get("type") != "application/json"
        ]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert "unsafe" not in page.policy


def test_the_data_is_the_report_and_ends_no_element(page):
    (data,) = [text for _, given, text in page.parts if given.get("id") == "data"]
    assert "<" not in data
    shown, printed = json.loads(data), json.loads(CliRunner().invoke(cli, ["report", "--json"]).stdout)
    del shown["made_at"], printed["made_at"]
    assert shown == printed
    assert shown["requests"] == 2


def test_a_page_that_cannot_be_written_is_named(tmp_path):
    target = tmp_path / "none" / "report.html"
    done = CliRunner().invoke(cli, ["report", "--html", str(target)])
    assert done.exit_code == 2
    assert str(target) in done.output


def test_the_library_in_the_script_keeps_its_licence():
    from importlib.resources import files

    script = files("anchorline.report").joinpath("page", "dashboard.js").read_text("utf-8")
    assert re.search(r"Chart\.js v\d.*?MIT License", script, re.DOTALL)
