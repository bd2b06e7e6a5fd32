"""Refines drafts: the rules' proposal at once, then the same with the corrections that the local model chooses."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

from anchorline.generation import LanguageModel
from anchorline.lsp import edits, planning, protocol
from anchorline.lsp.documents import Document
from anchorline.lsp.planning import PlannedPrompt, PlanRequest
from anchorline.lsp.server import Server
from anchorline.plan import Addition, Plan
from anchorline.prompt.model import Prompt
from anchorline.refine import doubts
from anchorline.workspace import symbols

TITLE = "Refining the prompt"
Report = Callable[[str], None]


async def refine(server: Server, request: PlanRequest, params: protocol.RefineParams) -> PlannedPrompt:
    """Makes a plan whose refinement is the best that the rules and the local model have, and keeps it.

    Raises what `planning.plan` raises; JsonRpcContentModified as soon as the document changes.
    """
    session = server.session
    async with progress(server, params.work_done_token) as report:
        planned = await grounded(server, await planning.decide(session, request))
        model = _model(server)
        if model is not None and planned.prompt.draft is not None:
            planned = await _corrected(server, planned, model, params.partial_result_token, report)
    planning.keep(session, planned)
    watch(server, planned)
    return planned


async def _corrected(
    server: Server,
    planned: PlannedPrompt,
    model: LanguageModel,
    token: protocol.Token | None,
    report: Report,
) -> PlannedPrompt:
    draft, request = planned.prompt.draft, planned.request
    if draft is None:
        return planned
    if token is not None:
        first = protocol.Proposal(msgspec.to_builtins(planned.plan.refinement))
        server.progress(types.ProgressParams(token, msgspec.to_builtins(first)))
    forget = model.observe(lambda status: report(f"{status.model} {status.state}"))
    correcting = asyncio.ensure_future(
        doubts.correct(
            draft.text,
            planned.plan.refinement,
            planned.surroundings,
            model,
            seconds=server.session.config.refine.model_seconds,
        )
    )
    awaited: list[asyncio.Future[Any]] = [correcting]
    if request.document is not None:
        awaited.append(request.document.next_version())
    try:
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        planning.check_version(server.session, request)
        refinement = await correcting
    finally:
        forget()
        for future in awaited:
            future.cancel()
    return planned._replace(plan=msgspec.structs.replace(planned.plan, refinement=refinement))


async def grounded(server: Server, planned: PlannedPrompt) -> PlannedPrompt:
    """Returns a plan with what the workspace has to add to its draft; as it is where that is not known in time.

    Raises JsonRpcContentModified when the document changes meanwhile.
    """
    document, recent = planned.request.document, planned.surroundings.recent_edits
    if not _takes_additions(planned):
        return planned
    additions = await additions_to(server, planned.plan, planned.prompt, document, recent)
    planning.check_version(server.session, planned.request)
    refinement = msgspec.structs.replace(planned.plan.refinement, additions=additions)
    return planned._replace(plan=msgspec.structs.replace(planned.plan, refinement=refinement))


def _takes_additions(planned: PlannedPrompt) -> bool:
    """Whether lines may be added to a prompt: not within source code, where they would be no comment."""
    document, at = planned.request.document, planned.request.at
    return document is None or at is None or symbols.language(at.path) is None


async def additions_to(
    server: Server, plan: Plan, prompt: Prompt, document: Document | None, recent: Sequence[str] = ()
) -> tuple[Addition, ...]:
    """Returns what could be added to a prompt's draft: nothing to standing instructions, which are no task."""
    session = server.session
    if prompt.draft is None or plan.instructions is not None or not session.config.refine.enabled:
        return ()
    if not session.grounding.is_on:
        return ()
    decisions = await session.journal.recording.addition_decisions()
    return await session.grounding.additions(
        prompt.draft.text, document, recent, decisions, refined=plan.refinement.text
    )


def asks_model(server: Server) -> bool:
    """Whether a refinement takes a local model's time."""
    model = _model(server)
    return model is not None and model.status.state not in ("absent", "failed")


def _model(server: Server) -> LanguageModel | None:
    """Returns the local model; None where it is not to be asked."""
    settings = server.session.config.refine
    return server.session.model if settings.enabled and settings.model_seconds > 0 else None


def edit(server: Server, planned: PlannedPrompt) -> types.WorkspaceEdit | None:
    """Returns the edit that applies a refinement; None where there is no document or nothing to change."""
    document, changes = planned.request.document, _changes(planned)
    if document is None or not changes:
        return None
    return edits.workspace_edit(document, changes, server.client_capabilities)


def _changes(planned: PlannedPrompt) -> list[types.TextEdit]:
    draft, document = planned.prompt.draft, planned.request.document
    if document is None or draft is None:
        return []
    return edits.of_refinement(document, draft, planned.plan.refinement, planned.request.base)


def context(server: Server, planned: PlannedPrompt) -> types.WorkspaceEdit | None:
    """Returns the edit that adds each of a refinement's additions, a change each; None where nothing can be added."""
    document, draft = planned.request.document, planned.prompt.draft
    if document is None or draft is None:
        return None
    changes = edits.beside_refinement(document, draft, planned.plan.refinement, planned.request.base)
    return edits.workspace_edit(document, changes, server.client_capabilities) if changes else None


def watch(server: Server, planned: PlannedPrompt) -> None:
    """Watches what becomes of a refinement of a document."""
    document, draft, base = planned.request.document, planned.prompt.draft, planned.request.base
    if document is not None and draft is not None:
        span = base + draft.start, base + draft.end
        server.session.proposals.offer(planned.plan.id, document, span, _changes(planned))


async def selection_edits(
    server: Server, document: Document, selection: protocol.JSON
) -> list[types.TextEdit]:
    """Returns the edits that refine a selection, given as a range in plain data."""
    try:
        selected = msgspec.convert(selection, protocol.Range)
    except msgspec.ValidationError as error:
        raise JsonRpcInvalidParams(str(error)) from None
    params = protocol.PlanParams(text_document=protocol.TextDocument(document.uri), range=selected)
    planned = await planning.plan(server.session, planning.resolve(server.session, params))
    watch(server, planned)
    return _changes(planned)


@asynccontextmanager
async def progress(server: Server, token: int | str | None) -> AsyncIterator[Report]:
    """Reports that work goes on, with the client's token or one of our own, new for each run.

    Gives what shows a message beside the title; the same message again is not sent.
    """
    if token is None:
        token = await _create_token(server)
    if token is None:
        yield lambda _message: None
        return
    shown = ""

    def report(message: str) -> None:
        nonlocal shown
        if message != shown:
            shown = message
            server.progress(types.ProgressParams(token, types.WorkDoneProgressReport(message=message)))

    server.protocol.cancellable(token)
    server.progress(types.ProgressParams(token, types.WorkDoneProgressBegin(TITLE, cancellable=True)))
    try:
        yield report
    finally:
        server.progress(types.ProgressParams(token, types.WorkDoneProgressEnd()))


async def _create_token(server: Server) -> str | None:
    if not server.client_can("window.work_done_progress"):
        return None
    token = str(uuid.uuid4())
    try:
        await server.window_work_done_progress_create_async(types.WorkDoneProgressCreateParams(token))
    except JsonRpcException:
        return None
    return token
