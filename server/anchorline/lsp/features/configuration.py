"""`workspace/didChange{Configuration,WatchedFiles,WorkspaceFolders}`: settings that change."""

from lsprotocol import types

from anchorline.lsp import configuring, settings
from anchorline.lsp.documents import to_path
from anchorline.lsp.server import Server


async def did_change(server: Server, params: types.DidChangeConfigurationParams) -> None:
    """Takes in pushed settings; asks a client for them that can be asked."""
    server.session.read_settings(settings.section(params.settings) or None)
    await configuring.ask_client(server)


def file_changed(server: Server, _params: types.DidChangeWatchedFilesParams) -> None:
    """Reads an `anchorline.toml` that was changed."""
    configuring.read_again(server)


def folders_changed(server: Server, params: types.DidChangeWorkspaceFoldersParams) -> None:
    """Follows the workspace's folders; the settings are read again where another one is the first."""
    workspace = server.session.workspace
    before = workspace.root
    removed = {to_path(folder.uri) for folder in params.event.removed}
    added = [path for folder in params.event.added if (path := to_path(folder.uri)) is not None]
    workspace.follow([*(root for root in workspace.roots if root not in removed), *added])
    if workspace.root != before:
        configuring.read_again(server)
