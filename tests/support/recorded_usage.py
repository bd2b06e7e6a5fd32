"""Requests of session files as a replay takes them in from the database."""

from anchorline.replay.history import RecordedUsage
from anchorline.sessions.request import RecordedRequest


def billed(request: RecordedRequest) -> RecordedUsage:
    """Returns a request of a session file."""
    counts = (request.input, request.read, request.write_5m, request.write_1h, request.output)
    names = (request.id, request.session, request.chain, request.branch, request.model)
    return RecordedUsage(*names, request.sent_at, request.trigger, *counts, request.usage)
