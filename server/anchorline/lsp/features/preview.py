"""`anchorline/preview` and `workspace/textDocumentContent`: a refinement to read. Nothing is changed.

A client that can show a document of ours gets the refinement as one, read-only; the others get it in a message.
"""

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from anchorline import explain
from anchorline.lsp import planning, protocol, refining
from anchorline.lsp.server import Server
from anchorline.plan import Refinement
from anchorline.prompt.model import Prompt

NAME = "refined-prompt.md"


async def preview(server: Server, params: protocol.RefineParams) -> protocol.Preview:
    """Refines, and returns the refinement in words."""
    planned = await refining.refine(server, planning.resolve(server.session, params), params)
    plan_id = planned.plan.id
    uri = f"{protocol.PREVIEW_SCHEME}:/{plan_id}/{NAME}" if server.shows_documents else None
    return protocol.Preview(plan_id, _words(planned.plan.refinement, planned.prompt), uri)


async def show(server: Server, preview: protocol.Preview) -> None:
    """Shows the refinement as a document, or else in a message."""
    uri = preview.uri
    if uri is None or not await server.show(types.ShowDocumentParams(uri, take_focus=True)):
        server.inform(await server.session.plain(preview.markdown))


def content(server: Server, params: types.TextDocumentContentParams) -> types.TextDocumentContentResult:
    """Returns the text of a document of ours: the refinement of a plan of this session."""
    scheme, _, path = params.uri.partition(":")
    plan_id = path.strip("/").partition("/")[0]
    remembered = server.session.journal.plans.get(plan_id) if scheme == protocol.PREVIEW_SCHEME else None
    if remembered is None or remembered.prompt is None:
        raise JsonRpcInvalidParams("this refinement is not known any more; refine the prompt again")
    return types.TextDocumentContentResult(_words(remembered.plan.refinement, remembered.prompt))


def _words(refinement: Refinement, prompt: Prompt) -> str:
    return explain.refined(refinement, prompt.draft.text if prompt.draft is not None else "")
