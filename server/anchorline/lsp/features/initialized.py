"""`initialized`: reads the client's settings and asks to be told of their changes."""

import gc
import logging
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from anchorline.config import FILE_NAME
from anchorline.lsp import configuring, protocol, settings
from anchorline.lsp.server import Server

FILES = "anchorline-files"
SETTINGS = (f"**/{FILE_NAME}",)
INDEXED = ("**/*", "**/.git/HEAD", "**/.git/index")
"""What is watched: the settings alone, or with them what is indexed and what git writes as the branch changes."""
log = logging.getLogger(__name__)


async def initialized(server: Server, _params: types.InitializedParams) -> None:
    """Puts the settings in force, which opens the store."""
    await configuring.ask_client(server)
    _freeze()
    await _register(server)


def _freeze() -> None:
    """Keeps what start-up made out of later garbage collections; there are very many types in lsprotocol."""
    gc.collect()
    gc.freeze()


async def _register(server: Server) -> None:
    """Asks to be told about changes, as far as the client lets us."""
    registrations = []
    if server.client_can("workspace.did_change_configuration.dynamic_registration"):
        options: Any = types.DidChangeConfigurationRegistrationOptions(section=settings.SECTION)
        registrations.append(
            types.Registration("anchorline-settings", types.WORKSPACE_DID_CHANGE_CONFIGURATION, options)
        )
    if server.client_can("workspace.did_change_watched_files.dynamic_registration"):
        patterns = INDEXED if server.session.grounding.is_on else SETTINGS
        watchers = [types.FileSystemWatcher(glob_pattern=pattern) for pattern in patterns]
        options = types.DidChangeWatchedFilesRegistrationOptions(watchers)
        registrations.append(types.Registration(FILES, types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options))
    if server.shows_documents:
        options = types.TextDocumentContentRegistrationOptions(schemes=[protocol.PREVIEW_SCHEME])
        registrations.append(
            types.Registration("anchorline-preview", types.WORKSPACE_TEXT_DOCUMENT_CONTENT, options)
        )
    if registrations:
        try:
            await server.client_register_capability_async(types.RegistrationParams(registrations))
        except JsonRpcException:
            log.warning("the client refuses to tell what changes")
        else:
            if any(each.id == FILES for each in registrations):
                server.session.grounding.watch()
