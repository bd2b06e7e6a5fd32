"""A person's messages in a session, as numbers: the words are read once and not kept."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import msgspec

from anchorline.learn import features
from anchorline.prompt.formats.history import History, words
from anchorline.prompt.model import PromptError
from anchorline.prompt.source import MAX_LINES, PACKED, opened
from anchorline.sessions.request import RecordedMessage, RecordedRequest

SCANNED = 200
"""Parts that are looked at for the turn before: it bounds the time."""
BATCH = 1000
"""Requests whose messages are read at once."""


def newest_message(history: History, *, thinking: bool | None = None) -> RecordedMessage | None:
    """Returns the newest turn's message; None where it has no words of a person's own.

    `thinking` says whether a session of this kind and model shows the thinking of the turn before; None: never.
    """
    span: tuple[int, int] | None = None
    texts = 0
    thought = False
    complete = len(history.parts) <= SCANNED
    for part in reversed(history.parts[-SCANNED:]):
        if part.turn < history.turn - 1:
            complete = True
            break
        if part.turn < history.turn:
            thought = thought or part.block.kind == "thinking"
        elif part.role == "user" and part.block.kind == "text":
            texts += 1
            if part.block.words_end and span is None:
                span = part.block.words, part.block.words_end
    if span is None:
        return None
    thinking_shows = bool(thinking) and history.turn > 1 and complete
    return RecordedMessage(
        *span, thoughtless=thinking_shows and not thought, commands=thinking is not None and texts > 1
    )


def with_features(path: Path, requests: Iterable[RecordedRequest]) -> Iterator[RecordedRequest]:
    """Yields the requests with the features of their messages. Raises OSError.

    A plain file is gone back in for each batch of requests. Of a packed one, which would be unpacked anew for that, all
    requests are one batch.
    """
    left = iter(requests)
    size = MAX_LINES if path.suffix in PACKED else BATCH
    while batch := list(islice(left, size)):
        yield from _batch_with_features(path, batch)


def _batch_with_features(path: Path, requests: list[RecordedRequest]) -> list[RecordedRequest]:
    messages = [
        (request.message, index) for index, request in enumerate(requests) if request.message is not None
    ]
    with opened(path) as stream:
        for message, index in sorted(messages, key=lambda pair: pair[0].start):
            stream.seek(message.start)
            try:
                text = words(stream.read(message.end - message.start), message.start)
            except PromptError:  # the file is another one meanwhile
                continue
            learned = msgspec.structs.replace(
                message, grams=features.grams(text), draft=features.of_draft(text)
            )
            requests[index] = msgspec.structs.replace(requests[index], message=learned)
    return requests
