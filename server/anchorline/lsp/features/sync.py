"""Opening, changing, saving and closing documents."""

import logging
from typing import TYPE_CHECKING

from lsprotocol import types

from anchorline.config import FILE_NAME
from anchorline.lsp.documents import Document
from anchorline.lsp.features import configuration, diagnostics

if TYPE_CHECKING:
    from anchorline.lsp.server import Server

log = logging.getLogger(__name__)


def did_open(server: "Server", params: types.DidOpenTextDocumentParams) -> None:
    """Take in a document."""
    opened = params.text_document
    document = Document(
        opened.uri,
        language=opened.language_id,
        version=opened.version,
        text=opened.text,
        encoding=server.workspace.position_encoding or types.PositionEncodingKind.Utf16,
    )
    server.session.documents.put(document)
    diagnostics.schedule(server, document)


def did_change(server: "Server", params: types.DidChangeTextDocumentParams) -> None:
    """Apply changes; the diagnostics follow when no more messages are waiting."""
    document = server.session.documents.get(params.text_document.uri)
    if document is None:
        log.warning("a document that is not open was changed")
        return
    document.change(params.content_changes, params.text_document.version)
    server.session.observed.changed(document)
    diagnostics.schedule(server, document)


def did_save(server: "Server", params: types.DidSaveTextDocumentParams) -> None:
    """Decide what became of a proposal, list the files anew, read the settings again if they were saved."""
    document = server.session.documents.get(params.text_document.uri)
    if document is not None:
        server.session.observed.settle(document)
    server.session.files.forget()
    if params.text_document.uri.endswith("/" + FILE_NAME):
        configuration.read_again(server)


def did_close(server: "Server", params: types.DidCloseTextDocumentParams) -> None:
    """Forget a document and take its diagnostics away."""
    server.session.close(params.text_document.uri)
    diagnostics.clear(server, params.text_document.uri)
