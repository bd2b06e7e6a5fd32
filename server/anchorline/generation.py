"""The interface of a local language model: its requests, answers and status.

Whoever decides knows only this; `anchorline.engine` implements it in a process of its own. A model may be
absent, still loading or broken at any moment: then `Unavailable` is raised within the deadline, with the
reason, and the caller goes on without it.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Literal, Protocol

import msgspec

State = Literal["absent", "idle", "starting", "ready", "busy", "restarting", "failed"]
"""absent: there is no model, or no engine for it, or it is switched off. idle: not loaded, the next request loads it.
restarting: it broke and is being loaded again. failed: it broke too often; a later request tries again."""


class Status(msgspec.Struct, frozen=True):
    """Whether there is a model and what it runs on; `reason` says why it is not ready, for the developer."""

    state: State
    reason: str = ""
    model: str = ""
    device: str = ""


class Unavailable(Exception):  # noqa: N818  (it is an answer, not an error)
    """The model did not answer. The message says why and, where something can be done, what."""

    def __init__(self, reason: str, status: Status) -> None:
        super().__init__(reason)
        self.status = status


class Turn(msgspec.Struct, frozen=True):
    """What was said in one turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: str


class Request(msgspec.Struct, frozen=True):
    """What to generate: greedily, the most likely token each time, so that the same request has the same answer.

    `instruction` must be constant text of the program, never the developer's: what the model computes from it is kept
    in memory and on disk, so that only `text` is new work. With `chat`, instruction and text are the system's and the
    user's turn in the model's own chat template; without, the model continues `instruction + text`.

    `copy_from` is text that the answer mostly repeats: runs of it are proposed to the model several tokens at a
    time, which changes nothing but the speed. `stop` strings end the answer and are not part of it.
    `deadline_s` limits the whole request, loading the model included; None means the setting.

    `turns` is a whole conversation in the place of text and instruction, in the chat template. What the model has read
    of it is kept for its next turn, in memory only. Nothing is copied from there (`copy_from`).
    """

    text: str = ""
    instruction: str = ""
    chat: bool = True
    copy_from: str = ""
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    deadline_s: float | None = None
    turns: tuple[Turn, ...] = ()


class Chunk(msgspec.Struct, frozen=True):
    """A piece of the answer. The last one has `finish`: `stop` (the model ended), or `length` (max_tokens)."""

    text: str
    finish: Literal["", "stop", "length"] = ""


class LanguageModel(Protocol):
    """A language model on this machine."""

    @property
    def status(self) -> Status:
        """Where it stands now."""

    def observe(self, observer: Callable[[Status], None]) -> Callable[[], None]:
        """Has `observer` called with each new status, on the event loop; the returned function ends that."""

    def generate(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Yields the answer as it is generated.

        Closing the generator (`aclose`) or cancelling the task that reads it stops the model at its next token;
        the caller need not wait for that. Raises Unavailable, also in the midst of an answer.
        """

    async def score(
        self, text: str, labels: Sequence[str], *, instruction: str = "", chat: bool = True
    ) -> list[float]:
        """Returns the log-probability of each label as the whole continuation of `text`. Raises Unavailable."""

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Returns a vector of length 1 for each text: its tokens' last hidden states, averaged. Raises Unavailable."""
