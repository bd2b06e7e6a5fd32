"""`anchorline/feedback` and the command `anchorline.feedback`: thumbs up or down on a plan."""

from typing import TYPE_CHECKING

from anchorline.live.recording import NotRecordedError
from anchorline.lsp.protocol import RECORDING_OFF, Recorded
from anchorline.lsp.wire.messages import RequestFailed
from anchorline.outcome import Feedback

if TYPE_CHECKING:
    from anchorline.lsp.server import Server


async def feedback(server: "Server", params: Feedback) -> Recorded:
    """Answer once the feedback is on disk."""
    try:
        written = await server.session.journal.feedback(params)
    except NotRecordedError as error:
        raise RequestFailed(f"the feedback was not recorded: {error}") from None
    return Recorded(recorded=True) if written else RECORDING_OFF


async def command(server: "Server", params: Feedback) -> Recorded:
    """As `feedback`, and say so."""
    recorded = await feedback(server, params)
    server.inform("Feedback recorded." if recorded.recorded else f"Feedback not recorded: {recorded.reason}.")
    return recorded
