"""Remembers the conversations of requests: when each was sent, what it was billed, where it was routed.

A conversation is known by the session that its client names and by its last request: the next one begins with all of
it. Its pauses say when the next request will come, and its usage how many tokens there are. Where it was routed to is
known by its beginning.
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
        self._sent: OrderedDict[tuple[str | None, bytes], tuple[Sent, ...]] = OrderedDict()
        self._capacity = capacity

    def recall(self, prompt: Prompt) -> Prompt:
        """Returns the prompt with what is known of its conversation's requests."""
        if self._sent:
            for segment in reversed(prompt.segments):
                requests = self._sent.get((prompt.session, segment.prefix))
                if requests is not None:
                    return msgspec.structs.replace(prompt, sent=requests)
        return prompt

    def note(self, prompt: Prompt, sent: Sent) -> None:
        """Remembers a request that was sent with its whole prompt cached; `prompt` is as `recall` gave it."""
        if prompt.sent:
            self._sent.pop((prompt.session, prompt.sent[-1].prefix), None)
        key = prompt.session, sent.prefix
        self._sent[key] = (*prompt.sent[1 - REQUESTS :], sent)
        self._sent.move_to_end(key)
        if len(self._sent) > self._capacity:
            self._sent.popitem(last=False)


class ConversationRoute(msgspec.Struct, frozen=True):
    """What a conversation was last sent to, and the instruction that it is judged by."""

    model: str
    asked: str


class Routes:
    """Where conversations were sent, by what they begin with and the model that their client asks for."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._known: OrderedDict[tuple[str | None, bytes, str | None], ConversationRoute] = OrderedDict()
        self._capacity = capacity

    def recall(self, prompt: Prompt) -> ConversationRoute | None:
        """Returns where the conversation was sent, None for a new one."""
        return self._known.get(_beginning(prompt))

    def note(self, prompt: Prompt, routed: ConversationRoute) -> None:
        """Remembers where a conversation's request was sent."""
        key = _beginning(prompt)
        self._known[key] = routed
        self._known.move_to_end(key)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)


def _beginning(prompt: Prompt) -> tuple[str | None, bytes, str | None]:
    """Returns the session that its client names, its first message, and its model.

    The system prompt and the tools may change within a conversation, and other conversations have the same ones. The
    requests beside one (for its title) name its session and begin otherwise.
    """
    first = next((segment.message for segment in prompt.segments if segment.role == "user"), None)
    digests = (
        segment.digest for segment in prompt.segments if segment.message == first and segment.role == "user"
    )
    return prompt.session, b"".join(digests), prompt.model


def whole(prompt: Prompt, anchors: tuple[Anchor, ...], *, by_itself: bool) -> bool:
    """Returns whether the provider keeps all of a prompt: its last block is anchored, or anchored by the provider."""
    last = len(prompt.segments) - 1
    return last >= 0 and (by_itself or (bool(anchors) and anchors[-1].segment == last))
