"""Where symbols are defined, in each language that is read."""

import pytest

from anchorline.workspace import symbols

SOURCES = {
    "a.py": "class Box:\n    @cached\n    def run(self):\n        return ride(run)\n\n\nasync def ride(): ...\n",
    "a.js": "class Box {\n\n  run() { return ride }\n}\n\n\nconst ride = () => run\n",
    "a.ts": "export class Box<T> {\n\n  run(x: T): void {}\n}\n\n\nexport const ride = async () => run\n",
    "a.tsx": "class Box {\n\n  run() { return <run /> }\n}\n\n\nexport function ride() { return run }\n",
    "a.go": "package a\n\nfunc (b *Box) run() { ride() }\n\n\n\nfunc ride() {}\n\ntype Box struct{}\n",
    "a.rs": "struct Box;\nimpl Box {\n    pub fn run(&self) { ride() }\n}\n\n\nfn ride() {}\n",
    "A.java": "class Box {\n  Box() {}\n  int run() { return ride(); }\n\n\n\n  int ride() { return 1; }\n}\n",
    "a.c": "struct Box { int a; };\n\nint run(void) { return *ride(); }\n\n\n\nstatic int *ride(void) { return 0; }\n",
    "a.cpp": "struct Box { int run(); };\n\nint Box::run() { return ride(); }\n\n\n\nint ride() { return 1; }\n",
    "A.cs": "class Box\n{\n  void run() { ride(); }\n\n\n\n  void ride() { }\n}\n",
    "a.rb": "class Box\n\n  def run\n    ride\n  end\n\n  def ride\n  end\nend\n",
    "a.php": "<?php class Box {\n\n  function run() { ride(); }\n}\n\n\nfunction ride() {}\n",
}


@pytest.mark.parametrize("path", SOURCES)
def test_definitions_are_found_and_uses_are_not(path: str) -> None:
    source = SOURCES[path].encode()
    assert [symbol.line for symbol in symbols.definitions(source, path, "run")] == [3]
    assert [symbol.line for symbol in symbols.definitions(source, path, "ride")] == [7]
    assert len(symbols.definitions(source, path, "Box")) == 1
    assert symbols.definitions(source, path, "cached") == []
    around = symbols.enclosing(source, path, 7)
    assert around is not None
    assert around.name == "ride"


def test_the_innermost_definition_encloses_a_line() -> None:
    source = SOURCES["a.py"].encode()
    found = symbols.enclosing(source, "a.py", 4)
    assert found == symbols.Symbol("run", 3, 4)
    assert symbols.enclosing(source, "a.py", 6) is None
    assert symbols.enclosing(source, "a.py", 99) is None
    assert symbols.enclosing(b"", "a.py", 1) is None


def test_what_is_no_source_file_has_no_symbols() -> None:
    assert symbols.definitions(b"def run(): ...", "notes.md", "run") == []
    assert symbols.enclosing(b"\xff\xfe\x00def", "a.py", 1) is None


def test_parsing_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    source = b"def run(): ...\n" * 15_000
    monkeypatch.setattr(symbols, "PARSE_S", 60.0)
    assert len(symbols.definitions(source, "a.py", "run")) == symbols.MOST_PLACES
    monkeypatch.setattr(symbols, "PARSE_S", 0.0)
    assert symbols.definitions(source, "a.py", "run") == []
