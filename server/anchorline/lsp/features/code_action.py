"""Code actions: what can be changed about a prompt, each as an edit that the editor can undo.

Clients that resolve get the edit when the developer picks the action; the others get it at once. Either way
it belongs to one version of the document. Where a local model helps to refine, "Refine prompt" is a command
instead: it takes seconds, shows progress, can be cancelled, and applies its edit in the end.
"""

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcContentModified, JsonRpcInvalidParams

from anchorline.lsp import edits
from anchorline.lsp.analysis import Analysis, Pending
from anchorline.lsp.documents import Document
from anchorline.lsp.features import diagnostics, preview, refine
from anchorline.lsp.protocol import JSON
from anchorline.prompt.model import Prompt

if TYPE_CHECKING:
    from anchorline.lsp.server import Server

OPTIONS = types.CodeActionOptions(
    code_action_kinds=[types.CodeActionKind.QuickFix, types.CodeActionKind.RefactorRewrite],
    resolve_provider=True,
)
REFINE = "Refine prompt"
SELECTION = "Refine selection as a prompt"
PREVIEW = "Preview the refined prompt"
BREAKPOINTS = "Insert cache breakpoints"


def code_action(
    server: "Server", params: types.CodeActionParams
) -> Awaitable[list[types.CodeAction]] | list[types.CodeAction]:
    """Return what can be done about the prompt at a range."""
    document = server.session.documents.get(params.text_document.uri)
    if document is None:
        return []
    return _code_action(server, document, server.session.analysis(document), params)


async def _code_action(
    server: "Server", document: Document, pending: Pending, params: types.CodeActionParams
) -> list[types.CodeAction]:
    start, end = document.offset(params.range.start), document.offset(params.range.end)
    analysis = await pending
    found = []
    if analysis is not None:
        found += [*_fixes(document, analysis, start, end), *_rewrites(server, document, analysis, start, end)]
    in_prompt = server.session.serving(document) == "prompt"
    if start < end and (analysis is None or (in_prompt and _is_part(analysis.prompt, start, end))):
        found.append(_about_selection(server, document, params.range))
    found = [action for action in found if _wanted(action, params.context.only)]
    if params.context.only and any(action.title == SELECTION for action in found):
        # Who asks for a rewrite of a part means that part: an editor with one action need not ask which.
        found = [action for action in found if action.title not in (REFINE, PREVIEW)]
    if _resolves(server):
        return found
    for action in found:
        if action.command is None:
            action.edit = await _edit(server, document, analysis, action.data)
            action.data = None
    return [action for action in found if action.edit is not None or action.command is not None]


def resolve(server: "Server", action: types.CodeAction) -> Awaitable[types.CodeAction]:
    """Add the edit to an action. Refused (ContentModified) when the document has changed since."""
    if action.command is not None:
        return _unchanged(action)
    data = action.data
    if not isinstance(data, dict) or not isinstance(data.get("uri"), str):
        raise JsonRpcInvalidParams("this code action is not one of Anchorline's")
    document = server.session.documents.get(data["uri"])
    if document is None or document.version != data.get("version"):
        raise JsonRpcContentModified("the document has changed")
    return _resolve(server, document, server.session.analysis(document), action)


async def _resolve(
    server: "Server", document: Document, pending: Pending, action: types.CodeAction
) -> types.CodeAction:
    action.edit = await _edit(server, document, await pending, action.data)
    if action.edit is None:
        raise JsonRpcContentModified("nothing is proposed for the document any more")
    return action


async def _unchanged(action: types.CodeAction) -> types.CodeAction:
    return action


def _is_part(prompt: Prompt | None, start: int, end: int) -> bool:
    """Tell whether a range is a part of the prompt's draft: of all of it, "Refine prompt" speaks."""
    if prompt is None or prompt.draft is None:
        return False
    draft = prompt.draft
    return draft.start < end and start < draft.end and (start > draft.start or end < draft.end)


def _about_selection(server: "Server", document: Document, selected: types.Range) -> types.CodeAction:
    where = {
        "start": {"line": selected.start.line, "character": selected.start.character},
        "end": {"line": selected.end.line, "character": selected.end.character},
    }
    if refine.asks_model(server):
        return _commanded(SELECTION, "anchorline.refine", document, range=where)
    return _action(SELECTION, types.CodeActionKind.RefactorRewrite, document, range=where)


def _fixes(document: Document, analysis: Analysis, start: int, end: int) -> list[types.CodeAction]:
    actions = []
    for number, finding in enumerate(analysis.findings):
        line, _ = document.line(document.position(finding.start).line)  # the cursor may be anywhere before it
        if finding.fix and line <= end and finding.end >= start:
            title = finding.fix_title or f"Fix {finding.code}"
            action = _action(title, types.CodeActionKind.QuickFix, document, finding=number)
            action.diagnostics = [diagnostics.of_finding(document, finding)]
            actions.append(action)
    return actions


def _rewrites(
    server: "Server", document: Document, analysis: Analysis, start: int, end: int
) -> list[types.CodeAction]:
    plan, prompt = analysis.plan, analysis.prompt
    if plan is None or prompt is None:
        return []
    actions = []
    draft, proposed = prompt.draft, plan.refinement.status == "proposed"
    asks = refine.asks_model(server)
    if (proposed or asks) and draft is not None and draft.start <= end and draft.end >= start:
        if asks:
            actions.append(_commanded(REFINE, "anchorline.refine", document))
        else:
            action = _action(REFINE, types.CodeActionKind.RefactorRewrite, document, refine=plan.id)
            action.is_preferred = False
            actions.append(action)
        if preview.shows_documents(server):
            actions.append(_commanded(PREVIEW, "anchorline.preview", document))
    offered = any(
        finding.fix_title == BREAKPOINTS and finding.start <= end and finding.end >= start
        for finding in analysis.findings
    )
    if not offered and edits.splices_of_plan(prompt, plan):
        actions.append(_action(BREAKPOINTS, types.CodeActionKind.RefactorRewrite, document, anchors=plan.id))
    if actions:
        server.session.remember(plan, prompt)
    return actions


def _action(title: str, kind: types.CodeActionKind, document: Document, **what: JSON) -> types.CodeAction:
    return types.CodeAction(
        title=title, kind=kind, data={"uri": document.uri, "version": document.version, **what}
    )


def _commanded(title: str, command: str, document: Document, **what: JSON) -> types.CodeAction:
    argument = {"textDocument": {"uri": document.uri, "version": document.version}, **what}
    return types.CodeAction(
        title=title,
        kind=types.CodeActionKind.RefactorRewrite,
        command=types.Command(title=title, command=command, arguments=[argument]),
    )


def _wanted(action: types.CodeAction, only: Sequence[types.CodeActionKind | str] | None) -> bool:
    kind = _value(action.kind)
    return not only or any(kind == wanted or kind.startswith(f"{wanted}.") for wanted in map(_value, only))


def _value(kind: types.CodeActionKind | str | None) -> str:
    return str(getattr(kind, "value", kind))


def _resolves(server: "Server") -> bool:
    properties = get_capability(
        server.client_capabilities, "text_document.code_action.resolve_support.properties", []
    )
    return "edit" in properties and bool(
        get_capability(server.client_capabilities, "text_document.code_action.data_support")
    )


async def _edit(
    server: "Server", document: Document, analysis: Analysis | None, data: JSON
) -> types.WorkspaceEdit | None:
    changes: list[types.TextEdit] = []
    if "range" in data:
        changes = await refine.of_selection(server, document, data["range"])
    elif analysis is None:
        changes = []
    elif "finding" in data:
        number = data["finding"]
        if isinstance(number, int) and 0 <= number < len(analysis.findings):
            changes = edits.of_splices(document, analysis.findings[number].fix)
    elif analysis.plan is not None and analysis.prompt is not None:
        if "refine" in data and analysis.prompt.draft is not None:
            draft = analysis.prompt.draft
            changes = edits.of_refinement(document, draft, analysis.plan.refinement)
            server.session.observed.offer(analysis.plan.id, document, (draft.start, draft.end), changes)
        elif "anchors" in data:
            changes = edits.of_splices(document, edits.splices_of_plan(analysis.prompt, analysis.plan))
    return edits.workspace_edit(document, changes, server.client_capabilities) if changes else None
