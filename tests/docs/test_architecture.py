"""The map leads somewhere: each path and name in ARCHITECTURE.md exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "server" / "anchorline"
TEXT = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`([\w.-]+(?:/[\w.-]*)*(?::[\w.]+)?)`", TEXT)))
METHODS = ("anchorline/", "textDocument/")
PATHS = [name for name in NAMED if "/" in name or re.search(r"\.(?:py|toml|md)(?::|$)", name)]


@pytest.mark.parametrize("name", [name for name in PATHS if not name.startswith(METHODS)])
def test_what_the_map_names_exists(name: str):
    path, _, symbol = name.partition(":")
    where = next((base / path for base in (SERVER, ROOT) if (base / path).exists()), None)
    assert where is not None, path
    scope = ast.parse(where.read_text("utf-8")).body if symbol else []
    for part in symbol.split(".") if symbol else ():
        node = next((node for node in scope if part in _names(node)), None)
        assert node is not None, f"{path} defines no {symbol}"
        scope = getattr(node, "body", [])


def _names(node: ast.stmt) -> set[str]:
    """The names that a statement defines."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    return {target.id for target in targets if isinstance(target, ast.Name)}


def test_the_map_names_every_package():
    packages = {path.parent.name for path in SERVER.glob("*/__init__.py")}
    assert packages <= {name.strip("/") for name in re.findall(r"`([a-z_]+)/`", TEXT)}


@pytest.mark.parametrize(
    "question",
    ["a TTL is chosen", "a provider's 400 is handled", "a hint's text is made", "an outcome is written",
     "the threshold of P(hit) lies"],
)  # fmt: skip
def test_the_map_answers(question: str):
    answer = re.search(rf"^\| where {re.escape(question)} \| (.+) \|$", TEXT, re.MULTILINE)
    assert answer is not None
    assert re.search(r"`[\w/]+\.py:\w+", answer[1])
