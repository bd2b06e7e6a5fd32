"""The lines where a symbol is defined, and the symbol that encloses a line, by tree-sitter.

The grammars are imported when a file of their language is first looked at. A name is searched for in the bytes
first, so that only files that hold it are parsed, and only the nodes at its places are looked at.
"""

import importlib
import re
import time
from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Query, Tree

LANGUAGES = {
    ".py": "python", ".pyi": "python", ".js": "javascript", ".jsx": "javascript", ".mjs": "javascript",
    ".cjs": "javascript", ".ts": "typescript", ".tsx": "tsx", ".go": "go", ".rs": "rust", ".java": "java",
    ".c": "c", ".h": "cpp", ".cc": "cpp", ".cpp": "cpp", ".hpp": "cpp", ".cs": "c_sharp", ".rb": "ruby",
    ".php": "php",
}  # fmt: skip
SUFFIXES = frozenset(LANGUAGES)
GRAMMARS = {
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "php": ("tree_sitter_php", "language_php"),
}
DEFINITIONS = frozenset({
    "function_definition", "class_definition", "function_declaration", "generator_function_declaration",
    "class_declaration", "abstract_class_declaration", "method_definition", "method_declaration",
    "interface_declaration", "type_alias_declaration", "enum_declaration", "function_item",
    "struct_item", "enum_item", "union_item", "trait_item", "type_item", "mod_item", "const_item",
    "static_item", "macro_definition", "type_spec", "class_specifier", "struct_specifier",
    "enum_specifier", "namespace_definition", "record_declaration", "struct_declaration",
    "delegate_declaration", "property_declaration", "trait_declaration", "class", "module", "method",
    "singleton_method",
})  # fmt: skip
VALUES = frozenset({"arrow_function", "function_expression", "generator_function", "class"})
"""What a variable of JavaScript must hold to count as a definition."""
PARSE_S = 0.2
MOST_PLACES = 200
"""Places of a name in one file that are looked at."""
UP = 5
"""Nodes between a name and its definition, at most (declarators of C)."""


class Symbol(NamedTuple):
    """A definition: its name and its first and last line, counted from 1."""

    name: str
    line: int
    last_line: int


def language(path: str) -> str | None:
    """Returns the language of a file, or None if its symbols can't be told."""
    return LANGUAGES.get(PurePosixPath(path).suffix.lower())


@cache
def _grammar(name: str) -> "Language | None":
    module, function = GRAMMARS.get(name, (f"tree_sitter_{name}", "language"))
    try:
        grammar = importlib.import_module(module)
        language = _tree_sitter().Language(getattr(grammar, function)())
    except ImportError:  # the smallest installation is without them
        return None
    return cast("Language", language)


def _tree_sitter() -> ModuleType:
    """Imports the library: it takes 13 ms, and a grammar each, so only where symbols are told."""
    return importlib.import_module("tree_sitter")


def _tree(data: bytes, path: str) -> "Tree | None":
    """Parses a file; None if its language is not known or parsing takes more than `PARSE_S`."""
    name = language(path)
    grammar = _grammar(name) if name is not None else None
    if grammar is None:
        return None
    until = time.monotonic() + PARSE_S
    try:
        tree = (
            _tree_sitter()
            .Parser(grammar)
            .parse(
                lambda offset, _point: data[offset : offset + 65_536],
                progress_callback=lambda _offset, _error: time.monotonic() > until,
            )
        )
    except ValueError:
        return None
    return cast("Tree", tree)


def definitions(data: bytes, path: str, name: str) -> list[Symbol]:
    """Returns where `name` is defined in a file."""
    positions = _places(data, name)
    tree = _tree(data, path) if positions else None
    if tree is None:
        return []
    symbols = []
    for position in positions:
        node = tree.root_node.named_descendant_for_byte_range(position, position + len(name.encode()))
        definition = _defined_by(node) if node is not None else None
        if definition is not None:
            symbols.append(Symbol(name, definition.start_point[0] + 1, definition.end_point[0] + 1))
    return symbols


def outline(data: bytes, path: str) -> list[Symbol] | None:
    """Returns all definitions of a file in the order of their lines; None if its language is not known."""
    tree = _tree(data, path)
    query = _definition_query(language(path)) if tree is not None else None
    if tree is None or query is None:
        return None
    symbols = []
    for node in _tree_sitter().QueryCursor(query).captures(tree.root_node).get("definition", ()):
        named = _name(node)
        if named is not None and named.text:
            name = named.text.decode("utf-8", "replace")
            symbols.append(Symbol(name, node.start_point[0] + 1, node.end_point[0] + 1))
    return sorted(symbols, key=lambda symbol: symbol.line)


@cache
def _definition_query(name: str | None) -> "Query | None":
    """Returns the query for the definitions that a language's grammar has."""
    grammar = _grammar(name) if name is not None else None
    if grammar is None:
        return None
    kinds = sorted({*DEFINITIONS, "variable_declarator"})
    existing = (kind for kind in kinds if grammar.id_for_node_kind(kind, True) is not None)
    return cast(
        "Query",
        _tree_sitter().Query(grammar, "[" + " ".join(f"({kind})" for kind in existing) + "] @definition"),
    )


def enclosing(data: bytes, path: str, line: int) -> Symbol | None:
    """Returns the innermost definition around a line, counted from 1."""
    tree = _tree(data, path)
    if tree is None:
        return None
    start = 0
    for _ in range(line - 1):
        start = data.find(b"\n", start) + 1
        if start == 0:
            return None
    end = data.find(b"\n", start)
    line_end = start + len(data[start : end if end >= 0 else len(data)].rstrip())
    node = tree.root_node.named_descendant_for_byte_range(max(start, line_end - 1), line_end)
    while node is not None:
        named = _name(node) if node.type in DEFINITIONS or node.type == "variable_declarator" else None
        if named is not None and named.text:
            name = named.text.decode("utf-8", "replace")
            return Symbol(name, node.start_point[0] + 1, node.end_point[0] + 1)
        node = node.parent
    return None


def _places(data: bytes, name: str) -> list[int]:
    pattern = re.compile(rb"(?<![\w$])" + re.escape(name.encode()) + rb"(?![\w$])")
    return [match.start() for match, _ in zip(pattern.finditer(data), range(MOST_PLACES), strict=False)]


def _defined_by(node: "Node") -> "Node | None":
    """Returns the definition whose name `node` is."""
    for parent in _parents(node):
        if parent.type in DEFINITIONS or parent.type == "variable_declarator":
            return parent if _name(parent) == node else None
    return None


def _parents(node: "Node") -> Iterator["Node"]:
    parent = node.parent
    for _ in range(UP):
        if parent is None:
            return
        yield parent
        parent = parent.parent


def _name(node: "Node") -> "Node | None":
    """Returns the node that holds the name of a definition; in C it is inside the declarators."""
    if node.type == "variable_declarator":
        value = node.child_by_field_name("value")
        if value is None or value.type not in VALUES:
            return None
    if node.type.endswith("_specifier") and node.child_by_field_name("body") is None:
        return None
    named = node.child_by_field_name("name") or node.child_by_field_name("declarator")
    while named is not None and named.type not in ("identifier", "field_identifier", "type_identifier"):
        inner = named.child_by_field_name("declarator") or named.child_by_field_name("name")
        if inner is None:
            break
        named = inner
    return named
