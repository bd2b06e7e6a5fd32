"""Finds the instruction files of the workspace that stand word for word at the head of a request."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from anchorline.cache.ledger import Entry
from anchorline.instructions.warm_files import MAX_BYTES, WarmFile, keyed_hash, warm_file
from anchorline.prompt import tokens
from anchorline.prompt.model import Prompt, Segment

USUAL = (
    "CLAUDE.md",
    "AGENTS.md",
    "GEMINI.md",
    ".rules",
    ".github/copilot-instructions.md",
)
"""Where editors look for instructions in a workspace; open documents come on top."""


class _RequestBlock(msgspec.Struct):
    text: str = ""


def candidates(root: Path | None, opened: Iterable[tuple[Path, bytes]]) -> Iterator[tuple[Path, bytes]]:
    """Yields instruction files with their text: those that are open, and the usual ones as they are on disk."""
    paths = {root / name for name in USUAL} if root is not None else set()
    for path, data in opened:
        paths.add(path)
        yield path.resolve(), data.strip()
    for path in sorted(paths):
        try:
            if path.is_file() and path.stat().st_size <= MAX_BYTES:
                yield path.resolve(), path.read_bytes().strip()
        except OSError:
            continue


def files_in_request(
    prompt: Prompt, entry: Entry, files: Iterable[tuple[Path, bytes]], key: bytes
) -> Iterator[WarmFile]:
    """Yields the files that stand in the head of a prompt of which a provider holds `entry`."""
    opening = next(
        (segment for segment in prompt.segments if segment.section == "messages" and segment.role == "user"),
        None,
    )
    conversation = keyed_hash(opening.digest.hex() if opening else "", key)
    head: list[tuple[bytes, int]] = []
    total = 0
    for segment in prompt.segments:
        if segment.role == "assistant":
            break
        total += segment.tokens
        head.append((_text(prompt, segment), total))
    seen: set[Path] = set()
    for path, content in files:
        if not content or path in seen:
            continue
        for text, end in head:
            _, word_for_word, rest = text.partition(content)
            if not word_for_word:
                continue
            seen.add(path)
            after = tokens.estimate(rest, "document", tokens.family(entry.model)) if rest else 0
            behind = after + max(entry.tokens - end, 0)
            yield warm_file(
                path, content, entry, key, conversation=conversation, behind=behind, taken="request"
            )
            break


def _text(prompt: Prompt, segment: Segment) -> bytes:
    """Returns the text of a segment; nothing where it is none."""
    raw = prompt.load(segment.start, segment.end)
    if prompt.format == "markdown":
        return raw
    try:
        block = msgspec.json.decode(raw, type=str | _RequestBlock | None)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return b""
    text = block if isinstance(block, str) else block.text if block is not None else ""
    return text.encode("utf-8", "replace")
