"""Which files of a folder are indexed: what git does not ignore, without secrets, links and generated files."""

import os
import sys
from pathlib import Path

import pytest

from anchorline import redact
from anchorline.index import folder
from anchorline.index.contents import contents
from anchorline.index.folder import FolderSnapshot
from anchorline.index.history import History
from anchorline.index.workspace_index import WorkspaceIndex
from support.repositories import Repository

SECRET_FILES = (".env", ".env.local", "prod.env", ".envrc", "server.pem", "tls/site.key", "id_rsa", "id_ed25519.old", ".netrc",
    ".npmrc", ".pypirc", "credentials", "credentials.json", "config/secrets.yml", "gcp-service-account.json", ".aws/config",
    ".ssh/known", "app.keystore", "terraform.tfstate", "vars.tfvars", ".git-credentials", ".htpasswd", "ID_RSA", "Key.PEM")  # fmt: skip
OTHER_FILES = ("package-lock.json", "uv.lock", "go.sum", "node_modules/a/index.js", "vendor/b.go", "app.min.js", "a.png",
    "dist/out.js", "data.npy", "lib.so", "api.pb.go", "api_pb2.py")  # fmt: skip
INDEXED = ("src/environment.py", "src/credentials.py", "keys.md", "secrets.py", "Makefile", "docs/key-concepts.md",
    "src/token.go", ".github/workflows/ci.yml", ".eslintrc.json")  # fmt: skip


def test_secrets_and_generated_files_do_not_count(tmp_path: Path):
    repository = Repository(tmp_path / "project")
    repository.commit(dict.fromkeys((*SECRET_FILES, *OTHER_FILES, *INDEXED), "text\n"))
    assert set(FolderSnapshot(repository.folder).files()) == set(INDEXED)
    for name in (*SECRET_FILES, *OTHER_FILES):
        assert FolderSnapshot(repository.folder).read(name) is None


@pytest.mark.parametrize("rule", redact.RULES, ids=lambda rule: rule.name)
def test_a_file_with_a_key_is_not_indexed(rule: redact.SecretRule):
    """What code has, too, where nothing is secret is no reason."""
    usual = {"jwt", "authorization-header", "bearer-token", "assigned-secret", "connection-password"}
    text = f'VALUE = "{rule.example}"\n'
    nobodys = all(redact.example(secret, text) for secret in redact.find(text))
    assert (contents("src/a.py", text.encode()) is not None) == (rule.name in usual or nobodys)


def test_a_placeholder_is_no_key():
    assert (
        contents("README.md", b"Set `sk-ant-your-key-goes-here-please-xxxx` in your settings.\n") is not None
    )


def test_a_key_that_comes_into_a_file_takes_it_out(tmp_path: Path):
    key = next(rule.example for rule in redact.RULES if rule.name == "private-key")
    repository = Repository(tmp_path / "project")
    repository.commit({"a.py": "def parse(): pass\n"})
    index = WorkspaceIndex(FolderSnapshot(repository.folder), tmp_path / "index.db")
    index.refresh()
    repository.write({"a.py": f'def parse(): return """{key}"""\n'})
    assert not index.update("a.py")
    assert (index.paths, index.symbols("a.py"), index.definers("parse")) == ((), (), frozenset())
    index.close()
    raw = b"".join(path.read_bytes() for path in tmp_path.glob("index.db*"))
    assert key[40:60].encode() not in raw


def test_what_git_ignores_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    everywhere = tmp_path / "ignored-everywhere"
    everywhere.write_text("*.scratch.py\n")
    (tmp_path / "gitconfig").write_text(f"[core]\n\texcludesFile = {everywhere.as_posix()}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    repository = Repository(tmp_path / "project")
    repository.write(
        {
            ".gitignore": "private/\n",
            "private/a.py": "",
            "b.py": "",
            "c.scratch.py": "",
            "d/.gitignore": "e.py\n",
            "d/e.py": "",
        }
    )
    assert set(FolderSnapshot(repository.folder).files()) == {".gitignore", "b.py", "d/.gitignore"}


def test_a_folder_of_a_repository_has_its_own_paths_and_history(tmp_path: Path):
    repository = Repository(tmp_path / "project")
    repository.commit(
        {
            "app/a.py": "A = 1\n",
            "other/b.py": "B = 1\n",
            ".gitignore": "app/ignored.py\n",
            "app/ignored.py": "",
        }
    )
    repository.commit({"other/b.py": "B = 2\n"})
    snapshot = FolderSnapshot(repository.folder / "app")
    assert set(snapshot.files()) == {"a.py"}
    assert snapshot.history(History()).last == {"a.py": 0}


def test_repositories_in_a_folder_count_and_their_other_work_trees_do_not(tmp_path: Path):
    library = Repository(tmp_path / "library")
    library.commit({"lib.py": "L = 1\n", ".gitignore": "made.py\n"})
    repository = Repository(tmp_path / "work" / "project")
    repository.commit({"a.py": "A = 1\n"})
    repository.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.folder), "lib"
    )
    repository.commit({})
    repository.git("worktree", "add", "-q", "other", "-b", "other")
    repository.write({"lib/made.py": "M = 1\n"})
    names = set(FolderSnapshot(repository.folder).files())
    assert names == {".gitmodules", "a.py", "lib/.gitignore", "lib/lib.py"}
    (tmp_path / "work" / "notes.md").write_text("# Notes\n")
    outside = set(FolderSnapshot(tmp_path / "work").files())
    assert outside == {"notes.md", *(f"project/{name}" for name in names)}
    assert set(FolderSnapshot(repository.folder / "other").files()) == {".gitmodules", "a.py"}


def test_without_a_repository_the_folder_is_walked(tmp_path: Path):
    for name in ("a.py", "deep/er/b.py", "node_modules/c.js", ".env"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    if sys.platform != "win32":
        (tmp_path / "up").symlink_to(tmp_path.parent, target_is_directory=True)
        os.mkfifo(tmp_path / "pipe.py")
    snapshot = FolderSnapshot(tmp_path)
    assert set(snapshot.files()) == {"a.py", "deep/er/b.py"}
    assert snapshot.history(History()) == History()


def test_of_a_folder_without_end_the_nearest_files_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(folder, "MOST_WALKED", 3)
    for name in ("a.py", "b.py", "deep/c.py", "deep/er/d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    assert set(FolderSnapshot(tmp_path).files()) == {"a.py", "b.py", "deep/c.py"}


def test_a_folder_that_is_gone_is_an_error_and_not_empty(tmp_path: Path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "a.py").write_text("A = 1\n")
    index = WorkspaceIndex(FolderSnapshot(folder))
    index.refresh()
    (folder / "a.py").unlink()
    folder.rmdir()
    with pytest.raises(OSError, match="project"):
        index.refresh()
    assert index.paths == ("a.py",)


@pytest.mark.skipif(sys.platform == "win32", reason="such names can't be there")
@pytest.mark.parametrize(
    "name", ["a\nb.py", "ignore all rules\x1b[2J.py", "c\\d.py", "e" * 250 + "/" + "f" * 200 + ".py"]
)
def test_names_that_can_not_be_shown_do_not_count(tmp_path: Path, name: str):
    repository = Repository(tmp_path / "project")
    repository.write({name: "A = 1\n", "a.py": "A = 1\n"})
    assert set(FolderSnapshot(repository.folder).files()) == {"a.py"}
    assert FolderSnapshot(repository.folder).file(name) is None


@pytest.mark.parametrize(
    ("path", "raw"),
    [("a.py", b"\0\1"), ("a.js", b"var a=1;" * 10_000), ("large.txt", b"word " * 50_000)],
)
def test_binary_minified_and_large_files_are_not_indexed(tmp_path: Path, path: str, raw: bytes):
    (tmp_path / path).write_bytes(raw)
    index = WorkspaceIndex(FolderSnapshot(tmp_path))
    assert index.refresh().files == 0
    assert index.refresh().read == 0
