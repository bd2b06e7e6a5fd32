"""Code lens: one line with the plan at the top of a prompt, where the developer asked for it."""

from typing import TYPE_CHECKING

from lsprotocol import types

if TYPE_CHECKING:
    from anchorline.lsp.server import Server


def code_lens(server: "Server", params: types.CodeLensParams) -> list[types.CodeLens]:
    """Return the line. Its command is complete at once: not every client resolves."""
    document = server.session.documents.get(params.text_document.uri)
    if document is None or not server.session.config.editor.code_lens:
        return []
    analysis = server.session.analysis(document)
    if analysis is None or analysis.plan is None or analysis.prompt is None:
        return []
    from anchorline import explain  # noqa: PLC0415  (after `initialize` is answered)

    server.session.remember(analysis.plan, analysis.prompt)
    command = types.Command(
        explain.line(analysis.plan), "anchorline.explain", arguments=[{"planId": analysis.plan.id}]
    )
    return [types.CodeLens(document.range(0, 0), command)]
