"""Hover: why the plan is as it is."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.capabilities import get_capability

from anchorline.lsp.analysis import Pending

if TYPE_CHECKING:
    from anchorline.lsp.server import Server


def hover(server: "Server", params: types.HoverParams) -> Awaitable[types.Hover | None] | None:
    """Explain the plan of a prompt document, and the segment under the cursor."""
    document = server.session.documents.get(params.text_document.uri)
    if document is None or not server.session.config.editor.hover:
        return None
    return _hover(server, server.session.analysis(document), document.offset(params.position))


async def _hover(server: "Server", pending: Pending, offset: int) -> types.Hover | None:
    analysis = await pending
    if analysis is None or analysis.plan is None or analysis.prompt is None:
        return None
    from anchorline import explain  # noqa: PLC0415  (after `initialize` is answered)

    text = explain.markdown(analysis.plan, analysis.prompt)
    total = 0
    for segment in analysis.prompt.segments:
        total += segment.tokens
        if segment.start <= offset < segment.end:
            text += f"\n\n{explain.segment(segment, total)}"
            break
    outcome = server.session.journal.plans.outcome_of(analysis.plan)
    if outcome is not None:
        text += f"\n\n{explain.happened(analysis.plan, outcome)}"
    formats = get_capability(server.client_capabilities, "text_document.hover.content_format") or []
    plain = bool(formats) and types.MarkupKind.Markdown not in formats
    kind = types.MarkupKind.PlainText if plain else types.MarkupKind.Markdown
    return types.Hover(types.MarkupContent(kind, text))
