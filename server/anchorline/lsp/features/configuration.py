"""Settings from the editor: `workspace/configuration`, pushed settings, and changes of `anchorline.toml`."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException

from anchorline.config import FILE_NAME
from anchorline.live import logs
from anchorline.lsp.documents import to_path
from anchorline.lsp.features import diagnostics, preview
from anchorline.lsp.protocol import JSON

if TYPE_CHECKING:
    from anchorline.lsp.server import Server

SECTION = "anchorline"
TRUSTED = "workspaceTrusted"
"""An editor's initialization option beside the settings; VS Code's extension sends it."""
ANSWER_S = 5.0
log = logging.getLogger(__name__)


def section(settings: JSON) -> dict[str, Any]:
    """Return our settings: editors send them bare or under the name ``anchorline``."""
    if not isinstance(settings, dict):
        return {}
    inner = settings.get(SECTION, settings)
    return (
        {name: value for name, value in inner.items() if name != TRUSTED} if isinstance(inner, dict) else {}
    )


def trusted(options: JSON) -> bool:
    """Tell whether the project's settings may be read: not where the editor says that its user does not trust it."""
    return not (isinstance(options, dict) and options.get(TRUSTED) is False)


async def register(server: "Server") -> None:
    """Ask to be told about changes, as far as the client lets us."""
    wanted = []
    if get_capability(server.client_capabilities, "workspace.did_change_configuration.dynamic_registration"):
        options: Any = types.DidChangeConfigurationRegistrationOptions(section=SECTION)
        wanted.append(
            types.Registration("anchorline-settings", types.WORKSPACE_DID_CHANGE_CONFIGURATION, options)
        )
    if get_capability(server.client_capabilities, "workspace.did_change_watched_files.dynamic_registration"):
        watcher = types.FileSystemWatcher(glob_pattern=f"**/{FILE_NAME}")
        options = types.DidChangeWatchedFilesRegistrationOptions([watcher])
        wanted.append(
            types.Registration("anchorline-files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        )
    if preview.shows_documents(server):
        options = types.TextDocumentContentRegistrationOptions(schemes=[preview.SCHEME])
        wanted.append(
            types.Registration("anchorline-preview", types.WORKSPACE_TEXT_DOCUMENT_CONTENT, options)
        )
    if wanted:
        try:
            await server.client_register_capability_async(types.RegistrationParams(wanted))
        except JsonRpcException:
            log.warning("the client refuses to register for changes of the settings")


async def refresh(server: "Server") -> None:
    """Read all settings anew and show what they change."""
    if get_capability(server.client_capabilities, "workspace.configuration"):
        item = types.ConfigurationItem(section=SECTION)
        asked = server.workspace_configuration_async(types.ConfigurationParams([item]))
        try:
            answer = await asyncio.wait_for(asked, ANSWER_S)
        except (JsonRpcException, TimeoutError):
            log.warning("the client does not tell its settings")
        else:
            # A client without a section of ours answers null: what it said at `initialize` stays in force.
            if answer and answer[0] is not None:
                server.session.read_settings(section(answer[0]))
    apply(server)


def apply(server: "Server") -> None:
    """Put the settings in force."""
    server.session.configure()
    if server.log_level is None:
        logs.set_level(server.session.config.log.level)
    diagnostics.refresh_all(server)


def read_again(server: "Server") -> None:
    """Read the settings' files again and put them in force."""
    server.session.read_settings()
    apply(server)


def did_change(server: "Server", params: types.DidChangeConfigurationParams) -> Awaitable[None] | None:
    """Take in pushed settings; those of a client that wants to be asked are asked for."""
    pushed = section(params.settings)
    server.session.read_settings(pushed or None)
    if get_capability(server.client_capabilities, "workspace.configuration"):
        return refresh(server)
    apply(server)
    return None


def file_changed(server: "Server", _params: types.DidChangeWatchedFilesParams) -> None:
    """Read an `anchorline.toml` that was changed."""
    read_again(server)


def folders_changed(server: "Server", params: types.DidChangeWorkspaceFoldersParams) -> None:
    """Follow the workspace's folders; the settings are read again where another one is the first."""
    session, before = server.session, server.session.root
    gone = {to_path(folder.uri) for folder in params.event.removed}
    added = [path for folder in params.event.added if (path := to_path(folder.uri)) is not None]
    session.follow([*(root for root in session.roots if root not in gone), *added])
    if session.root != before:
        read_again(server)
