"""No module imports itself by way of others, tests share nothing by importing tests, and a lazy import is an exception."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import grimp
import pytest

from support.history import plan_limits

ROOT = Path(__file__).parents[1]
SERVER = ROOT / "server" / "anchorline"
LAZY = 60
"""Imports within functions that are left in the server. Lower it when you take one out; it never rises."""


def test_no_module_imports_itself_by_way_of_others():
    graph = grimp.build_graph("anchorline", cache_dir=None)
    for circle in circles(graph.modules, graph.find_modules_directly_imported_by):
        pytest.fail(f"import each other: {', '.join(sorted(circle))}")


def circles(nodes: Iterable[str], edges: Callable[[str], Iterable[str]]) -> list[set[str]]:
    """Return the strongly connected parts of a graph that have more than one node (Tarjan 1972)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    parts: list[set[str]] = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        path.append(node)
        for target in edges(node):
            if target not in order:
                visit(target)
                lowest[node] = min(lowest[node], lowest[target])
            elif target in path:
                lowest[node] = min(lowest[node], order[target])
        if lowest[node] == order[node]:
            start = path.index(node)
            part = set(path[start:])
            del path[start:]
            if len(part) > 1:
                parts.append(part)

    for node in sorted(nodes):
        if node not in order:
            visit(node)
    return parts


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ({"a": "b", "b": "c", "c": ""}, []),
        ({"a": "b", "b": "a", "c": "ab"}, [{"a", "b"}]),
        ({"a": "b", "b": "c", "c": "ad", "d": "e", "e": "d"}, [{"d", "e"}, {"a", "b", "c"}]),
    ],
)
def test_circles_of_a_graph(edges: dict[str, str], expected: list[set[str]]):
    assert circles(edges, lambda node: edges[node]) == expected


def test_lazy_imports_do_not_become_more():
    lazy = sum(path.read_text("utf-8").count("noqa: PLC0415") for path in SERVER.rglob("*.py"))
    assert lazy <= LAZY, "import at the top of the module"


def test_no_test_imports_another():
    for path in sorted((ROOT / "tests").rglob("*.py")):
        shared = re.search(r"^\s*(?:from|import) (?:\w+\.)*test_\w+", path.read_text("utf-8"), re.MULTILINE)
        assert shared is None, (
            f"{path.relative_to(ROOT)}: {shared[0]} (what tests share lies in tests/support)"
        )


@pytest.mark.process
@pytest.mark.parametrize("on_plan", [False, True])
def test_where_nothing_is_new_the_first_screen_imports_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_plan: bool
):
    sessions = tmp_path / ".claude" / "projects"
    sessions.mkdir(parents=True)
    shutil.copy(next((ROOT / "models" / "sample" / "claude-code").iterdir()), sessions)
    folders = {
        "HOME": str(tmp_path),
        "ANCHORLINE_CONFIG": str(tmp_path / "a.toml"),
        "ANCHORLINE_DATA_DIR": str(tmp_path / "data"),
    }
    environment = {**os.environ, **folders}
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        environment.pop(name, None)
    if on_plan:
        monkeypatch.setenv("ANCHORLINE_DATA_DIR", folders["ANCHORLINE_DATA_DIR"])
        plan_limits(41.0)
    code = "import sys; from anchorline.cli.main import cli; cli([], standalone_mode=False); print(*sys.modules, file=sys.stderr)"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout or on_plan  # whose forecast moves with the time
    assert ("5-hour window" in runs[1].stdout) == on_plan
    imported = set(runs[1].stderr.split())
    heavy = {
        "numpy",
        "rich",
        "tomlkit",
        "sqlite_utils",
        "aiohttp",
        "anchorline.prompt.formats",
        "anchorline.route",
    }
    assert imported & heavy == set()
    assert len(imported) < 400
