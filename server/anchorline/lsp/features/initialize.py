"""`initialize` and `initialized`: answer first, get ready after."""

import asyncio
import gc
from typing import TYPE_CHECKING

from lsprotocol import types

from anchorline.lsp.documents import to_path
from anchorline.lsp.features import configuration

if TYPE_CHECKING:
    from anchorline.lsp.server import Server


def initialize(server: "Server", params: types.InitializeParams) -> None:
    """Note the workspace and the settings so far, and watch the editor. Nothing heavy: the editor waits."""
    folders = [folder.uri for folder in params.workspace_folders or []] or [params.root_uri or ""]
    server.session.follow(path for folder in folders if (path := to_path(folder)) is not None)
    options = params.initialization_options
    server.session.trusted = configuration.trusted(options)
    server.session.read_settings(configuration.section(options))
    server.watch_editor(params.process_id)


async def initialized(server: "Server", _params: types.InitializedParams) -> None:
    """Read the settings, load the planner and open the store, while the editor goes on."""
    await configuration.refresh(server)
    await asyncio.to_thread(_load)
    _settle()
    await configuration.register(server)


def _load() -> None:
    import anchorline.planner  # noqa: F401, PLC0415


def _settle() -> None:
    """Keep what start-up made out of later garbage collections; there are very many types in lsprotocol."""
    gc.collect()
    gc.freeze()
