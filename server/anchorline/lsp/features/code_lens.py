"""`textDocument/codeLens`: one line with the plan at the top of a prompt, where the settings ask for it."""

from lsprotocol import types

from anchorline import explain
from anchorline.lsp.server import Server


async def code_lens(server: Server, params: types.CodeLensParams) -> list[types.CodeLens]:
    """Returns the line. Its command is complete at once: not every client resolves."""
    document = server.session.documents.get(params.text_document.uri)
    if document is None or not server.session.config.editor.code_lens:
        return []
    analysis = await server.session.analysis(document)
    if analysis is None or analysis.plan is None or analysis.prompt is None:
        return []
    server.session.remember(analysis.plan, analysis.prompt)
    command = types.Command(
        explain.line(analysis.plan, server.session.share(analysis.plan)),
        "anchorline.explain",
        arguments=[{"planId": analysis.plan.id}],
    )
    return [types.CodeLens(document.range(0, 0), command)]
