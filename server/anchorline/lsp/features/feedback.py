"""`anchorline/feedback`: thumbs up or down on a plan."""

from anchorline.live.recording import NotRecordedError
from anchorline.lsp.protocol import RECORDING_OFF, Recorded
from anchorline.lsp.server import Server
from anchorline.lsp.wire.messages import RequestFailed
from anchorline.outcome import Feedback


async def feedback(server: Server, params: Feedback) -> Recorded:
    """Answers once the feedback is on disk."""
    try:
        is_recorded = await server.session.journal.feedback(params)
    except NotRecordedError as error:
        raise RequestFailed(f"the feedback was not recorded: {error}") from None
    return Recorded(recorded=True) if is_recorded else RECORDING_OFF


async def show(server: Server, recorded: Recorded) -> None:
    """Shows whether the feedback is recorded."""
    server.inform("Feedback recorded." if recorded.recorded else f"Feedback not recorded: {recorded.reason}.")
