"""The real server with requests that last as long as a test needs: until `test/release` comes."""

import asyncio
import sys
import threading
import time

from anchorline.lsp.main import create, run

server = create(sys.argv[1] if len(sys.argv) > 1 else None)
released = threading.Event()


@server.feature("test/slow")
async def slow(_params):
    await server.session.in_thread(released.wait)
    return "done"


@server.feature("test/deaf")
async def deaf(_params):
    """Swallow the cancellation, as a careless handler might."""
    while not released.is_set():
        try:
            await server.session.in_thread(released.wait)
        except asyncio.CancelledError:
            continue
    return "late"


@server.feature("test/release")
def release(_params):
    released.set()
    return "released"


@server.feature("test/hang")
def hang(_params):
    """Hold the event loop itself."""
    time.sleep(3600)


@server.feature("test/crash")
def crash(params):
    raise KeyError(params["secret"])


@server.feature("test/crashLater")
async def crash_later(params):
    await asyncio.sleep(0)
    raise RuntimeError(f"cannot handle {params['secret']}")


@server.feature("test/crashThread")
def crash_thread(params):
    def work():
        raise ValueError(params["secret"])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@server.feature("test/crashLoop")
def crash_loop(params):
    def work():
        raise ValueError(params["secret"])

    asyncio.get_running_loop().call_soon(work)


@server.feature("test/print")
def print_something(_params):
    print("Content-Length: 3\r\n\r\n{{{", flush=True)
    return "printed"


if __name__ == "__main__":
    raise SystemExit(run(server))
