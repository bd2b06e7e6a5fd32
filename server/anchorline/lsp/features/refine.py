"""`anchorline/refine` and the command `anchorline.refine`: propose, never apply silently."""

import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

from anchorline.lsp import edits, protocol
from anchorline.lsp.documents import Document
from anchorline.lsp.features import plan

if TYPE_CHECKING:
    from anchorline.lsp.server import Server

TITLE = "Refining the prompt"


def refine(server: "Server", params: protocol.RefineParams) -> Awaitable[protocol.RefineResult]:
    """Refine the draft of a document, a range of one, or a body."""
    return _refine(server, plan.ask(server, params), params.work_done_token)


async def _refine(server: "Server", asked: plan.Asked, token: protocol.Token | None) -> protocol.RefineResult:
    async with progress(server, token):
        planned = await plan.make(server, asked)
    return _result(server, planned, _edit(server, planned))


def command(server: "Server", params: protocol.RefineParams) -> Awaitable[protocol.RefineResult]:
    """As `refine`, and apply the edit, which the developer can undo; or say why there is none."""
    return _command(server, plan.ask(server, params), params.work_done_token)


async def _command(
    server: "Server", asked: plan.Asked, token: protocol.Token | None
) -> protocol.RefineResult:
    async with progress(server, token):
        planned = await plan.make(server, asked)
    edit = _edit(server, planned)
    result = _result(server, planned, edit)
    if edit is None:
        server.inform(f"Nothing to refine: {planned.plan.refinement.reason}")
        return result
    params = types.ApplyWorkspaceEditParams(edit, label="Refine prompt")
    applied = await server.workspace_apply_edit_async(params)
    if not applied.applied:
        reason = applied.failure_reason or "no reason given"
        server.warn(f"The editor did not apply the refined prompt: {reason}")
    return result


def _result(
    server: "Server", planned: plan.Planned, edit: types.WorkspaceEdit | None
) -> protocol.RefineResult:
    return protocol.RefineResult(
        plan_id=planned.plan.id,
        refinement=msgspec.to_builtins(planned.plan.refinement),
        edit=server.protocol.plain(edit) if edit is not None else None,
    )


def _edit(server: "Server", planned: plan.Planned) -> types.WorkspaceEdit | None:
    document, changes = planned.asked.document, _changes(planned)
    if document is None or not changes:
        return None
    return edits.workspace_edit(document, changes, server.client_capabilities)


def _changes(planned: plan.Planned) -> list[types.TextEdit]:
    draft, document = planned.prompt.draft, planned.asked.document
    if document is None or draft is None:
        return []
    return edits.of_refinement(document, draft, planned.plan.refinement, planned.asked.base)


async def of_selection(server: "Server", document: Document, selected: protocol.JSON) -> list[types.TextEdit]:
    """Return the edits that refine a selection, given as a range in plain data."""
    try:
        where = msgspec.convert(selected, protocol.Range)
    except msgspec.ValidationError as error:
        raise JsonRpcInvalidParams(str(error)) from None
    identifier = protocol.TextDocument(document.uri)
    planned = await plan.make(
        server, plan.ask(server, protocol.PlanParams(text_document=identifier, range=where))
    )
    return _changes(planned)


@asynccontextmanager
async def progress(server: "Server", token: int | str | None) -> AsyncIterator[None]:
    """Report that work goes on, with the client's token or one of our own, new for each run."""
    if token is None:
        token = await _create(server)
    if token is None:
        yield
        return
    server.protocol.cancellable(token)
    server.progress(types.ProgressParams(token, types.WorkDoneProgressBegin(TITLE, cancellable=True)))
    try:
        yield
    finally:
        server.progress(types.ProgressParams(token, types.WorkDoneProgressEnd()))


async def _create(server: "Server") -> str | None:
    if not get_capability(server.client_capabilities, "window.work_done_progress"):
        return None
    token = str(uuid.uuid4())
    try:
        await server.window_work_done_progress_create_async(types.WorkDoneProgressCreateParams(token))
    except JsonRpcException:
        return None
    return token
