"""Findings about a prompt, pushed after each change or pulled by the client, never both."""

import asyncio
import logging
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcContentModified

from anchorline.lsp.documents import Document

if TYPE_CHECKING:
    from anchorline.lint.finding import Finding
    from anchorline.lsp.server import Server

OPTIONS = types.DiagnosticOptions(
    identifier="anchorline", inter_file_dependencies=False, workspace_diagnostics=False
)
SOURCE = "anchorline"
log = logging.getLogger(__name__)
SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "info": types.DiagnosticSeverity.Information,
    "hint": types.DiagnosticSeverity.Hint,
}


async def of_newest(server: "Server", document: Document) -> list[types.Diagnostic] | None:
    """Return the diagnostics of a document's newest version; None when it is closed meanwhile."""
    session = server.session
    while session.documents.get(document.uri) is document:
        try:
            analysis = await session.analysis(document)
        except JsonRpcContentModified:
            continue
        if analysis is None or not session.config.editor.diagnostics:
            return []
        return [of_finding(document, finding) for finding in analysis.findings]
    return None


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


async def pull(server: "Server", params: types.DocumentDiagnosticParams) -> types.DocumentDiagnosticReport:
    """Answer a client that asks; `unchanged` when it has this version's already."""
    document = server.session.documents.get(params.text_document.uri)
    if document is None:
        return types.RelatedFullDocumentDiagnosticReport(items=[])
    if params.previous_result_id == _result_id(server, document):
        return types.RelatedUnchangedDocumentDiagnosticReport(result_id=params.previous_result_id)
    found = await of_newest(server, document) or []
    return types.RelatedFullDocumentDiagnosticReport(items=found, result_id=_result_id(server, document))


def _result_id(server: "Server", document: Document) -> str:
    return f"{document.version}-{server.session.generation}"


def schedule(server: "Server", document: Document) -> None:
    """Push a document's diagnostics as soon as they are known; while it is being changed, the newest only."""
    session = server.session
    if pulls(server) or not session.ready or document.uri in session.pushing:
        return
    if session.serving(document) not in ("prompt", "body"):
        clear(server, document.uri)
        return
    session.pushing[document.uri] = asyncio.ensure_future(_push(server, document))


async def _push(server: "Server", document: Document) -> None:
    session = server.session
    try:
        found = await of_newest(server, document)
    except Exception:
        log.exception("a document's diagnostics failed")
        return
    finally:
        del session.pushing[document.uri]
    if found is not None:
        session.published.add(document.uri)
        _publish(server, document.uri, document.version, found)
    elif (opened_again := session.documents.get(document.uri)) is not None:
        schedule(server, opened_again)


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
