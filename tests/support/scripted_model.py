"""A language model that writes what a test says: for what a real one can't be made to do at will."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from anchorline.generation import Chunk, Request, State, Status, Unavailable


class Scripted:
    """A model that writes what the test says, by what it is asked; `requests` are those it got."""

    def __init__(
        self, write: Callable[[str], str], broken: str = "", hangs: bool = False, likes: str = ""
    ) -> None:
        self.write, self.broken, self.hangs, self.likes = write, broken, hangs, likes
        self.requests: list[Request] = []
        self.closed = 0

    @property
    def status(self) -> Status:
        state: State = "failed" if self.broken else "ready"
        return Status(state, self.broken, "scripted")

    def observe(self, observer: Callable[[Status], None]) -> Callable[[], None]:
        return lambda: None

    async def generate(self, request: Request) -> AsyncGenerator[Chunk, None]:
        self.requests.append(request)
        text = self.write(request.text)
        try:
            for start in range(0, len(text), 3):
                yield Chunk(text[start : start + 3])
                if self.broken:
                    raise Unavailable(self.broken, self.status)
                if self.hangs:
                    await asyncio.Event().wait()
            yield Chunk("", "stop")
        finally:
            self.closed += 1

    async def score(
        self, text: str, labels: Sequence[str], *, instruction: str = "", chat: bool = True
    ) -> list[float]:
        return [-40.0 if self.likes and label.lstrip().startswith(self.likes) else -60.0 for label in labels]

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        raise NotImplementedError
