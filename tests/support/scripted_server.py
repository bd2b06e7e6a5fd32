"""The real server with a language model that does what the draft says, until `test/go` comes.

It corrects "crsh" and "lins". Where the draft has the word "waiting", it stops after its first words and goes on at
`test/go`. `test/model` tells how many requests were made, once they have ended.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from anchorline.generation import Chunk, Request
from anchorline.lsp.main import create, run
from anchorline.lsp.session import EditorSession
from support.scripted_model import Scripted


class Waiting(Scripted):
    def __init__(self) -> None:
        super().__init__(lambda text: text.replace("crsh", "crash").replace("lins", "lines"))
        self.go = asyncio.Event()

    async def generate(self, request: Request) -> AsyncGenerator[Chunk, None]:
        async with aclosing(super().generate(request)) as chunks:
            async for chunk in chunks:
                yield chunk
                if "waiting" in request.text:
                    await self.go.wait()


model = Waiting()
EditorSession.model = property(lambda _session: model)  # type: ignore[assignment,method-assign]
server = create()


@server.feature("test/go")
def go(_params):
    model.go.set()
    return True


@server.feature("test/model")
async def state(_params):
    while model.closed < len(model.requests):  # noqa: ASYNC110  (one turn of the loop)
        await asyncio.sleep(0)
    return {"requests": len(model.requests), "closed": model.closed}


if __name__ == "__main__":
    raise SystemExit(run(server))
