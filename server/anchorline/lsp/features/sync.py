"""`textDocument/did{Open,Change,Save,Close}`: the documents as the editor has them."""

import logging

from lsprotocol import types

from anchorline.config import FILE_NAME
from anchorline.lsp import configuring, publishing
from anchorline.lsp.documents import Document, to_path
from anchorline.lsp.server import Server

log = logging.getLogger(__name__)


def did_open(server: Server, params: types.DidOpenTextDocumentParams) -> None:
    """Takes in a document."""
    item = params.text_document
    document = Document(
        item.uri,
        language=item.language_id,
        version=item.version,
        text=item.text,
        encoding=server.server_capabilities.position_encoding or types.PositionEncodingKind.Utf16,
    )
    server.session.documents.put(document)
    publishing.schedule(server, document)


def did_change(server: Server, params: types.DidChangeTextDocumentParams) -> None:
    """Applies changes; the diagnostics follow when no more messages are waiting."""
    document = server.session.documents.get(params.text_document.uri)
    if document is None:
        log.warning("a document that is not open was changed")
        return
    document.change(params.content_changes, params.text_document.version)
    server.session.proposals.changed(document)
    path = to_path(document.uri)
    if path is not None and server.session.serving(document) is None:
        server.session.grounding.recent.add(path)
    publishing.schedule(server, document)


def did_save(server: Server, params: types.DidSaveTextDocumentParams) -> None:
    """Decides about a proposal, lists the files anew, and reads the settings again if they were saved."""
    session, path = server.session, to_path(params.text_document.uri)
    document = session.documents.get(params.text_document.uri)
    if document is not None:
        session.proposals.settle(document)
    session.workspace.files.forget()
    if path is not None:
        session.grounding.changed([path])
    if params.text_document.uri.endswith("/" + FILE_NAME):
        configuring.read_again(server)


def did_close(server: Server, params: types.DidCloseTextDocumentParams) -> None:
    """Forgets a document and takes its diagnostics away."""
    server.session.close(params.text_document.uri)
    publishing.clear(server, params.text_document.uri)
