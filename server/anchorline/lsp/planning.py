"""Plans what a request names: an open document, a range of one, or a prompt that is not a document."""

import json
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from lsprotocol import types
from pygls.exceptions import JsonRpcContentModified, JsonRpcInvalidParams

from anchorline.lsp import protocol
from anchorline.lsp.analysis import of_document
from anchorline.lsp.documents import Document, to_path
from anchorline.lsp.prompt_files import name_of
from anchorline.lsp.session import EditorSession
from anchorline.lsp.wire.messages import RequestFailed
from anchorline.lsp.workspace import with_sources
from anchorline.plan import Plan
from anchorline.prompt import formats
from anchorline.prompt.model import Prompt, PromptError
from anchorline.surroundings import Diagnostic, Selection, Surroundings
from anchorline.workspace.look import SourcePosition

SEVERITIES = ("error", "warning", "info", "hint")
NO_PROMPT = "one of textDocument and prompt is needed"


class PlanRequest(NamedTuple):
    """What a request names, as it stood when the request came: later changes of the document don't count.

    `base` is the byte of the document at which the prompt starts; `read` may be called in any thread. `at` is
    the line of a prompt that is a range of a document.
    """

    document: Document | None
    version: int | None
    base: int
    read: Callable[[], Prompt]
    surroundings: Surroundings
    target: str | None
    at: SourcePosition | None = None


class PlannedPrompt(NamedTuple):
    """A plan, its prompt and its request, and the surroundings with what the workspace tells."""

    plan: Plan
    prompt: Prompt
    request: PlanRequest
    surroundings: Surroundings


def resolve(session: EditorSession, params: protocol.PlanParams) -> PlanRequest:
    """Returns what a request names. To be called before the first `await` of a handler.

    Raises JsonRpcInvalidParams without a prompt, JsonRpcContentModified for another version of the document.
    """
    document = _document(session, params)
    base, at = 0, None
    if document is not None and params.range is not None:
        base = document.offset(_position(params.range.start))
        at = SourcePosition(session.workspace.relative(document.uri), params.range.start.line + 1)
    return PlanRequest(
        document,
        document.version if document is not None else None,
        base,
        _reader(session, params, document),
        _surroundings(session, params.surroundings, document),
        params.target,
        at,
    )


async def plan(session: EditorSession, request: PlanRequest) -> PlannedPrompt:
    """Makes a plan and keeps it. Raises what `decide` raises."""
    planned = await decide(session, request)
    keep(session, planned)
    return planned


def keep(session: EditorSession, planned: PlannedPrompt) -> None:
    """Keeps a plan that is shown, for its outcome, and has it recorded."""
    session.journal.record(session.remember(planned.plan, planned.prompt, planned.request.target))


async def decide(session: EditorSession, request: PlanRequest) -> PlannedPrompt:
    """Makes a plan beside the event loop.

    Raises JsonRpcContentModified when the document changes meanwhile, RequestFailed when it is no prompt.
    """
    sources = session.sources()

    def work() -> PlannedPrompt:
        prompt = of_document(request.read(), request.document.uri if request.document is not None else None)
        surroundings = with_sources(request.surroundings, prompt, sources, search=True, at=request.at)
        path = to_path(request.document.uri) if request.document is not None else None
        warm_files = session.warm_files.warm(path.resolve(), time.time()) if path is not None else ()
        decided = session.planner.plan(prompt, surroundings, target=request.target, warm_files=warm_files)
        return PlannedPrompt(decided, prompt, request, surroundings)

    try:
        planned = await session.in_thread(work)
    except PromptError as error:
        raise RequestFailed(f"this is no prompt: {error}") from None
    except OSError as error:
        raise RequestFailed(f"the file can't be read: {error.strerror}") from None
    check_version(session, request)
    return planned


def check_version(session: EditorSession, request: PlanRequest) -> None:
    """Refuses a result that belongs to an older version of the document."""
    if request.document is not None and not session.is_current(request.document, request.version):
        raise JsonRpcContentModified("the document has changed")


def open_document(session: EditorSession, identifier: protocol.TextDocument) -> Document:
    """Returns an open document.

    Raises JsonRpcInvalidParams where it is not open, JsonRpcContentModified where it has another version.
    """
    document = session.documents.get(identifier.uri)
    if document is None:
        raise JsonRpcInvalidParams("textDocument is not open")
    if identifier.version is not None and identifier.version != document.version:
        raise JsonRpcContentModified("the document has another version")
    return document


def _document(session: EditorSession, params: protocol.PlanParams) -> Document | None:
    if (params.text_document is None) == (params.prompt is None):
        raise JsonRpcInvalidParams(NO_PROMPT)
    return open_document(session, params.text_document) if params.text_document is not None else None


def _reader(
    session: EditorSession, params: protocol.PlanParams, document: Document | None
) -> Callable[[], Prompt]:
    model = session.config.route.model
    if params.prompt is not None:
        body, kind = params.prompt.body, params.prompt.format
        data = body.encode("utf-8", "replace") if isinstance(body, str) else _encoded(body)
        name = "prompt.json" if isinstance(body, dict) else None
        return lambda: formats.read(data, name=name, format=kind, memory=session.requests, model=model)
    if document is None:
        raise JsonRpcInvalidParams(NO_PROMPT)
    if params.range is not None:
        start = document.offset(_position(params.range.start))
        data = document.data[start : document.offset(_position(params.range.end))]
        return lambda: formats.read(data, name="selection.md", format="markdown", model=model)
    if session.serving(document) == "transcript" and (path := to_path(document.uri)) is not None:
        return lambda: formats.read_file(path)
    data, named = document.data, name_of(document)
    return lambda: formats.read(data, name=named, model=model)


def _encoded(body: protocol.JSON) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:  # half an emoji, which only its escape can stand for
        return json.dumps(body, separators=(",", ":")).encode("ascii")


def _position(position: protocol.Position) -> types.Position:
    return types.Position(position.line, position.character)


def _surroundings(
    session: EditorSession, given: protocol.Surroundings, document: Document | None
) -> Surroundings:
    """Returns what the client tells, and what the open documents tell where it is silent."""
    relative, of_documents = session.workspace.relative, session.surroundings(document)
    selection = given.selection
    return Surroundings(
        active_file=relative(given.active_file) if given.active_file else of_documents.active_file,
        selection=Selection(
            relative(selection.uri),
            selection.range.start.line + 1,
            selection.range.end.line + 1,
            selection.text,
        )
        if selection is not None
        else None,
        symbol=given.symbol,
        diagnostics=tuple(
            Diagnostic(
                relative(diagnostic.uri),
                diagnostic.range.start.line + 1,
                diagnostic.message,
                SEVERITIES[diagnostic.severity - 1],
            )
            for diagnostic in given.diagnostics
        ),
        open_files=tuple(relative(file) for file in given.open_files) or of_documents.open_files,
        recent_edits=tuple(relative(file) for file in given.recent_edits),
        workspace_root=of_documents.workspace_root,
    )
