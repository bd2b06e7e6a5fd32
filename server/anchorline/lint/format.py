"""The AL4xx rules, for how a document is written."""

from collections.abc import Iterator

from anchorline.lint.finding import Finding
from anchorline.prompt.model import Prompt


def check(prompt: Prompt) -> Iterator[Finding]:
    """Yields the findings."""
    if prompt.format != "markdown" or not prompt.segments:
        return
    last = prompt.segments[-1]
    if last.kind != "fence":
        return
    text = prompt.load(last.start, last.end)
    opening = text.lstrip(b" ").split(b"\n", 1)[0]
    mark = opening[: len(opening) - len(opening.lstrip(opening[:1]))]
    closing = text.rstrip().rsplit(b"\n", 1)[-1].strip() if b"\n" in text.rstrip() else b""
    if not (closing.startswith(mark) and not closing.strip(mark[:1])):
        yield Finding("AL402", "this fence is never closed", "warning", last.start, last.start + len(opening))
