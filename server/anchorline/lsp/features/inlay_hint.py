"""`textDocument/inlayHint`: at each anchor the tokens up to there, its TTL and the probability of a hit."""

from lsprotocol import types

from anchorline.figures import count, likely
from anchorline.lsp.documents import Document
from anchorline.lsp.server import Server
from anchorline.prompt.model import Segment


async def inlay_hint(server: Server, params: types.InlayHintParams) -> list[types.InlayHint]:
    """Returns a hint at the end of each segment that the plan anchors."""
    document = server.session.documents.get(params.text_document.uri)
    if document is None or not server.session.config.editor.inlay_hints:
        return []
    start, end = document.offset(params.range.start), document.offset(params.range.end)
    analysis = await server.session.analysis(document)
    if analysis is None or analysis.plan is None or analysis.prompt is None:
        return []
    cache = analysis.plan.cache
    hints = []
    for anchor in cache.anchors:
        offset = end_of_text(document, analysis.prompt.segments[anchor.segment])
        if start <= offset <= end:
            label = f"⚓ {count(anchor.prefix_tokens)} tokens · {anchor.ttl} · P(hit) {likely(cache.p_hit)}"
            hints.append(
                types.InlayHint(document.position(offset), label, tooltip=anchor.reason, padding_left=True)
            )
    return hints


def end_of_text(document: Document, segment: Segment) -> int:
    """Returns where a segment's last line ends, in bytes: there its anchor is shown."""
    offset = segment.end
    while offset > 0 and document.data[offset - 1] in b"\r\n":
        offset -= 1
    return offset
