"""A language model that likes what a test says: for what a real one can't be made to do at will."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from anchorline.generation import Chunk, Request, State, Status, Unavailable


class Scripted:
    """A model to which labels that begin with one of `likes` are the likeliest; `texts` are those that it read."""

    def __init__(self, *likes: str, broken: str = "", hangs: bool = False) -> None:
        self.likes, self.broken, self.hangs = likes, broken, hangs
        self.texts: list[str] = []

    @property
    def status(self) -> Status:
        state: State = "failed" if self.broken else "ready"
        return Status(state, self.broken, "scripted")

    def observe(self, observer: Callable[[Status], None]) -> Callable[[], None]:
        return lambda: None

    async def generate(self, request: Request) -> AsyncGenerator[Chunk, None]:
        raise NotImplementedError
        yield Chunk("")

    async def score(
        self, text: str, labels: Sequence[str], *, instruction: str = "", chat: bool = True
    ) -> list[float]:
        self.texts.append(text)
        if self.broken:
            raise Unavailable(self.broken, self.status)
        if self.hangs:
            await asyncio.Event().wait()
        return [-40.0 if label.lstrip().startswith(self.likes) else -60.0 for label in labels]

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        raise NotImplementedError
