"""`anchorline/outcome`: what became of a plan."""

from anchorline.live.recording import NotRecordedError
from anchorline.lsp import publishing
from anchorline.lsp.protocol import RECORDING_OFF, Recorded
from anchorline.lsp.server import Server
from anchorline.lsp.wire.messages import RequestFailed
from anchorline.outcome import Outcome


async def outcome(server: Server, params: Outcome) -> Recorded:
    """Answers once the outcome is on disk; what it tells about the cache holds from the next plan on."""
    session = server.session
    session.proposals.drop(params)
    generation = session.generation
    try:
        is_recorded = await session.journal.outcome(params)
    except NotRecordedError as error:
        raise RequestFailed(f"the outcome was not recorded: {error}") from None
    finally:
        if session.generation != generation:
            publishing.refresh(server)
    return Recorded(recorded=True) if is_recorded else RECORDING_OFF


async def show(server: Server, recorded: Recorded) -> None:
    """Shows whether the outcome is recorded."""
    server.inform("Outcome recorded." if recorded.recorded else f"Outcome not recorded: {recorded.reason}.")
