"""`anchorline/preview`, the command `anchorline.preview` and `workspace/textDocumentContent`: look before you take.

Nothing is changed. A client that can show a document of ours gets the refinement as one, read-only; the others
get it in a message.
"""

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

from anchorline.lsp import protocol
from anchorline.lsp.features import plan, refine

if TYPE_CHECKING:
    from anchorline.lsp.server import Server
    from anchorline.plan import Refinement
    from anchorline.prompt.model import Prompt

SCHEME = "anchorline"
NAME = "refined-prompt.md"


def preview(server: "Server", params: protocol.RefineParams) -> Awaitable[protocol.Preview]:
    """Refine, and return the refinement in words."""
    return _preview(server, plan.ask(server, params), params)


def command(server: "Server", params: protocol.RefineParams) -> Awaitable[protocol.Preview]:
    """As `preview`, and show it."""
    return _command(server, plan.ask(server, params), params)


async def _preview(server: "Server", asked: plan.Asked, params: protocol.RefineParams) -> protocol.Preview:
    planned = await refine.make(server, asked, params)
    plan_id = planned.plan.id
    uri = f"{SCHEME}:/{plan_id}/{NAME}" if shows_documents(server) else None
    return protocol.Preview(plan_id, _words(planned.plan.refinement, planned.prompt), uri)


async def _command(server: "Server", asked: plan.Asked, params: protocol.RefineParams) -> protocol.Preview:
    shown = await _preview(server, asked, params)
    if shown.uri is None or not await _open(server, shown.uri):
        server.inform(shown.markdown)
    return shown


async def _open(server: "Server", uri: str) -> bool:
    try:
        shown = await server.window_show_document_async(types.ShowDocumentParams(uri, take_focus=True))
    except JsonRpcException:
        return False
    return shown.success


def shows_documents(server: "Server") -> bool:
    """Tell whether the client asks for documents of ours and shows them."""
    capabilities = server.client_capabilities
    return bool(
        get_capability(capabilities, "workspace.text_document_content.dynamic_registration")
        and get_capability(capabilities, "window.show_document.support")
    )


def content(server: "Server", params: types.TextDocumentContentParams) -> types.TextDocumentContentResult:
    """Return the text of a document of ours: the refinement of a plan of this session."""
    scheme, _, path = params.uri.partition(":")
    plan_id = path.strip("/").partition("/")[0]
    remembered = server.session.journal.plans.get(plan_id) if scheme == SCHEME else None
    if remembered is None or remembered.prompt is None:
        raise JsonRpcInvalidParams("this refinement is not known any more; refine the prompt again")
    return types.TextDocumentContentResult(_words(remembered.plan.refinement, remembered.prompt))


def _words(refinement: "Refinement", prompt: "Prompt") -> str:
    from anchorline import explain  # noqa: PLC0415  (after `initialize` is answered)

    return explain.refined(refinement, prompt.draft.text if prompt.draft is not None else "")
