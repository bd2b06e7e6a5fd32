"""`workspace/didChange{Configuration,WatchedFiles,WorkspaceFolders}`: settings, files and folders that change."""

from lsprotocol import types

from anchorline.config import FILE_NAME
from anchorline.lsp import configuring, settings
from anchorline.lsp.documents import to_path
from anchorline.lsp.server import Server


async def did_change(server: Server, params: types.DidChangeConfigurationParams) -> None:
    """Takes in pushed settings; asks a client for them that can be asked."""
    server.session.read_settings(settings.section(params.settings) or None)
    await configuring.ask_client(server)


def files_changed(server: Server, params: types.DidChangeWatchedFilesParams) -> None:
    """Takes in files that were changed, and reads the settings again where their file is among them."""
    session = server.session
    paths = [path for change in params.changes if (path := to_path(change.uri)) is not None]
    session.grounding.changed(paths)
    if any(path.name == FILE_NAME for path in paths):
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
    else:
        server.session.follow_folders()
