"""Diagnostics of prompts: made from findings, and pushed to clients that don't ask for them."""

import asyncio
import logging

from lsprotocol import types
from pygls.exceptions import JsonRpcContentModified

from anchorline.lint.finding import Finding
from anchorline.lint.rules import RULES
from anchorline.lsp.documents import Document
from anchorline.lsp.server import Server

SOURCE = "anchorline"
SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "info": types.DiagnosticSeverity.Information,
    "hint": types.DiagnosticSeverity.Hint,
}
log = logging.getLogger(__name__)


async def newest(server: Server, document: Document) -> list[types.Diagnostic] | None:
    """Returns the diagnostics of a document's newest version; None when it is closed meanwhile."""
    session = server.session
    while session.documents.get(document.uri) is document:
        try:
            analysis = await session.analysis(document)
        except JsonRpcContentModified:
            continue
        if analysis is None or not session.config.editor.diagnostics:
            return []
        return [diagnostic(document, finding) for finding in analysis.findings]
    return None


def diagnostic(document: Document, finding: Finding) -> types.Diagnostic:
    """Returns the diagnostic of one finding, with a link to its rule."""
    rule = RULES.get(finding.code)
    return types.Diagnostic(
        range=document.range(finding.start, finding.end),
        message=finding.message,
        severity=SEVERITIES[finding.severity],
        code=finding.code,
        code_description=types.CodeDescription(rule.link) if rule else None,
        source=SOURCE,
    )


def schedule(server: Server, document: Document) -> None:
    """Pushes a document's diagnostics once they are made; while it is being changed, of the newest version only."""
    session = server.session
    if server.pulls_diagnostics or not session.ready or document.uri in session.pushing:
        return
    if not session.is_planned(document):
        clear(server, document.uri)
        return
    session.pushing[document.uri] = asyncio.ensure_future(_push(server, document))


async def _push(server: Server, document: Document) -> None:
    session = server.session
    try:
        diagnostics = await newest(server, document)
    except Exception:
        log.exception("a document's diagnostics failed")
        return
    finally:
        del session.pushing[document.uri]
    if diagnostics is not None:
        session.published.add(document.uri)
        _publish(server, document.uri, document.version, diagnostics)
    elif (opened_again := session.documents.get(document.uri)) is not None:
        schedule(server, opened_again)


def _publish(server: Server, uri: str, version: int | None, diagnostics: list[types.Diagnostic]) -> None:
    server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, diagnostics, version))


def clear(server: Server, uri: str) -> None:
    """Takes away what was pushed for a document."""
    if uri in server.session.published:
        server.session.published.discard(uri)
        _publish(server, uri, None, [])


def refresh(server: Server) -> None:
    """Has the client show everything anew: the settings or what is warm have changed."""
    if not server.pulls_diagnostics:
        for document in server.session.documents:
            schedule(server, document)
    elif server.client_can("workspace.diagnostics.refresh_support"):
        server.workspace_diagnostic_refresh(None)
    if server.client_can("workspace.inlay_hint.refresh_support"):
        server.workspace_inlay_hint_refresh(None)
    if server.client_can("workspace.code_lens.refresh_support"):
        server.workspace_code_lens_refresh(None)
