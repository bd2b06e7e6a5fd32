"""An index finds the files that a text is about, and follows them as they change."""

from pathlib import Path

import numpy as np

from anchorline.index.folder import FolderSnapshot
from anchorline.index.workspace_index import WorkspaceIndex
from support.repositories import Repository


def best(index: WorkspaceIndex, query: str) -> str:
    hits = index.search(query)
    return hits.paths[int(np.argmax(hits.text.bm25))]


def test_a_file_is_found_by_its_words_names_and_history(tmp_path: Path):
    repository = Repository(tmp_path / "project")
    repository.commit(
        {
            "src/config.py": "import json\n\nTIMEOUT_S = 3\n\ndef parse_config(text):\n    return json.loads(text)\n"
        }
    )
    repository.commit({"src/server.py": "from src.config import parse_config\n\nclass Server:\n    pass\n"})
    repository.commit(
        {"README.md": "# Read me\n\n## How it starts\n", "src/server.py": "class Server:\n    port = 1\n"}
    )
    index = WorkspaceIndex(FolderSnapshot(repository.folder))
    assert index.refresh().files == 3
    assert best(index, "parsing of the configs") == "src/config.py"
    assert index.defining("parse_config") == (("src/config.py", 5),)
    assert index.defining("TIMEOUT_S") == (("src/config.py", 3),)
    assert [symbol.name for symbol in index.symbols("README.md")] == ["Read me", "How it starts"]
    assert index.imports("src/config.py") == ("json",)
    assert index.importing("json") == {"src/config.py"}
    assert index.matched("src/config.py", "Why is parsing a config slow?") == ("config", "parsing")
    assert index.holding("json.loads(text)") == ("src/config.py",)
    assert index.history.last == {"README.md": 0, "src/server.py": 0, "src/config.py": 2}
    assert set(index.history.together(["README.md"])) == {"README.md", "src/server.py"}


def test_an_index_follows_the_files(tmp_path: Path):
    (tmp_path / "a.py").write_text("def first(): pass\n")
    (tmp_path / "b.py").write_text("def second(): pass\n")
    index = WorkspaceIndex(FolderSnapshot(tmp_path))
    index.refresh()
    (tmp_path / "a.py").write_text("def third(): pass\n")
    assert index.update("a.py")
    (tmp_path / "b.py").unlink()
    assert not index.update("b.py")
    assert index.paths == ("a.py",)
    assert (index.definers("first"), index.definers("third")) == (frozenset(), {"a.py"})
    assert index.refresh().removed == 0
