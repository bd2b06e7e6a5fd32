"""Language servers at the gateway that do not read what they are told."""

import asyncio
from typing import Any

from anchorline.gateway.listeners import WAITING, Listeners


def test_one_that_does_not_read_keeps_neither_the_others_nor_the_end():
    stuck, heard = asyncio.Event(), []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send_nothing(_: Any) -> None:
        await stuck.wait()

    async def send(message: Any) -> None:
        heard.append(message.get("body", b""))

    async def run() -> None:
        listeners = Listeners(None)
        attending = [asyncio.ensure_future(listeners.listen(receive, one)) for one in (send_nothing, send)]
        await asyncio.sleep(0)
        for number in range(3 * WAITING):
            listeners.tell(f"warning {number}")
            await asyncio.sleep(0)
        listeners.close()
        listeners.close()
        stuck.set()
        async with asyncio.timeout(60):
            await asyncio.gather(*attending)

    asyncio.run(run())
    assert sum(b"warning" in body for body in heard) == 3 * WAITING
    assert heard[-1] == b""
