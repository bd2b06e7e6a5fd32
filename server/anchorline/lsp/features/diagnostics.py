"""Findings about a prompt, pushed after each change or pulled by the client, never both."""

import asyncio
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.capabilities import get_capability

from anchorline.lsp.documents import Document

if TYPE_CHECKING:
    from anchorline.lint.finding import Finding
    from anchorline.lsp.server import Server

OPTIONS = types.DiagnosticOptions(
    identifier="anchorline", inter_file_dependencies=False, workspace_diagnostics=False
)
SOURCE = "anchorline"
SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "info": types.DiagnosticSeverity.Information,
    "hint": types.DiagnosticSeverity.Hint,
}


def of(server: "Server", document: Document) -> list[types.Diagnostic]:
    """Return the diagnostics of a document as it stands now."""
    if not server.session.config.editor.diagnostics:
        return []
    analysis = server.session.analysis(document)
    if analysis is None:
        return []
    return [of_finding(document, finding) for finding in analysis.findings]


def of_finding(document: Document, finding: "Finding") -> types.Diagnostic:
    """Return the diagnostic of one finding, with a link to its rule."""
    from anchorline.lint.rules import RULES  # noqa: PLC0415  (after `initialize` is answered)

    rule = RULES.get(finding.code)
    return types.Diagnostic(
        range=document.range(finding.start, finding.end),
        message=finding.message,
        severity=SEVERITIES[finding.severity],
        code=finding.code,
        code_description=types.CodeDescription(rule.link) if rule else None,
        source=SOURCE,
    )


def pulls(server: "Server") -> bool:
    """Whether the client asks for diagnostics itself."""
    return server.client_capabilities.text_document is not None and (
        server.client_capabilities.text_document.diagnostic is not None
    )


def pull(server: "Server", params: types.DocumentDiagnosticParams) -> types.DocumentDiagnosticReport:
    """Answer a client that asks; `unchanged` when it has this version's already."""
    document = server.session.documents.get(params.text_document.uri)
    if document is None:
        return types.RelatedFullDocumentDiagnosticReport(items=[])
    result_id = f"{document.version}-{server.session.generation}"
    if params.previous_result_id == result_id:
        return types.RelatedUnchangedDocumentDiagnosticReport(result_id=result_id)
    return types.RelatedFullDocumentDiagnosticReport(items=of(server, document), result_id=result_id)


def schedule(server: "Server", document: Document) -> None:
    """Push a document's diagnostics once the messages that have arrived already are taken in."""
    if pulls(server) or not server.session.ready:
        return
    pending = server.session.pending
    if not pending:
        asyncio.get_running_loop().call_soon(_push_pending, server)
    pending.add(document.uri)


def _push_pending(server: "Server") -> None:
    session = server.session
    pending = list(session.pending)
    session.pending.clear()
    for uri in pending:
        document = session.documents.get(uri)
        if document is None:
            continue
        if session.serving(document) in ("prompt", "body"):
            session.published.add(document.uri)
            _publish(server, document.uri, document.version, of(server, document))
        else:
            clear(server, document.uri)


def _publish(server: "Server", uri: str, version: int | None, found: list[types.Diagnostic]) -> None:
    server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found, version))


def clear(server: "Server", uri: str) -> None:
    """Take away what was pushed for a document."""
    if uri in server.session.published:
        server.session.published.discard(uri)
        _publish(server, uri, None, [])


def refresh_all(server: "Server") -> None:
    """Show all diagnostics anew: the settings or what is warm have changed."""
    if not pulls(server):
        for document in server.session.documents:
            schedule(server, document)
    elif get_capability(server.client_capabilities, "workspace.diagnostics.refresh_support"):
        server.workspace_diagnostic_refresh(None)
    if get_capability(server.client_capabilities, "workspace.inlay_hint.refresh_support"):
        server.workspace_inlay_hint_refresh(None)
    if get_capability(server.client_capabilities, "workspace.code_lens.refresh_support"):
        server.workspace_code_lens_refresh(None)
