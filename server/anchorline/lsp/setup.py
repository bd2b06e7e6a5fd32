"""Loads the features and binds each to its method: the only place that does, once `initialize` is answered.

A handler is a function of `features/`, given the server and the request's parameters. It runs up to its first `await`
before the next message is taken, so what it reads by then is as the client saw it.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

from lsprotocol import types

from anchorline.lsp import protocol, publishing, settings
from anchorline.lsp.documents import to_path
from anchorline.lsp.features import (
    code_action,
    code_lens,
    configuration,
    diagnostics,
    explain,
    feedback,
    hover,
    initialized,
    inlay_hint,
    outcome,
    plan,
    preview,
    refine,
    report,
    status,
    sync,
)
from anchorline.lsp.server import Handlers, Server
from anchorline.lsp.session import EditorSession

METHODS: dict[str, Callable[[Server, Any], Any]] = {
    types.INITIALIZED: initialized.initialized,
    types.WORKSPACE_DID_CHANGE_CONFIGURATION: configuration.did_change,
    types.WORKSPACE_DID_CHANGE_WATCHED_FILES: configuration.files_changed,
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: configuration.folders_changed,
    types.TEXT_DOCUMENT_DID_OPEN: sync.did_open,
    types.TEXT_DOCUMENT_DID_CHANGE: sync.did_change,
    types.TEXT_DOCUMENT_DID_SAVE: sync.did_save,
    types.TEXT_DOCUMENT_DID_CLOSE: sync.did_close,
    types.TEXT_DOCUMENT_DIAGNOSTIC: diagnostics.pull,
    types.TEXT_DOCUMENT_CODE_ACTION: code_action.code_action,
    types.CODE_ACTION_RESOLVE: code_action.resolve,
    types.TEXT_DOCUMENT_HOVER: hover.hover,
    types.TEXT_DOCUMENT_INLAY_HINT: inlay_hint.inlay_hint,
    types.TEXT_DOCUMENT_CODE_LENS: code_lens.code_lens,
    types.WORKSPACE_TEXT_DOCUMENT_CONTENT: preview.content,
}
"""Handlers of the protocol's own methods."""


class OwnRequest(NamedTuple):
    """A request of Anchorline's, which is a command as well: the command shows the developer what the request returns.

    `show` may return another result for the command.
    """

    handler: Callable[[Server, Any], Awaitable[Any]]
    show: Callable[[Server, Any], Awaitable[Any]]

    async def command(self, server: Server, params: object) -> Any:  # noqa: ANN401  (any result)
        """Answers the request and shows the result."""
        result = await self.handler(server, params)
        shown = await self.show(server, result)
        return result if shown is None else shown


REQUESTS: dict[str, OwnRequest] = {
    protocol.PLAN: OwnRequest(plan.plan, plan.show),
    protocol.REFINE: OwnRequest(refine.refine, refine.apply),
    protocol.PREVIEW: OwnRequest(preview.preview, preview.show),
    protocol.OUTCOME: OwnRequest(outcome.outcome, outcome.show),
    protocol.FEEDBACK: OwnRequest(feedback.feedback, feedback.show),
    protocol.EXPLAIN: OwnRequest(explain.explain, explain.show),
    protocol.STATUS: OwnRequest(status.status, status.show),
    protocol.REPORT: OwnRequest(report.report, report.show),
}


def load(server: Server, params: types.InitializeParams) -> Handlers:
    """Begins the server's session with the parameters of `initialize`; returns the handlers."""
    session = EditorSession(server.warn, partial(publishing.refresh, server))
    folders = [folder.uri for folder in params.workspace_folders or []] or [params.root_uri or ""]
    session.workspace.follow(path for folder in folders if (path := to_path(folder)) is not None)
    session.settings.trusted = settings.trusted(params.initialization_options)
    session.read_settings(settings.section(params.initialization_options))
    server.session = session
    return {
        **{method: partial(handler, server) for method, handler in METHODS.items()},
        **{method: partial(request.handler, server) for method, request in REQUESTS.items()},
        **{
            protocol.command(method): partial(request.command, server) for method, request in REQUESTS.items()
        },
    }
