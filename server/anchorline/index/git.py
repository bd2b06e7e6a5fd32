"""Runs git on a repository that may be hostile: nothing that its configuration names is started.

`git` itself reads `.git/config`, which whoever made the folder has written. What it could start with the few commands
that are used here (listing files and commits) is switched off on the command line, which comes before every file:
a file system monitor, hooks, signature checks, diff drivers, the fetching of missing objects. The user's own settings
stay in force: what is ignored everywhere, which folders are safe.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from anchorline import files
from anchorline.index.history import MOST_COMMITS, MOST_FILES, Commit, History

TIMEOUT_S = 30.0
MOST_BYTES = 128 * 1024 * 1024
"""Bytes that git may answer: about a million paths."""
_SETTINGS = (
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.sshCommand=",
    "core.gitProxy=",
    "core.askPass=",
    "credential.helper=",
    "diff.external=",
    f"diff.orderFile={os.devnull}",
    "diff.relative=false",
    "log.follow=false",
    "log.showSignature=false",
    "protocol.allow=never",
    "safe.bareRepository=explicit",
    "submodule.recurse=false",
)
_OPTIONS = (
    "--no-pager",
    "--no-optional-locks",
    "--no-replace-objects",
    "--literal-pathspecs",
    *(option for setting in _SETTINGS for option in ("-c", setting)),
)
_KEPT = frozenset(
    {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CEILING_DIRECTORIES"}
)
"""Variables of git's that are the user's choice and no command's business."""
_LOG = ("--name-only", "-z", "--no-merges", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-show-signature",
        "--no-color", "--no-notes", "--no-mailmap", "--format=format:%x00%H %ct")  # fmt: skip


class GitError(OSError):
    """Git is not there, does not answer, or refuses. The message says which."""


@cache
def program() -> str:
    """Returns where git is. A relative entry of PATH is left out: it could lead into the opened folder."""
    absolute = [folder for folder in os.get_exec_path() if Path(folder).is_absolute()]
    program = shutil.which("git", path=os.pathsep.join(absolute))
    if program is None or not Path(program).is_absolute():
        raise GitError("git is not installed")
    return program


def _environment() -> dict[str, str]:
    """Returns the environment without what would lead git elsewhere: an editor may be started by git's own hook."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT
    }
    return environment | {
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def run(where: Path, *arguments: str, git_dir: bool = False, given: bytes = b"") -> bytes:
    """Returns what git writes, run in `where`: a folder of a work tree, or with `git_dir` the repository itself.

    Raises GitError, also after `TIMEOUT_S` seconds.
    """
    place = ("--git-dir", str(where)) if git_dir else ("-C", str(where))
    command = [program(), *place, *_OPTIONS, *arguments]
    try:
        done = subprocess.run(  # noqa: S603  (git, with what is switched off above)
            command,
            input=given,
            capture_output=True,
            check=False,
            timeout=TIMEOUT_S,
            env=_environment(),
            cwd=files.shipped(),
        )
    except subprocess.TimeoutExpired:
        raise GitError(f"git {arguments[0]} took more than {TIMEOUT_S:.0f} s") from None
    except (OSError, ValueError) as error:
        raise GitError(f"git can't be started ({error})") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
        raise GitError(f"git {arguments[0]} failed: {said[:200]}")
    if len(done.stdout) > MOST_BYTES:
        raise GitError(f"git {arguments[0]} said more than {MOST_BYTES >> 20} MB")
    return done.stdout


def listing(root: Path) -> list[str]:
    """Returns what git does not ignore below a folder, relative to it; a repository in it ends in a slash."""
    raw = run(root, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    return list(dict.fromkeys(os.fsdecode(name) for name in raw.split(b"\0") if name))


def history(where: Path, known: History, *, commit: str = "HEAD", git_dir: bool = False) -> History:
    """Returns the history of `commit` with paths relative to `where`; only what `known` lacks is read.

    A repository without a commit has none. Raises GitError.
    """
    try:
        head = _resolved(where, f"{commit}^{{commit}}", git_dir=git_dir)
    except GitError:
        return History()
    if head == known.head:
        return known
    below = (
        () if git_dir or not run(where, "rev-parse", "--show-prefix").strip() else ("--relative", "--", ".")
    )
    if known.head and _is_ancestor(where, known.head, head, git_dir=git_dir):
        return known.extended(head, _log(where, f"{known.head}..{head}", *below, git_dir=git_dir))
    return History().extended(head, _log(where, head, *below, git_dir=git_dir))


def _resolved(where: Path, revision: str, *, git_dir: bool) -> str:
    return run(where, "rev-parse", "--verify", "-q", revision, git_dir=git_dir).decode("ascii").strip()


def _is_ancestor(where: Path, older: str, newer: str, *, git_dir: bool) -> bool:
    try:
        run(where, "merge-base", "--is-ancestor", older, newer, git_dir=git_dir)
    except GitError:
        return False
    return True


def _log(where: Path, revisions: str, *below: str, git_dir: bool) -> list[Commit]:
    raw = run(where, "log", "-n", str(MOST_COMMITS), *_LOG, revisions, *below, git_dir=git_dir)
    return list(_commits(raw))


def _commits(raw: bytes) -> Iterator[Commit]:
    """Reads `git log`: after an empty field comes a commit's id, time and first file, then its other files."""
    line, paths = b"", list[bytes]()
    after_empty = True
    for field in raw.split(b"\0"):
        if field and after_empty:
            if line:
                yield _commit(line, paths)
            line, _, first = field.partition(b"\n")
            paths = [first] if first else []
        elif field:
            paths.append(field)
        after_empty = not field
    if line:
        yield _commit(line, paths)


def _commit(line: bytes, paths: list[bytes]) -> Commit:
    name, _, at = line.partition(b" ")
    return Commit(name.decode("ascii"), int(at), tuple(os.fsdecode(path) for path in paths[:MOST_FILES]))
