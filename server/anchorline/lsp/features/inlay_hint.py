"""Inlay hints at the anchors: tokens up to there, lifetime, probability of a hit."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from lsprotocol import types

from anchorline.lsp.analysis import Pending
from anchorline.lsp.documents import Document

if TYPE_CHECKING:
    from anchorline.lsp.server import Server


def inlay_hint(
    server: "Server", params: types.InlayHintParams
) -> Awaitable[list[types.InlayHint]] | list[types.InlayHint]:
    """Return a hint at the end of each segment that the plan anchors."""
    document = server.session.documents.get(params.text_document.uri)
    if document is None or not server.session.config.editor.inlay_hints:
        return []
    start, end = document.offset(params.range.start), document.offset(params.range.end)
    return _inlay_hint(document, server.session.analysis(document), start, end)


async def _inlay_hint(document: Document, pending: Pending, start: int, end: int) -> list[types.InlayHint]:
    analysis = await pending
    if analysis is None or analysis.plan is None or analysis.prompt is None:
        return []
    cache = analysis.plan.cache
    hints = []
    for anchor in cache.anchors:
        place = analysis.prompt.segments[anchor.segment].end
        while place > 0 and document.data[place - 1] in b"\r\n":
            place -= 1
        if start <= place <= end:
            label = f"⚓ {anchor.prefix_tokens} tokens · {anchor.ttl} · P(hit) {cache.p_hit:.0%}"
            hints.append(
                types.InlayHint(document.position(place), label, tooltip=anchor.reason, padding_left=True)
            )
    return hints
