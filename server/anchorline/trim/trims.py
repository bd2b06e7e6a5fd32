"""The trims of a prompt: the tool results that are sent shorter, and the trims as a plan names them."""

import msgspec

from anchorline.plan import Trim, TrimKind
from anchorline.prompt.model import Prompt
from anchorline.trim.duplicates import duplicates
from anchorline.trim.results import Shortened, Trimmed

_REASONS: dict[TrimKind, str] = {
    "earlier_lines": "lines that stand in an earlier tool result",
    "equal_lines": "equal lines in a row",
    "found_path": "the path before each line of a search",
    "line_numbers": "the spaces before line numbers",
    "terminal_rendering": "colours and overwritten lines of a terminal, which can't be restored",
}


class Trims(msgspec.Struct, frozen=True):
    """The trims of one prompt: `planned` as a plan names them, `results` the tool results that are sent shorter."""

    results: tuple[Trimmed, ...] = ()
    planned: tuple[Trim, ...] = ()


def trims(prompt: Prompt, shortened: Shortened | None, warm: int) -> Trims:
    """Returns what a request is sent without, or what stands twice in a document.

    Nothing up to segment `warm`, which the provider holds, is trimmed anew. Without `shortened` a request has no trims.
    """
    if prompt.format == "markdown":
        return Trims(planned=duplicates(prompt, warm))
    if shortened is None:
        return Trims()
    results = tuple(shortened.shorten(prompt, warm))
    return Trims(results, tuple(_planned(prompt, result) for result in results))


def _planned(prompt: Prompt, result: Trimmed) -> Trim:
    segment = prompt.segments[result.segment]
    reasons = [_REASONS[kind] for kind in result.kinds] or [
        "lines that look like marks of ours are announced"
    ]
    return Trim(
        segment=result.segment,
        pointer=prompt.pointer(result.segment),
        action="shorten",
        original=result.segment,
        tokens_saved=round(segment.tokens * result.saved / max(segment.size, 1)),
        reason=", ".join(reasons),
        kinds=result.kinds,
        restorable="terminal_rendering" not in result.kinds,
    )
