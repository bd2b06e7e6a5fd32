"""One client's server: the messages to the client, and the session that answers its messages."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from lsprotocol import converters, types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from anchorline import __version__
from anchorline.lsp import capabilities, protocol
from anchorline.lsp.wire.editor_process import watch
from anchorline.lsp.wire.messages import Protocol

if TYPE_CHECKING:
    from anchorline.lsp.session import EditorSession

Handlers = Mapping[str, Callable[[Any], Any]]
"""Handlers by the name of their method or command."""
log = logging.getLogger(__name__)


class Server(LanguageServer):
    """Offers all features at once, and loads them with the first message after `initialize`.

    `load` returns the handlers and sets `session`. `editor_gone` is called, in any thread, when the editor's process
    has ended.
    """

    protocol: Protocol
    session: "EditorSession"

    def __init__(
        self, load: Callable[["Server", types.InitializeParams], Handlers], log_level: str | None = None
    ) -> None:
        super().__init__(
            "anchorline",
            __version__,
            protocol_cls=Protocol,
            converter_factory=converters.get_converter,
        )
        self.log_level = log_level
        self.editor_gone: Callable[[], None] = lambda: None
        self._load = load
        self._initialize_params: types.InitializeParams | None = None
        self._handlers: Handlers | None = None
        self.protocol.on_initialize = self._initialize
        for method, options in capabilities.FEATURES.items():
            self.feature(method, options)(partial(self._handle, method))
        for command in protocol.COMMANDS:
            self.command(command)(partial(self._handle, command))

    def _initialize(self, params: types.InitializeParams) -> None:
        """Keeps the parameters for the session, and ends when the editor's process has ended."""
        self._initialize_params = params
        pid = params.process_id
        if pid is not None and not watch(pid, self.editor_gone):
            log.warning("the editor's process %d is not visible from here; only stdin is watched", pid)

    def _handle(self, name: str, params: object) -> Any:  # noqa: ANN401  (what the handler returns)
        if self._handlers is None:
            assert self._initialize_params is not None  # noqa: S101  (the protocol refuses what comes before)
            self._handlers = self._load(self, self._initialize_params)
        return self._handlers[name](params)

    async def end(self) -> None:
        """Closes what the session has open."""
        if self._handlers is not None:
            await self.session.end()

    # What the client can do, and what it is asked to do

    def client_can(self, capability: str) -> bool:
        """Whether the client has a capability, named by its path in `ClientCapabilities`."""
        return bool(get_capability(self.client_capabilities, capability))

    @property
    def pulls_diagnostics(self) -> bool:
        """Whether the client asks for diagnostics itself."""
        document = self.client_capabilities.text_document
        return document is not None and document.diagnostic is not None

    @property
    def shows_documents(self) -> bool:
        """Whether the client asks for documents of ours and shows them."""
        return self.client_can("workspace.text_document_content.dynamic_registration") and self.client_can(
            "window.show_document.support"
        )

    def warn(self, message: str) -> None:
        """Shows a warning to the developer."""
        self.window_show_message(types.ShowMessageParams(types.MessageType.Warning, message))

    def inform(self, message: str) -> None:
        """Shows a message to the developer."""
        self.window_show_message(types.ShowMessageParams(types.MessageType.Info, message))

    async def show(self, document: types.ShowDocumentParams) -> bool:
        """Has the client show a document; returns whether it does."""
        try:
            return (await self.window_show_document_async(document)).success
        except JsonRpcException:
            return False
