"""The conversations that go through: when their requests were sent, and what they were billed.

A conversation is known by its last request: the next one begins with all of it. Its pauses say when the next request
will come, and its usage how many tokens there are.
"""

from collections import OrderedDict

import msgspec

from anchorline.plan import Anchor
from anchorline.prompt.model import Prompt, Sent

CAPACITY = 256
REQUESTS = 32
"""Requests that are remembered of a conversation: as far back as predictions look."""


class Conversations:
    """The conversations that were seen last. May be used in one thread at a time."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._sent: OrderedDict[bytes, tuple[Sent, ...]] = OrderedDict()
        self._capacity = capacity

    def recall(self, prompt: Prompt) -> Prompt:
        """Return the prompt with what is known of its conversation's requests."""
        if self._sent:
            for segment in reversed(prompt.segments):
                known = self._sent.get(segment.prefix)
                if known is not None:
                    return msgspec.structs.replace(prompt, sent=known)
        return prompt

    def note(self, prompt: Prompt, sent: Sent) -> None:
        """Remember a request that was sent with its whole prompt cached; `prompt` is as `recall` gave it."""
        if prompt.sent:
            self._sent.pop(prompt.sent[-1].prefix, None)
        self._sent[sent.prefix] = (*prompt.sent[1 - REQUESTS :], sent)
        self._sent.move_to_end(sent.prefix)
        if len(self._sent) > self._capacity:
            self._sent.popitem(last=False)


def whole(prompt: Prompt, anchors: tuple[Anchor, ...], *, by_itself: bool) -> bool:
    """Tell whether the provider keeps all of a prompt: its last block is anchored, or anchored by the provider."""
    last = len(prompt.segments) - 1
    return last >= 0 and (by_itself or (bool(anchors) and anchors[-1].segment == last))
