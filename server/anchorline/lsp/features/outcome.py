"""`anchorline/outcome` and the command `anchorline.outcome`: what became of a plan."""

from typing import TYPE_CHECKING

from anchorline.live.recording import NotRecordedError
from anchorline.lsp.features import diagnostics
from anchorline.lsp.protocol import RECORDING_OFF, Recorded
from anchorline.lsp.wire.messages import RequestFailed
from anchorline.outcome import Outcome

if TYPE_CHECKING:
    from anchorline.lsp.server import Server


async def outcome(server: "Server", params: Outcome) -> Recorded:
    """Answer once the outcome is on disk; what it tells about the cache holds from the next plan on."""
    if params.decision is not None:
        server.session.observed.told(params.plan_id)
    generation = server.session.generation
    try:
        written = await server.session.journal.outcome(params)
    except NotRecordedError as error:
        raise RequestFailed(f"the outcome was not recorded: {error}") from None
    finally:
        if server.session.generation != generation:
            diagnostics.refresh_all(server)
    return Recorded(recorded=True) if written else RECORDING_OFF


async def command(server: "Server", params: Outcome) -> Recorded:
    """As `outcome`, and say so."""
    recorded = await outcome(server, params)
    server.inform("Outcome recorded." if recorded.recorded else f"Outcome not recorded: {recorded.reason}.")
    return recorded
