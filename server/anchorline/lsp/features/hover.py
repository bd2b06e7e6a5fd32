"""`textDocument/hover`: the plan in words where it is about the line, elsewhere the segment under the cursor."""

from lsprotocol import types
from pygls.capabilities import get_capability

from anchorline import explain
from anchorline.lsp.analysis import DocumentAnalysis
from anchorline.lsp.documents import Document
from anchorline.lsp.features.inlay_hint import end_of_text
from anchorline.lsp.server import Server


async def hover(server: Server, params: types.HoverParams) -> types.Hover | None:
    """Returns the explanation of a prompt document's plan, or of a segment of it."""
    document = server.session.documents.get(params.text_document.uri)
    if document is None or not server.session.config.editor.hover:
        return None
    offset = document.offset(params.position)
    analysis = await server.session.analysis(document)
    if analysis is None or analysis.plan is None or analysis.prompt is None:
        return None
    parts = []
    if _is_about_plan(document, analysis, offset):
        parts.append(explain.markdown(analysis.plan, analysis.prompt, server.session.share(analysis.plan)))
        outcome = server.session.journal.plans.outcome_of(analysis.plan)
        if outcome is not None:
            parts.append(explain.happened(analysis.plan, outcome))
    total = 0
    for segment in analysis.prompt.segments:
        total += segment.tokens
        if segment.start <= offset < segment.end:
            parts.append(explain.segment(segment, total))
            break
    if not parts:
        return None
    text = "\n\n".join(parts)
    if _wants_plain(server):
        text = await server.session.plain(text)
        return types.Hover(types.MarkupContent(types.MarkupKind.PlainText, text))
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text))


def _is_about_plan(document: Document, analysis: DocumentAnalysis, offset: int) -> bool:
    """Whether a byte is on the first line, on the line of an anchor, or on a finding (in its first line)."""
    line = document.position(offset).line
    if line == 0:
        return True
    for finding in analysis.findings:
        if finding.start <= offset <= finding.end and document.position(finding.start).line == line:
            return True
    if analysis.plan is None or analysis.prompt is None:
        return False
    ends = (
        end_of_text(document, analysis.prompt.segments[anchor.segment])
        for anchor in analysis.plan.cache.anchors
    )
    return any(document.position(end).line == line for end in ends)


def _wants_plain(server: Server) -> bool:
    formats = get_capability(server.client_capabilities, "text_document.hover.content_format") or []
    return bool(formats) and types.MarkupKind.Markdown not in formats
