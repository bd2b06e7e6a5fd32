"""`anchorline/plan` and the command `anchorline.plan`."""

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from lsprotocol import types
from pygls.exceptions import JsonRpcContentModified, JsonRpcInvalidParams

from anchorline import surroundings as domain
from anchorline.lsp import protocol
from anchorline.lsp.documents import Document, to_path
from anchorline.lsp.session import looked, of_document
from anchorline.lsp.wire.messages import RequestFailed
from anchorline.plan import Plan
from anchorline.prompt.model import Prompt, PromptError

if TYPE_CHECKING:
    from anchorline.lsp.server import Server
    from anchorline.workspace.look import Place

SEVERITIES = ("error", "warning", "info", "hint")


class Asked(NamedTuple):
    """What a request asks for, as things stood when it came: later changes of the document don't count.

    `base` is the byte of the document at which the prompt starts; `read` may be called in any thread. `at` is
    the place of a prompt that is a range of a document.
    """

    document: Document | None
    version: int | None
    base: int
    read: Callable[[], Prompt]
    surroundings: domain.Surroundings
    target: str | None
    at: "Place | None" = None


class Planned(NamedTuple):
    """A plan, its prompt, what was asked, and all that was known around the draft."""

    plan: Plan
    prompt: Prompt
    asked: Asked
    around: domain.Surroundings


def plan(server: "Server", params: protocol.PlanParams) -> Awaitable[dict[str, Any]]:
    """Plan a document, a range of one, or a body."""
    return _plan(server, ask(server, params))


async def _plan(server: "Server", asked: Asked) -> dict[str, Any]:
    planned = await make(server, asked)
    return msgspec.to_builtins(planned.plan)  # type: ignore[no-any-return]


def command(server: "Server", params: protocol.PlanParams) -> Awaitable[dict[str, Any]]:
    """As `plan`, and show the plan in one line."""
    return _command(server, ask(server, params))


async def _command(server: "Server", asked: Asked) -> dict[str, Any]:
    from anchorline import explain  # noqa: PLC0415  (after `initialize` is answered)

    planned = await make(server, asked)
    server.inform(explain.line(planned.plan))
    return msgspec.to_builtins(planned.plan)  # type: ignore[no-any-return]


def ask(server: "Server", params: protocol.PlanParams) -> Asked:
    """Note what a request asks for.

    Raises JsonRpcInvalidParams without a prompt, JsonRpcContentModified for another version of the document.
    """
    from anchorline.workspace.look import Place  # noqa: PLC0415  (after `initialize` is answered)

    document = _document(server, params)
    base, at = 0, None
    if document is not None and params.range is not None:
        base = document.offset(_position(params.range.start))
        at = Place(server.session.relative(document.uri), params.range.start.line + 1)
    return Asked(
        document,
        document.version if document is not None else None,
        base,
        _reader(server, params, document),
        surroundings(server, params.surroundings, document),
        params.target,
        at,
    )


async def make(server: "Server", asked: Asked) -> Planned:
    """Make the plan that was asked for, and keep it. Raises what `decide` does."""
    planned = await decide(server, asked)
    keep(server, planned)
    return planned


def keep(server: "Server", planned: Planned) -> None:
    """Keep a plan that is shown, for its outcome, and have it recorded."""
    session = server.session
    session.journal.record(session.remember(planned.plan, planned.prompt, planned.asked.target))


async def decide(server: "Server", asked: Asked) -> Planned:
    """Make the plan that was asked for, beside the event loop.

    Raises JsonRpcContentModified when the document changes meanwhile, RequestFailed when it is no prompt.
    """
    session = server.session
    sources = session.sources()

    def work() -> Planned:
        prompt = of_document(asked.read(), asked.document.uri if asked.document is not None else None)
        around = looked(prompt, asked.surroundings, sources, search=True, at=asked.at)
        return Planned(session.planner.plan(prompt, around, target=asked.target), prompt, asked, around)

    try:
        planned = await session.in_thread(work)
    except PromptError as error:
        raise RequestFailed(f"this is no prompt: {error}") from None
    except OSError as error:
        raise RequestFailed(f"the file can't be read: {error.strerror}") from None
    check_version(server, asked.document, asked.version)
    return planned


def check_version(server: "Server", document: Document | None, version: int | None) -> None:
    """Refuse a result that belongs to an older version of the document."""
    if document is None:
        return
    if not server.session.is_current(document, version):
        raise JsonRpcContentModified("the document has changed")


def _document(server: "Server", params: protocol.PlanParams) -> Document | None:
    if (params.text_document is None) == (params.prompt is None):
        raise JsonRpcInvalidParams("one of textDocument and prompt is needed")
    if params.text_document is None:
        return None
    document = server.session.documents.get(params.text_document.uri)
    if document is None:
        raise JsonRpcInvalidParams("textDocument is not open")
    if params.text_document.version is not None and params.text_document.version != document.version:
        raise JsonRpcContentModified("the document has another version")
    return document


def _reader(server: "Server", params: protocol.PlanParams, document: Document | None) -> Callable[[], Prompt]:
    from anchorline.prompt import formats  # noqa: PLC0415  (after `initialize` is answered)

    if params.prompt is not None:
        body, kind = params.prompt.body, params.prompt.format
        data = body.encode("utf-8", "replace") if isinstance(body, str) else _encoded(body)
        name = "prompt.json" if isinstance(body, dict) else None
        return lambda: formats.read(data, name=name, format=kind, memory=server.session.requests)
    if document is None:
        raise JsonRpcInvalidParams("one of textDocument and prompt is needed")
    if params.range is not None:
        start, end = (
            document.offset(_position(params.range.start)),
            document.offset(_position(params.range.end)),
        )
        data = document.data[start:end]
        return lambda: formats.read(data, name="selection.md", format="markdown")
    if server.session.serving(document) == "transcript" and (path := to_path(document.uri)) is not None:
        return lambda: formats.read_file(path)
    data, name = document.data, document.name
    return lambda: formats.read(data, name=name)


def _encoded(body: protocol.JSON) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:  # half an emoji, which only its escape can stand for
        return json.dumps(body, separators=(",", ":")).encode("ascii")


def _position(place: protocol.Position) -> types.Position:
    return types.Position(place.line, place.character)


def surroundings(
    server: "Server", given: protocol.Surroundings, document: Document | None
) -> domain.Surroundings:
    """Return what the client tells, and what the open documents tell where it is silent."""
    session = server.session
    known = session.surroundings(document)
    selection = given.selection
    return domain.Surroundings(
        active_file=session.relative(given.active_file) if given.active_file else known.active_file,
        selection=domain.Selection(
            session.relative(selection.uri),
            selection.range.start.line + 1,
            selection.range.end.line + 1,
            selection.text,
        )
        if selection is not None
        else None,
        symbol=given.symbol,
        diagnostics=tuple(_diagnostic(server, each) for each in given.diagnostics),
        open_files=tuple(session.relative(each) for each in given.open_files) or known.open_files,
        recent_edits=tuple(session.relative(each) for each in given.recent_edits),
        workspace_root=known.workspace_root,
    )


def _diagnostic(server: "Server", given: protocol.EditorDiagnostic) -> domain.Diagnostic:
    path = server.session.relative(given.uri)
    severity = SEVERITIES[given.severity - 1]
    return domain.Diagnostic(path, given.range.start.line + 1, given.message, severity)
