"""`anchorline/refine`: a better draft, and the edit that applies it. Nothing is applied silently."""

import msgspec
from lsprotocol import types

from anchorline import explain
from anchorline.lsp import planning, protocol, refining
from anchorline.lsp.server import Server


async def refine(server: Server, params: protocol.RefineParams) -> protocol.RefineResult:
    """Returns the refinement of a document's draft, of a range of one, or of a body."""
    planned = await refining.refine(server, planning.resolve(server.session, params), params)
    edit, context = refining.edit(server, planned), refining.context(server, planned)
    return protocol.RefineResult(
        plan_id=planned.plan.id,
        refinement=msgspec.to_builtins(planned.plan.refinement),
        edit=server.protocol.plain(edit) if edit is not None else None,
        context=server.protocol.plain(context) if context is not None else None,
    )


async def apply(server: Server, result: protocol.RefineResult) -> None:
    """Has the client apply the edit, which the developer can undo; or says why there is none."""
    summary = _summary(server, result.plan_id)
    if result.edit is None:
        server.inform(summary)
        return
    edit = server.protocol.structured(result.edit, types.WorkspaceEdit)
    response = await server.workspace_apply_edit_async(
        types.ApplyWorkspaceEditParams(edit, label="Refine prompt")
    )
    if response.applied:
        server.inform(summary)
    else:
        reason = response.failure_reason or "no reason given"
        server.warn(f"The editor did not apply the refined prompt: {reason}")


def _summary(server: Server, plan_id: str) -> str:
    remembered = server.session.journal.plans.get(plan_id)
    assert remembered is not None  # noqa: S101  (kept a moment ago)
    draft = remembered.prompt.draft if remembered.prompt is not None else None
    return explain.summary(remembered.plan.refinement, draft.text if draft is not None else "")
