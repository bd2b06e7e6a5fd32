"""`anchorline/refine` and the command `anchorline.refine`: propose, never apply silently.

The rules answer at once. Where a local model is there, it is asked as well: what it writes streams to the client,
and the answer is the better of both.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

from anchorline.lsp import edits, protocol
from anchorline.lsp.documents import Document
from anchorline.lsp.features import plan

if TYPE_CHECKING:
    from anchorline.generation import LanguageModel
    from anchorline.lsp.server import Server
    from anchorline.refine.templates import Template

TITLE = "Refining the prompt"
Report = Callable[[str], None]


def refine(server: "Server", params: protocol.RefineParams) -> Awaitable[protocol.RefineResult]:
    """Refine the draft of a document, a range of one, or a body."""
    return _refine(server, plan.ask(server, params), params)


async def _refine(
    server: "Server", asked: plan.Asked, params: protocol.RefineParams
) -> protocol.RefineResult:
    return _result(server, await make(server, asked, params))


def command(server: "Server", params: protocol.RefineParams) -> Awaitable[protocol.RefineResult]:
    """As `refine`, and apply the edit, which the developer can undo; or say why there is none."""
    return _command(server, plan.ask(server, params), params)


async def _command(
    server: "Server", asked: plan.Asked, params: protocol.RefineParams
) -> protocol.RefineResult:
    from anchorline import explain  # noqa: PLC0415  (after `initialize` is answered)

    planned = await make(server, asked, params)
    result = _result(server, planned)
    draft = planned.prompt.draft
    said = explain.summary(planned.plan.refinement, draft.text if draft is not None else "")
    edit = _edit(server, planned)
    if edit is None:
        server.inform(said)
        return result
    asking = types.ApplyWorkspaceEditParams(edit, label="Refine prompt")
    applied = await server.workspace_apply_edit_async(asking)
    if applied.applied:
        server.inform(said)
    else:
        reason = applied.failure_reason or "no reason given"
        server.warn(f"The editor did not apply the refined prompt: {reason}")
    return result


async def make(server: "Server", asked: plan.Asked, params: protocol.RefineParams) -> plan.Planned:
    """Make a plan whose refinement is the best that the rules and the local model have, and keep it.

    Raises what `plan.make` raises; JsonRpcContentModified as soon as the document changes.
    """
    async with progress(server, params.work_done_token) as report:
        planned = await plan.decide(server, asked)
        template = _template(server)
        model = server.session.model
        if template is not None and model is not None and planned.prompt.draft is not None:
            planned = await _improved(server, planned, model, template, params.partial_result_token, report)
    plan.keep(server, planned)
    offer(server, planned)
    return planned


async def _improved(
    server: "Server",
    planned: plan.Planned,
    model: "LanguageModel",
    template: "Template",
    token: protocol.Token | None,
    report: Report,
) -> plan.Planned:
    from anchorline.refine import candidate  # noqa: PLC0415  (after `initialize` is answered)

    draft, asked = planned.prompt.draft, planned.asked
    if draft is None:
        return planned

    def partial(value: protocol.Proposal | protocol.Written) -> None:
        if token is not None:
            server.progress(types.ProgressParams(token, msgspec.to_builtins(value)))

    def told(text: str) -> None:
        if text:
            report(f"{model.status.model} writes")
            partial(protocol.Written(text))

    partial(protocol.Proposal(msgspec.to_builtins(planned.plan.refinement)))
    forget = model.observe(lambda status: report(f"{status.model} {status.state}"))
    improving = asyncio.ensure_future(
        candidate.improve(
            draft.text,
            planned.plan.refinement,
            planned.around,
            model,
            template,
            seconds=server.session.config.refine.model_seconds,
            told=told,
        )
    )
    changed = [asked.document.next_version()] if asked.document is not None else []
    awaited: list[asyncio.Future[Any]] = [improving, *changed]
    try:
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        plan.check_version(server, asked.document, asked.version)
        refinement = await improving
    finally:
        forget()
        for each in awaited:
            each.cancel()
    return planned._replace(plan=msgspec.structs.replace(planned.plan, refinement=refinement))


def asks_model(server: "Server") -> bool:
    """Tell whether a refinement that is asked for takes a local model's time."""
    settings, model = server.session.config.refine, server.session.model
    return (
        settings.enabled
        and settings.model_seconds > 0
        and model is not None
        and model.status.state not in ("absent", "failed")
    )


def _template(server: "Server") -> "Template | None":
    """Return what the model is told; None where it is not to be asked."""
    from anchorline.refine import templates  # noqa: PLC0415  (after `initialize` is answered)

    settings, model = server.session.config.refine, server.session.model
    if model is None or not settings.enabled or not settings.model_seconds:
        return None
    try:
        return templates.load(model.status.model, settings.templates)
    except templates.TemplateError as error:
        server.session.report(f"Anchorline uses its own template instead of yours: {error}")
        return templates.load(model.status.model)


def _result(server: "Server", planned: plan.Planned) -> protocol.RefineResult:
    edit = _edit(server, planned)
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


def offer(server: "Server", planned: plan.Planned) -> None:
    """Have it noticed what becomes of a proposal for a document."""
    document, draft, base = planned.asked.document, planned.prompt.draft, planned.asked.base
    if document is not None and draft is not None:
        span = base + draft.start, base + draft.end
        server.session.observed.offer(planned.plan.id, document, span, _changes(planned))


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
    offer(server, planned)
    return _changes(planned)


@asynccontextmanager
async def progress(server: "Server", token: int | str | None) -> AsyncIterator[Report]:
    """Report that work goes on, with the client's token or one of our own, new for each run.

    Gives what shows a message beside the title; the same message again is not sent.
    """
    if token is None:
        token = await _create(server)
    if token is None:
        yield lambda _message: None
        return
    shown = [""]

    def report(message: str) -> None:
        if message != shown[0]:
            shown[0] = message
            server.progress(types.ProgressParams(token, types.WorkDoneProgressReport(message=message)))

    server.protocol.cancellable(token)
    server.progress(types.ProgressParams(token, types.WorkDoneProgressBegin(TITLE, cancellable=True)))
    try:
        yield report
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
