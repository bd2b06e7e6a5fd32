"""Finds the instruction files that a recorded conversation began with.

Codex writes the text of AGENTS.md into the session: a file is recognised where it stands there word for word. Claude
Code does not write down CLAUDE.md, but reads it when a conversation begins: a file that has not been changed since is
what it read. Of any other file nothing is claimed.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from anchorline.cache.ledger import Entry
from anchorline.instructions.warm_files import MAX_BYTES, Taken, WarmFile, keyed_hash, warm_file
from anchorline.prompt import tokens
from anchorline.prompt.model import PromptError
from anchorline.prompt.source import lines
from anchorline.sessions.request import RecordedRequest

_SCANNED = 64
"""Lines in which a session says where it began and with which instructions."""
_DEEPEST = 64
_CLAUDE = ("CLAUDE.md", ".claude/CLAUDE.md", "CLAUDE.local.md")
_CODEX = ("AGENTS.override.md", "AGENTS.md")
_NAMES = {"claude-code": _CLAUDE, "codex": _CODEX}
"""The instruction files of the agents of which it can be told which ones a session holds."""
_MARKS = ("# AGENTS.md instructions", "<user_instructions>")


class SessionFiles(msgspec.Struct, frozen=True):
    """The instruction files of a conversation. One without `lines` is known from before, and is still as it was."""

    conversation: str
    files: tuple[WarmFile, ...]


class _SessionContent(msgspec.Struct):
    text: str = ""


class _SessionPayload(msgspec.Struct):
    cwd: str | None = None
    role: str | None = None
    content: list[_SessionContent] | msgspec.Raw | None = None


class _SessionLine(msgspec.Struct):
    cwd: str | None = None
    payload: _SessionPayload | None = None


def files_of_session(
    path: Path, agent: str, requests: Sequence[RecordedRequest], held: Sequence[Entry], key: bytes
) -> SessionFiles | None:
    """Returns the files in the newest warm prefix of a session file; None where nothing is warm, or told of them.

    `held` are the warm entries of `requests`. Reads the file's beginning, and the instruction files where the session
    was begun. `key` is the database's.
    """
    if agent not in _NAMES:
        return None
    warm = {entry.prefix: entry for entry in held}
    own = sorted(
        (request for request in requests if request.chain == "main" and request.branch == 0),
        key=lambda request: request.sent_at,
    )
    newest = next((request for request in reversed(own) if request.prefix in warm), None)
    if newest is None:
        return None
    folder, text = _beginning(path)
    if folder is None:
        return None
    conversation = keyed_hash(newest.session, key)

    def file(path: Path, content: bytes, behind: int) -> WarmFile:
        taken: Taken = "new" if agent == "codex" else "resume"
        entry = warm[newest.prefix]
        return warm_file(path, content, entry, key, conversation=conversation, behind=behind, taken=taken)

    files: list[WarmFile] = []
    if agent == "codex":
        for instructions, content, _ in _files(_codex_home(), folder, _NAMES[agent]):
            _, word_for_word, rest = text.partition(content)
            files.append(
                file(instructions, word_for_word, tokens.estimate(rest, "document", "openai") if rest else 0)
            )
    else:
        began = next((request for request in reversed(own) if request.trigger == "compact"), own[0])
        behind = max(newest.tokens - began.tokens, 0)
        for instructions, content, changed in reversed(list(_files(_claude_home(), folder, _NAMES[agent]))):
            if changed <= own[0].sent_at:
                files.append(file(instructions, content, behind))
                behind += files[-1].tokens
            elif changed > newest.sent_at:
                files.append(file(instructions, b"", behind))
    return SessionFiles(conversation, tuple(files))


def _claude_home() -> Path:
    return Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude") / "CLAUDE.md"


def _codex_home() -> Path:
    return Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex") / "AGENTS.md"


def _beginning(path: Path) -> tuple[Path | None, bytes]:
    """Returns the folder in which a session began, and the instructions that stand in it."""
    folder: Path | None = None
    try:
        for line in lines(path):
            try:
                read = msgspec.json.decode(line.text, type=_SessionLine)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue
            payload = read.payload or _SessionPayload()
            name = read.cwd or payload.cwd
            if folder is None and name is not None and _can_be(Path(name)):
                folder = Path(name)
            if isinstance(payload.content, list) and payload.role == "user":
                for part in payload.content:
                    if part.text.startswith(_MARKS):
                        return folder, part.text.encode("utf-8", "replace")
            if line.number >= _SCANNED or (read.cwd is not None and folder is not None):
                break
    except (OSError, PromptError):
        return None, b""
    return folder, b""


def _can_be(folder: Path) -> bool:
    return folder.is_absolute() and len(folder.parts) <= _DEEPEST and "\0" not in str(folder)


def _files(own: Path, folder: Path, names: Sequence[str]) -> Iterator[tuple[Path, bytes, float]]:
    """Yields the files that apply in a folder, in the order of the prompt: the person's own, then from the root down.

    Each comes with its text and the time of its last change.
    """
    folders = [folder, *folder.parents]
    for file in (own, *(parent / name for parent in reversed(folders) for name in names)):
        try:
            real = file.resolve()
            stat = real.stat()
            if not real.is_file() or stat.st_size > MAX_BYTES:
                continue
            content = real.read_bytes().strip()
        except (OSError, RuntimeError):  # not there, not ours to read, or a loop of links
            continue
        if content:
            yield real, content, stat.st_mtime
