"""Code lens: one line with the plan at the top of a prompt, where the developer asked for it."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from lsprotocol import types

from anchorline.lsp.analysis import Pending
from anchorline.lsp.documents import Document

if TYPE_CHECKING:
    from anchorline.lsp.server import Server


def code_lens(
    server: "Server", params: types.CodeLensParams
) -> Awaitable[list[types.CodeLens]] | list[types.CodeLens]:
    """Return the line. Its command is complete at once: not every client resolves."""
    document = server.session.documents.get(params.text_document.uri)
    if document is None or not server.session.config.editor.code_lens:
        return []
    return _code_lens(server, document, server.session.analysis(document))


async def _code_lens(server: "Server", document: Document, pending: Pending) -> list[types.CodeLens]:
    analysis = await pending
    if analysis is None or analysis.plan is None or analysis.prompt is None:
        return []
    from anchorline import explain  # noqa: PLC0415  (after `initialize` is answered)

    server.session.remember(analysis.plan, analysis.prompt)
    command = types.Command(
        explain.line(analysis.plan), "anchorline.explain", arguments=[{"planId": analysis.plan.id}]
    )
    return [types.CodeLens(document.range(0, 0), command)]
