"""`textDocument/diagnostic`: the diagnostics of a document, for a client that asks for them."""

from lsprotocol import types

from anchorline.lsp import publishing
from anchorline.lsp.documents import Document
from anchorline.lsp.server import Server


async def pull(server: Server, params: types.DocumentDiagnosticParams) -> types.DocumentDiagnosticReport:
    """Returns the diagnostics; `unchanged` when the client has this version's already."""
    document = server.session.documents.get(params.text_document.uri)
    if document is None:
        return types.RelatedFullDocumentDiagnosticReport(items=[])
    if params.previous_result_id == _result_id(server, document):
        return types.RelatedUnchangedDocumentDiagnosticReport(result_id=params.previous_result_id)
    diagnostics = await publishing.newest(server, document) or []
    return types.RelatedFullDocumentDiagnosticReport(
        items=diagnostics, result_id=_result_id(server, document)
    )


def _result_id(server: Server, document: Document) -> str:
    return f"{document.version}-{server.session.generation}"
