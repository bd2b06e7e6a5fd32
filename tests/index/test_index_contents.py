"""What is kept of a file: its definitions with their lines, and what it imports."""

from pathlib import Path

import pytest

from anchorline.index.contents import contents, outline
from anchorline.workspace import symbols

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a.py", "import x\nclass A:\n    async def b(self): pass\nLIMIT: int = 3\nx = 1\n", ["A 2", "b 3", "LIMIT 4"]),
        ("a.go", "package main\n\nfunc (s *Server) Start() {}\ntype Config struct {}\n", ["main 1", "Start 3", "Config 4"]),
        ("a.rs", "pub(crate) async fn run() {}\nimpl Parser {}\npub const MAX: u8 = 1;\nstatic ALL: u8 = 1;\n", ["run 1", "Parser 2", "MAX 3", "ALL 4"]),
        ("a.ts", "export const retry = () => 1;\nclass A {\n  start(): void {}\n}\nconst limit = 3;\n", ["retry 1", "A 2", "start 3", "limit 5"]),
        ("a.rb", "module M\n  class A\n    def go\n", ["M 1", "A 2", "go 3"]),
        ("A.java", "class A {\n  int size() { return 1; }\n}\n", ["A 1", "size 2"]),
        ("a.md", "# One\r\ntext\r\n## Two words \r\n#no\n", ["One 1", "Two words 3"]),
        ("a.rst", "Title\n=====\n\nPart\n----\ntext\n", ["Title 1", "Part 4"]),
        ("a.ex", "defmodule M do\n  def go do\n", ["M 1", "go 2"]),
        ("a.py", "", []),
    ],
)  # fmt: skip
def test_definitions(path: str, text: str, expected: list[str]):
    assert [f"{symbol.name} {symbol.line}" for symbol in outline(path, text.encode(), text)] == expected


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a.py", "import os.path\nfrom .parser import (parse, Tree)\nfrom a.b import c\n", {"path", "parser", "parse", "tree", "b", "c"}),
        ("a.ts", 'import { x,\n  y } from "./lib/Retry.js";\nconst z = require("fs");\nawait import("./late.ts");\n', {"retry", "fs", "late"}),
        ("a.go", 'import "fmt"\nimport (\n\tx "example.org/a/server"\n\t"os"\n)\n', {"fmt", "server", "os"}),
        ("a.rs", "use crate::config::{Config, load};\nmod parser;\n", {"config", "load", "parser"}),
        ("a.c", '#include <stdio.h>\n#include "lib/parse.h"\n', {"stdio", "parse"}),
        ("A.java", "import static org.a.B;\n", {"b"}),
        ("a.rb", "require_relative '../lib/retry'\n", {"retry"}),
        ("a.txt", "import this\n", set()),
    ],
)  # fmt: skip
def test_imports(path: str, text: str, expected: set[str]):
    kept = contents(path, text.encode())
    assert kept is not None
    assert set(kept[0].imports) == expected


def test_the_pattern_finds_what_a_grammar_finds():
    """In Python, which says so with a word."""
    grammar, pattern = set(), set()
    for path in sorted((ROOT / "server").rglob("*.py")):
        raw = path.read_bytes()
        grammar |= {(path.name, symbol.name, symbol.line) for symbol in symbols.outline(raw, "a.py") or ()}
        pattern |= {(path.name, symbol.name, symbol.line) for symbol in outline("a.py", raw, raw.decode())}
    assert len(grammar) > 2000
    decorated = {(name, symbol) for name, symbol, _ in grammar} - {
        (name, symbol) for name, symbol, _ in pattern
    }
    assert decorated == set()
    assert len(grammar - pattern) < len(grammar) / 100
