"""Reads the settings again and puts them in force."""

import asyncio
import logging

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from anchorline.live import logs
from anchorline.lsp import publishing, settings
from anchorline.lsp.server import Server

RESPONSE_S = 5.0
log = logging.getLogger(__name__)


async def ask_client(server: Server) -> None:
    """Asks the client for its settings, where it can be asked, and puts all settings in force."""
    if server.client_can("workspace.configuration"):
        item = types.ConfigurationItem(section=settings.SECTION)
        asking = server.workspace_configuration_async(types.ConfigurationParams([item]))
        try:
            sections = await asyncio.wait_for(asking, RESPONSE_S)
        except (JsonRpcException, TimeoutError):
            log.warning("the client does not tell its settings")
        else:
            # A client without a section of ours answers null: what it said at `initialize` stays in force.
            if sections and sections[0] is not None:
                server.session.read_settings(settings.section(sections[0]))
    apply(server)


def apply(server: Server) -> None:
    """Puts the settings in force."""
    server.session.configure()
    if server.log_level is None:
        logs.set_level(server.session.config.log.level)
    publishing.refresh(server)


def read_again(server: Server) -> None:
    """Reads the settings' files again and puts them in force."""
    server.session.read_settings()
    apply(server)
