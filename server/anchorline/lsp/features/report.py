"""`anchorline/report`: the dashboard, as a page."""

import asyncio
import time
from pathlib import Path

from lsprotocol import types

from anchorline import files
from anchorline.config import Config
from anchorline.lsp import protocol
from anchorline.lsp.server import Server
from anchorline.lsp.wire.messages import RequestFailed
from anchorline.route import target
from anchorline.store.database import StoreError, locate
from anchorline.store.purging import dashboard_file

DAY_S = 86_400


async def report(server: Server, params: protocol.ReportParams) -> protocol.ReportPage:
    """Returns the page, made beside the event loop."""
    return protocol.ReportPage(
        html=await asyncio.to_thread(_page, server.session.config, server.session.workspace.root, params.days)
    )


async def show(server: Server, report: protocol.ReportPage) -> protocol.ReportPage:
    """Writes the page beside the database and has the client show it; where it can't, says where the page is."""
    try:
        path = await asyncio.to_thread(_write, report.html)
    except OSError as error:
        raise RequestFailed(f"{error.filename}: {error.strerror}") from None
    uri = path.as_uri()
    shows = server.client_can("window.show_document.support")
    if not shows or not await server.show(types.ShowDocumentParams(uri, external=True)):
        server.inform(f"The dashboard: {path}")
    return protocol.ReportPage(uri=uri)


def _page(config: Config, root: Path | None, days: float | None) -> str:
    # They take a seventh of the time in which the features are loaded, and no plan needs them.
    from anchorline.report.collect import collect, with_limits  # noqa: PLC0415
    from anchorline.report.page import dashboard  # noqa: PLC0415

    targets = target.load(config.files)
    since = None if days is None else time.time() - days * DAY_S
    path = locate(config.store.path)
    try:
        report = collect(path, targets, since, own=config.files)
        return dashboard(with_limits(report, path, targets, config, root))
    except StoreError as error:
        raise RequestFailed(str(error)) from None


def _write(html: str) -> Path:
    path = dashboard_file()
    files.make_folder(path.parent)
    files.write(path, html)
    return path
