"""The real server with a language model that corrects "crsh" and "lins".

Of a sentence with the word "waiting" it waits for `test/go`. `test/model` tells how often it was asked, once that has
ended.
"""

import asyncio
from collections.abc import Sequence

from anchorline.lsp.main import create, run
from anchorline.lsp.session import EditorSession
from support.scripted_model import Scripted


class Waiting(Scripted):
    def __init__(self) -> None:
        super().__init__("crash", "lines")
        self.asked, self.answered = 0, 0
        self.go = asyncio.Event()

    async def score(
        self, text: str, labels: Sequence[str], *, instruction: str = "", chat: bool = True
    ) -> list[float]:
        self.asked += 1
        try:
            if "waiting" in labels[0]:
                await self.go.wait()
            return await super().score(text, labels, instruction=instruction, chat=chat)
        finally:
            self.answered += 1


model = Waiting()
EditorSession.model = property(lambda _session: model)  # type: ignore[assignment,method-assign]
server = create()


@server.feature("test/go")
def go(_params):
    model.go.set()
    return True


@server.feature("test/model")
async def state(_params):
    while model.answered < model.asked:  # noqa: ASYNC110  (one turn of the loop)
        await asyncio.sleep(0)
    return {"asked": model.asked, "answered": model.answered}


if __name__ == "__main__":
    raise SystemExit(run(server))
