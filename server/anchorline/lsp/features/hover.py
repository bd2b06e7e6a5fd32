"""`textDocument/hover`: the plan in words, and the segment under the cursor."""

from lsprotocol import types
from pygls.capabilities import get_capability

from anchorline import explain
from anchorline.lsp.server import Server


async def hover(server: Server, params: types.HoverParams) -> types.Hover | None:
    """Returns the explanation of a prompt document's plan."""
    document = server.session.documents.get(params.text_document.uri)
    if document is None or not server.session.config.editor.hover:
        return None
    offset = document.offset(params.position)
    analysis = await server.session.analysis(document)
    if analysis is None or analysis.plan is None or analysis.prompt is None:
        return None
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
    return types.Hover(types.MarkupContent(_kind(server), text))


def _kind(server: Server) -> types.MarkupKind:
    formats = get_capability(server.client_capabilities, "text_document.hover.content_format") or []
    is_plain = bool(formats) and types.MarkupKind.Markdown not in formats
    return types.MarkupKind.PlainText if is_plain else types.MarkupKind.Markdown
