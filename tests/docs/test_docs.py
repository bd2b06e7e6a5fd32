"""What the documentation says is true: generated parts are fresh, links lead somewhere, commands exist."""

import json
import re
from pathlib import Path

import pytest

from anchorline.cli import config as config_command
from anchorline.cli import rules as rules_command
from anchorline.cli.main import COMMANDS
from anchorline.plan import schema

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        ROOT / "SECURITY.md",
        *(ROOT / "docs").rglob("*.md"),
    ]
)


def test_the_schema_of_a_plan_is_the_published_one():
    published = json.loads((ROOT / "docs" / "reference" / "plan.schema.json").read_text("utf-8"))
    assert published == json.loads(json.dumps(schema())), (
        "anchorline plan --schema > docs/reference/plan.schema.json"
    )


def test_the_rules_are_the_published_ones():
    published = (ROOT / "docs" / "reference" / "rules.md").read_text("utf-8")
    assert published == rules_command.page(), "anchorline rules --markdown > docs/reference/rules.md"


def test_every_setting_is_documented():
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text("utf-8")
    assert config_command.table() in page, (
        "anchorline config show --markdown, into docs/reference/configuration.md"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    for target, fragment in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text("utf-8")):
        if not re.match(r"[a-z]+:", target):
            linked = page.parent / target if target else page
            assert linked.exists(), target
            assert not fragment or fragment in _headings(linked), f"{target}#{fragment}"


def test_the_index_lists_every_page():
    docs = ROOT / "docs"
    linked = {
        (docs / target).resolve()
        for target in re.findall(r"\]\(([^)#\s]+)\)", (docs / "README.md").read_text("utf-8"))
    }
    assert {page for page in docs.rglob("*.md") if page.parent not in (docs, docs / "examples")} <= linked


def _headings(page: Path) -> set[str]:
    """The fragments of a page's headings, as the forge makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_shown_exist(page: Path):
    for command in re.findall(r"\banchorline ([a-z][a-z-]+)\b", "\n".join(_code(page))):
        assert command in COMMANDS, command


def _code(page: Path) -> list[str]:
    text = page.read_text("utf-8")
    return re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL) + re.findall(
        r"`(anchorline [^`]+)`", text
    )


def test_the_benches_that_are_named_exist():
    for page in PAGES:
        for bench in re.findall(r"tests/bench/(\w+)\.py", page.read_text("utf-8")):
            assert (ROOT / "tests" / "bench" / f"{bench}.py").is_file(), f"{page.name} names {bench}.py"
