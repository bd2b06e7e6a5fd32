"""What the documentation says is true: generated parts are fresh, links lead somewhere, commands exist."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from anchorline.cli import config as config_command
from anchorline.cli import rules as rules_command
from anchorline.cli.main import COMMANDS
from anchorline.plan import schema
from bench.make import example_request

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "ARCHITECTURE.md",
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


def test_the_example_is_what_its_program_makes():
    published = json.loads((ROOT / "docs" / "examples" / "agent.request.json").read_text("utf-8"))
    assert published == example_request.BODY, (
        "python tests/bench example_request > docs/examples/agent.request.json"
    )


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
    for command in re.findall(r"(?<!inject )\banchorline ([a-z][a-z-]+)\b", "\n".join(_code(page))):
        assert command in COMMANDS, command


def _code(page: Path) -> list[str]:
    text = page.read_text("utf-8")
    return re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL) + re.findall(
        r"`(anchorline [^`]+)`", text
    )


def test_each_promise_on_security_names_tests_that_can_fail():
    text = (ROOT / "docs" / "explain" / "security.md").read_text("utf-8")
    rows = re.findall(r"^\| (.+) \| (`.+) \|$", text.partition("## Promises")[2], re.MULTILINE)
    assert len(rows) > 10
    for promise, named in rows:
        for path in re.findall(r"`((?:tests|client-vscode)/[^`]+)`", named):
            test = (ROOT / path).read_text("utf-8")
            assert re.search(r"^(?:async )?def test_|\btest\(|\bit\(", test, re.MULTILINE), (
                f"{path}: {promise}"
            )
            assert re.search(r"\bassert\b|\bpytest\.raises\b", test), f"{path}: {promise}"


BENCH = ROOT / "tests" / "bench"
PROGRAMS = {
    path.stem: path
    for room in ("speed", "quality", "make")
    for path in (BENCH / room).glob("*.py")
    if '__name__ == "__main__"' in path.read_text("utf-8")
}


def test_the_benches_that_are_named_exist():
    for page in PAGES:
        text = page.read_text("utf-8")
        for name in re.findall(r"python tests/bench ([a-z]\w*)", text):
            assert name in PROGRAMS, f"{page.name} names {name}"
        for path in re.findall(r"(?<!python )\btests/bench/[\w/]+\.py", text):
            assert (ROOT / path).is_file(), f"{page.name} names {path}"


@pytest.mark.parametrize("folder", ["start", "how-to", "reference", "explain"])
def test_pages_for_users_name_no_bench(folder: str):
    for page in (ROOT / "docs" / folder).rglob("*.md"):
        assert "tests/bench" not in page.read_text("utf-8"), (
            f"{page.name}: benches are named in docs/research"
        )


@pytest.mark.process
def test_the_benches_are_listed_and_an_unknown_one_is_refused():
    run = [sys.executable, str(BENCH)]
    listed = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in listed.splitlines() if line.startswith("  ")} == set(PROGRAMS)
    refused = subprocess.run([*run, "no_such_bench"], capture_output=True, text=True, check=False)
    assert (refused.returncode, "no_such_bench" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    "program",
    sorted(name for name, path in PROGRAMS.items() if path.parent.name == "make"),
)
def test_a_program_that_makes_a_shipped_file_says_which(program: str):
    first = PROGRAMS[program].read_text("utf-8").partition("\n")[0]
    made = re.search(r"`((?:server|models|docs)/[\w./-]+)", first)
    assert made is not None, first
    assert (ROOT / made[1]).exists(), made[1]
