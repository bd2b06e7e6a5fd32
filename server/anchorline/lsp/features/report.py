"""`anchorline/report` and the command `anchorline.report`: the dashboard, as a page."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException

from anchorline import files
from anchorline.lsp import protocol
from anchorline.lsp.wire.messages import RequestFailed

if TYPE_CHECKING:
    from anchorline.config import Config
    from anchorline.lsp.server import Server


async def report(server: "Server", params: protocol.ReportParams) -> protocol.ReportPage:
    """Return the page, made beside the event loop."""
    return protocol.ReportPage(html=await asyncio.to_thread(_page, server.session.config, params.days))


async def command(server: "Server", params: protocol.ReportParams) -> protocol.ReportPage:
    """Write the page beside the database and have the client show it; where it can't, say where the page is."""
    made = await report(server, params)
    try:
        path = await asyncio.to_thread(_write, made.html)
    except OSError as error:
        raise RequestFailed(f"{error.filename}: {error.strerror}") from None
    uri = path.as_uri()
    if not await _open(server, uri):
        server.inform(f"The dashboard: {path}")
    return protocol.ReportPage(uri=uri)


def _page(config: "Config", days: float | None) -> str:
    from anchorline.report.collect import collect  # noqa: PLC0415
    from anchorline.report.page import dashboard  # noqa: PLC0415
    from anchorline.route.target import load as load_targets  # noqa: PLC0415
    from anchorline.store.database import StoreError, locate  # noqa: PLC0415

    targets = load_targets(config.files)
    since = None if days is None else time.time() - days * 86_400
    try:
        return dashboard(collect(locate(config.store.path), targets, since))
    except StoreError as error:
        raise RequestFailed(str(error)) from None


def _write(html: str) -> Path:
    from anchorline.store.privacy import dashboard_file  # noqa: PLC0415

    path = dashboard_file()
    files.make_folder(path.parent)
    files.write(path, html)
    return path


async def _open(server: "Server", uri: str) -> bool:
    if not get_capability(server.client_capabilities, "window.show_document.support"):
        return False
    try:
        shown = await server.window_show_document_async(types.ShowDocumentParams(uri, external=True))
    except JsonRpcException:
        return False
    return shown.success
