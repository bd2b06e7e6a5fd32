"""Source trees of a git repository as snapshots that an index is made of, without a work tree."""

import subprocess
from functools import cache
from pathlib import Path

from anchorline.index import git
from anchorline.index.history import History
from anchorline.index.snapshot import Listed, counts, fits


class GitTreeSnapshot:
    """The files of one commit; the fingerprints are the ids of their contents, the same in every commit."""

    def __init__(self, repository: Path, commit: str = "HEAD") -> None:
        self.repository = repository
        self.commit = commit
        self._listed: dict[str, Listed] | None = None
        self._blobs = _blobs(repository)

    def move(self, commit: str) -> None:
        """Go to another commit of the repository."""
        self.commit = commit
        self._listed = None

    def files(self) -> dict[str, Listed]:
        """Return the files that count."""
        if self._listed is None:
            raw = git.run(self.repository, "ls-tree", "-r", "-l", "-z", self.commit, git_dir=True)
            self._listed = dict(_entries(raw))
        return self._listed

    def file(self, path: str) -> Listed | None:
        """Return one file."""
        return self.files().get(path)

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file."""
        listed = self.files().get(path)
        return self._blobs.read(listed.fingerprint) if listed is not None else None

    def history(self, known: History) -> History:
        """Return the history of the commit."""
        return git.history(self.repository, known, commit=self.commit, git_dir=True)


def _entries(raw: bytes):
    for entry in raw.decode("utf-8", "surrogateescape").split("\0"):
        facts, _, path = entry.partition("\t")
        if not path:
            continue
        mode, kind, blob, size = facts.split()
        # Of a partial clone the largest files may be absent; a link is no file.
        if kind == "blob" and mode != "120000" and size.isdigit() and counts(path) and fits(path, int(size)):
            yield path, Listed(blob, int(size))


class Blobs:
    """The contents of a repository's files, by their ids."""

    def __init__(self, repository: Path) -> None:
        self._process = subprocess.Popen(
            ["git", "--git-dir", str(repository), "cat-file", "--batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def read(self, blob: str) -> bytes | None:
        """Return the bytes of one."""
        given, answers = self._process.stdin, self._process.stdout
        assert given is not None
        assert answers is not None
        given.write(blob.encode() + b"\n")
        given.flush()
        head = answers.readline().split()
        if head[-1] == b"missing":
            return None
        raw = answers.read(int(head[2]))
        answers.read(1)
        return raw


@cache
def _blobs(repository: Path) -> Blobs:
    return Blobs(repository)
