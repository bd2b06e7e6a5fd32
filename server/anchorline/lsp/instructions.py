"""Which instruction files of the workspace stand word for word at the head of a request that was sent."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from anchorline.cache import instructions
from anchorline.cache.instructions import MAX_BYTES, Known
from anchorline.cache.ledger import Entry
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


class _Block(msgspec.Struct):
    text: str = ""


def candidates(root: Path | None, opened: Iterable[tuple[Path, bytes]]) -> Iterator[tuple[Path, bytes]]:
    """Yield instruction files with their text: those that are open, and the usual ones as they are on disk."""
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


def known(prompt: Prompt, entry: Entry, files: Iterable[tuple[Path, bytes]], key: bytes) -> Iterator[Known]:
    """Yield the files that stand in the head of a prompt of which a provider holds `entry`."""
    first = next((one for one in prompt.segments if one.section == "messages" and one.role == "user"), None)
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
            place = text.find(content)
            if place < 0:
                continue
            seen.add(path)
            family = tokens.family(entry.model)
            rest = text[place + len(content) :]
            after = tokens.estimate(rest, "document", family) if rest else 0
            yield Known(
                file=instructions.name(path, key),
                conversation=instructions.name(first.digest.hex() if first else "", key),
                provider=entry.provider,
                account=entry.account,
                model=entry.model,
                ttl=entry.ttl,
                tokens=tokens.estimate(content, "document", family),
                behind=after + max(entry.tokens - end, 0),
                lines=instructions.lines(content, key),
                taken="request",
                written_at=entry.written_at,
                expires_at=entry.expires_at,
            )
            break


def _text(prompt: Prompt, segment: Segment) -> bytes:
    """Return the text of a segment; nothing where it is none."""
    raw = prompt.load(segment.start, segment.end)
    if prompt.format == "markdown":
        return raw
    try:
        found = msgspec.json.decode(raw, type=str | _Block | None)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return b""
    text = found if isinstance(found, str) else found.text if found is not None else ""
    return text.encode("utf-8", "replace")
