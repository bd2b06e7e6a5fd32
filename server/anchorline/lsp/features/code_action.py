"""`textDocument/codeAction`: what can be changed about a prompt, each as an edit that the editor can undo.

Clients that resolve get the edit when the developer picks the action; the others get it at once. Either way
it belongs to one version of the document. Where a local model helps to refine, "Refine prompt" is a command
instead: it takes seconds, shows progress, can be cancelled, and applies its edit in the end.
"""

from collections.abc import Sequence

import msgspec
from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcContentModified, JsonRpcInvalidParams

from anchorline.lint.finding import Finding
from anchorline.lsp import edits, publishing, refining
from anchorline.lsp.analysis import DocumentAnalysis
from anchorline.lsp.documents import Document
from anchorline.lsp.protocol import JSON
from anchorline.lsp.server import Server
from anchorline.plan import Addition, Plan
from anchorline.prompt.model import Draft, Prompt
from anchorline.refine import context_lines

REFINE = "Refine prompt"
SELECTION = "Refine selection as a prompt"
PREVIEW = "Preview the refined prompt"
BREAKPOINTS = "Insert cache breakpoints"
ALL_CONTEXT = "Add all context"
STRUCTURE = "Structure the prompt"
CONTEXT_KIND = "refactor.context"
STRUCTURE_KIND = "refactor.structure"
"""Kinds of their own: who asks for `refactor.rewrite` gets the one refinement, and need not choose."""


async def code_action(server: Server, params: types.CodeActionParams) -> list[types.CodeAction]:
    """Returns what can be done about the prompt at a range."""
    document = server.session.documents.get(params.text_document.uri)
    if document is None:
        return []
    start, end = document.offset(params.range.start), document.offset(params.range.end)
    analysis = await server.session.analysis(document)
    actions = _actions(server, document, analysis, start, end)
    if analysis is not None and _is_here(server, document, analysis, start, end):
        actions += _structure(document, analysis)
        if _is_wanted(CONTEXT_KIND, params.context.only):
            actions += await _context(server, document, analysis)
    in_prompt = server.session.serving(document) == "prompt"
    if start < end and (analysis is None or (in_prompt and _is_part(analysis.prompt, start, end))):
        actions.append(_about_selection(server, document, params.range))
    actions = [action for action in actions if _is_asked_for(action, params.context.only)]
    if params.context.only and any(action.title == SELECTION for action in actions):
        # Who asks for a rewrite of a part means that part: an editor with one action need not ask which.
        actions = [action for action in actions if action.title not in (REFINE, PREVIEW)]
    if _resolves(server):
        return actions
    for action in actions:
        if action.command is None:
            action.edit = await _edit(server, document, analysis, action.data)
            action.data = None
    return [action for action in actions if action.edit is not None or action.command is not None]


async def resolve(server: Server, action: types.CodeAction) -> types.CodeAction:
    """Adds the edit to an action. Refused (ContentModified) when the document has changed since."""
    if action.command is not None:
        return action
    data = action.data
    if not isinstance(data, dict) or not isinstance(data.get("uri"), str):
        raise JsonRpcInvalidParams("this code action is not one of Anchorline's")
    document = server.session.documents.get(data["uri"])
    if document is None or document.version != data.get("version"):
        raise JsonRpcContentModified("the document has changed")
    action.edit = await _edit(server, document, await server.session.analysis(document), data)
    if action.edit is None:
        raise JsonRpcContentModified("nothing is proposed for the document any more")
    return action


def _is_part(prompt: Prompt | None, start: int, end: int) -> bool:
    """Whether a range is a part of the prompt's draft; "Refine prompt" is for all of it."""
    if prompt is None or prompt.draft is None:
        return False
    draft = prompt.draft
    return draft.start < end and start < draft.end and (start > draft.start or end < draft.end)


def _actions(
    server: Server, document: Document, analysis: DocumentAnalysis | None, start: int, end: int
) -> list[types.CodeAction]:
    if analysis is None:
        return []
    return [*_fixes(document, analysis, start, end), *_rewrites(server, document, analysis, start, end)]


def _about_selection(server: Server, document: Document, selection: types.Range) -> types.CodeAction:
    span = {
        "start": {"line": selection.start.line, "character": selection.start.character},
        "end": {"line": selection.end.line, "character": selection.end.character},
    }
    if refining.asks_model(server):
        return _command(SELECTION, "anchorline.refine", document, range=span)
    return _action(SELECTION, types.CodeActionKind.RefactorRewrite, document, range=span)


def _fixes(document: Document, analysis: DocumentAnalysis, start: int, end: int) -> list[types.CodeAction]:
    actions = []
    for number, finding in enumerate(analysis.findings):
        if finding.fix and _is_on_lines(document, finding, start, end):
            title = finding.fix_title or f"Fix {finding.code}"
            action = _action(title, types.CodeActionKind.QuickFix, document, finding=number)
            action.diagnostics = [publishing.diagnostic(document, finding)]
            actions.append(action)
    return actions


def _is_on_lines(document: Document, finding: Finding, start: int, end: int) -> bool:
    """Whether a range touches a line of a finding: the cursor may be anywhere in it."""
    first, _ = document.line(document.position(finding.start).line)
    _, last = document.line(document.position(max(finding.end - 1, finding.start)).line)
    return first <= end and last >= start


def _rewrites(
    server: Server, document: Document, analysis: DocumentAnalysis, start: int, end: int
) -> list[types.CodeAction]:
    plan, prompt = analysis.plan, analysis.prompt
    if plan is None or prompt is None:
        return []
    actions = []
    asks_model, is_proposed = refining.asks_model(server), plan.refinement.status == "proposed"
    if (is_proposed or asks_model) and _is_here(server, document, analysis, start, end):
        if asks_model:
            actions.append(_command(REFINE, "anchorline.refine", document))
        else:
            action = _action(REFINE, types.CodeActionKind.RefactorRewrite, document, refine=plan.id)
            action.is_preferred = False
            actions.append(action)
        if server.shows_documents:
            actions.append(_command(PREVIEW, "anchorline.preview", document))
    is_offered = any(
        finding.fix_title == BREAKPOINTS and _is_on_lines(document, finding, start, end)
        for finding in analysis.findings
    )
    if not is_offered and edits.splices_of_plan(prompt, plan):
        actions.append(_action(BREAKPOINTS, types.CodeActionKind.RefactorRewrite, document, anchors=plan.id))
    if actions:
        server.session.remember(plan, prompt)
    return actions


def _is_here(server: Server, document: Document, analysis: DocumentAnalysis, start: int, end: int) -> bool:
    """Whether a range is in the draft. Of a prompt its front matter counts too; a body has much that is no draft."""
    draft = analysis.prompt.draft if analysis.prompt is not None else None
    if draft is None:
        return False
    return server.session.serving(document) == "prompt" or (draft.start <= end and draft.end >= start)


def _structure(document: Document, analysis: DocumentAnalysis) -> list[types.CodeAction]:
    plan = analysis.plan
    if plan is None or plan.refinement.structure is None:
        return []
    return [_action(STRUCTURE, STRUCTURE_KIND, document, structure=plan.id)]


async def _context(server: Server, document: Document, analysis: DocumentAnalysis) -> list[types.CodeAction]:
    """Returns an action for each line that the workspace has to add to the draft, and one for all of them."""
    plan, prompt = analysis.plan, analysis.prompt
    if plan is None or prompt is None:
        return []
    version = document.version
    additions = await refining.additions_to(server, plan, prompt, document)
    if not server.session.is_current(document, version):
        raise JsonRpcContentModified("the document has changed")
    if not additions:
        return []
    refinement = msgspec.structs.replace(plan.refinement, additions=additions)
    server.session.remember(msgspec.structs.replace(plan, refinement=refinement), prompt)
    actions = [
        _action(_title(addition), CONTEXT_KIND, document, plan=plan.id, add=[addition.id])
        for addition in additions
    ]
    if len(additions) > 1:
        ids = [addition.id for addition in additions]
        actions.append(_action(ALL_CONTEXT, CONTEXT_KIND, document, plan=plan.id, add=ids))
    return actions


def _title(addition: Addition) -> str:
    what = "check" if addition.kind == "command" else "context"
    fact = addition.text.removeprefix(context_lines.CONTEXT).removeprefix(context_lines.CHECK)
    return f"Add {what}: {fact} ({addition.reason})"


def _action(
    title: str, kind: types.CodeActionKind | str, document: Document, **data: JSON
) -> types.CodeAction:
    return types.CodeAction(
        title=title, kind=kind, data={"uri": document.uri, "version": document.version, **data}
    )


def _command(title: str, command: str, document: Document, **more: JSON) -> types.CodeAction:
    argument = {"textDocument": {"uri": document.uri, "version": document.version}, **more}
    return types.CodeAction(
        title=title,
        kind=types.CodeActionKind.RefactorRewrite,
        command=types.Command(title=title, command=command, arguments=[argument]),
    )


def _is_asked_for(action: types.CodeAction, only: Sequence[types.CodeActionKind | str] | None) -> bool:
    return _is_wanted(_value(action.kind), only)


def _is_wanted(kind: str, only: Sequence[types.CodeActionKind | str] | None) -> bool:
    return not only or any(kind == base or kind.startswith(f"{base}.") for base in map(_value, only))


def _value(kind: types.CodeActionKind | str | None) -> str:
    return str(getattr(kind, "value", kind))


def _resolves(server: Server) -> bool:
    properties = get_capability(
        server.client_capabilities, "text_document.code_action.resolve_support.properties", []
    )
    return "edit" in properties and server.client_can("text_document.code_action.data_support")


async def _edit(
    server: Server, document: Document, analysis: DocumentAnalysis | None, data: JSON
) -> types.WorkspaceEdit | None:
    changes: list[types.TextEdit] = []
    if "range" in data:
        changes = await refining.selection_edits(server, document, data["range"])
    elif analysis is None:
        changes = []
    elif "finding" in data:
        number = data["finding"]
        if isinstance(number, int) and 0 <= number < len(analysis.findings):
            changes = edits.of_splices(document, analysis.findings[number].fix)
    elif analysis.plan is not None and analysis.prompt is not None:
        if analysis.prompt.draft is not None and "anchors" not in data:
            changes = _of_draft(server, document, analysis.plan, analysis.prompt.draft, data)
        else:
            changes = edits.of_splices(document, edits.splices_of_plan(analysis.prompt, analysis.plan))
    return edits.workspace_edit(document, changes, server.client_capabilities) if changes else None


def _of_draft(
    server: Server, document: Document, plan: Plan, draft: Draft, data: JSON
) -> list[types.TextEdit]:
    """Returns the edits of the draft that an action is about, and watches what becomes of them."""
    plan_id, chosen = plan.id, tuple[Addition, ...]()
    if "refine" in data:
        changes = edits.of_refinement(document, draft, plan.refinement)
    elif "structure" in data:
        changes = edits.of_structure(document, draft, plan.refinement)
    else:
        plan_id = str(data.get("plan"))  # the newest one may have been made since, of the same text
        remembered = server.session.journal.plans.get(plan_id)
        additions = remembered.plan.refinement.additions if remembered is not None else ()
        ids = data.get("add")
        chosen = tuple(each for each in additions if isinstance(ids, list) and each.id in ids)
        changes = edits.of_additions(document, draft, chosen)
    span = draft.start, draft.end
    server.session.proposals.offer(plan.id, document, span, changes, chosen, is_structure="structure" in data)
    return changes
