"""Does the gateway grow under mixed load?

    python tests/bench soak [--minutes 30] [--clients 8] [--pause 0] [--json]

Clients send what clients do to one gateway (mode trim, response cache on): conversations that grow to 300 kB, whole and
streamed, equal requests at temperature 0, errors, large bodies, streams that are left in the middle, wrong tokens, looks
at the metrics. One in ten asks the upstream for a hostile answer (`soak_upstream`: bombs, broken streams, odd statuses,
endless lines, resets). The upstream answers at once, so that this is more load than any developer makes; `--pause` has
each client rest for so many seconds on average. Rows of `ours`:

rss_mb                    resident memory: at the `start`, the median over each fifth of the time (`1/5` … `5/5`), and
                          over the minute around minutes 5, 10, 20 and 30 (`5 min` …)
rss_mb_per_hour           its slope over the second half of the time (Theil and Sen's: the median of the slopes between
                          samples, which the spikes of large bodies do not move); `low` and `high`: over its two quarters
files, threads            open files and threads of the process, after a tenth of the time and at the end
requests, failures        what was sent, and what was not answered as it should be
hostile                   hostile answers among them; one is a failure where the gateway takes over HOSTILE_S for it
database_mb               on disk at the end: rows of every plan and outcome
"""

import argparse
import asyncio
import itertools
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import psutil

from bench import BENCH
from bench.reporting import environment, show
from bench.speed.gateway import HEADERS, asking, body, free_port, ours, running
from bench.speed.soak_upstream import BADLY

SAMPLE_S = 1.0
HOSTILE_S = 60.0
MINUTES = (5, 10, 20, 30)  # at which the memory is told
SETTINGS = '[answers]\nreuse = "near"\nentries = 200\nmegabytes = 8'


class Load:
    """What the clients send to `url` until `end` (monotonic seconds), with a `pause` of so many seconds on average."""

    def __init__(self, url: str, end: float, pause: float) -> None:
        self._url = url
        self._end = end
        self._pause = pause
        self._numbers = itertools.count()
        self.sent: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    async def client(self, session: aiohttp.ClientSession, seed: int) -> None:
        """Do one thing after another."""
        draw = random.Random(seed)
        kinds = (self.conversation, self.again, self.left, self.wrong, self.large, self.look, self.hostile)
        while time.monotonic() < self._end:
            kind = draw.choices(kinds, (36, 27, 9, 9, 1, 8, 10))[0]
            try:
                await kind(session, draw)
            except (aiohttp.ClientError, TimeoutError) as error:
                self.failures[f"{kind.__name__} {type(error).__name__}"] += 1
            await asyncio.sleep(draw.uniform(0, 2 * self._pause))

    async def _post(
        self, session: aiohttp.ClientSession, data: bytes, wanted: int = 200, url: str = ""
    ) -> None:
        self.sent["requests"] += 1
        async with session.post(url or self._url, data=data, headers=HEADERS) as answer:
            await answer.read()
            if answer.status != wanted:
                self.failures[str(answer.status)] += 1

    async def conversation(self, session: aiohttp.ClientSession, draw: random.Random) -> None:
        """A conversation of its own that grows."""
        name = f"{next(self._numbers)}: "
        for size in itertools.takewhile(lambda size: size < draw.choice((10, 60, 300)) * 1000, _sizes()):
            value = json.loads(body(size, 0, stream=draw.random() < 0.5))
            value["system"] = name + "Keep to the style. " * 100
            await self._post(session, json.dumps(value, separators=(",", ":")).encode())

    async def again(self, session: aiohttp.ClientSession, draw: random.Random) -> None:
        """A request that the response cache may answer."""
        await self._post(session, asking(draw.choice((1_000, 20_000)), draw.randrange(400)))

    async def left(self, session: aiohttp.ClientSession, draw: random.Random) -> None:
        """A stream that its client leaves."""
        self.sent["requests"] += 1
        data = body(draw.choice((1_000, 100_000)), draw.randrange(1000), stream=True)
        async with session.post(self._url, data=data, headers=HEADERS) as answer:
            await answer.content.readany()
            answer.close()

    async def wrong(self, session: aiohttp.ClientSession, draw: random.Random) -> None:
        """What is refused, or is no prompt."""
        if draw.random() < 0.5:
            await self._post(session, b"{}", 404, self._url.replace("/anthropic/", "x/anthropic/"))
        else:
            await self._post(session, b'{"model": 1, "messages": "none')

    async def large(self, session: aiohttp.ClientSession, draw: random.Random) -> None:
        """A body of megabytes."""
        await self._post(session, body(draw.choice((2, 20)) * 1_000_000, draw.randrange(10)))

    async def hostile(self, session: aiohttp.ClientSession, draw: random.Random) -> None:
        """A provider that answers badly: how it ends is the provider's, that it ends is the gateway's."""
        self.sent["requests"] += 1
        self.sent["hostile"] += 1
        kind = draw.choice(list(BADLY))
        data = body(1_000, draw.randrange(1000), stream=draw.random() < 0.5)
        try:
            async with asyncio.timeout(HOSTILE_S):
                async with session.post(self._url, data=data, headers=HEADERS | {"x-answer": kind}) as answer:
                    async for _ in answer.content.iter_chunked(65_536):
                        pass
        except aiohttp.ClientError:
            pass
        except TimeoutError:
            self.failures[kind] += 1

    async def look(self, session: aiohttp.ClientSession, draw: random.Random) -> None:
        """A look at the metrics."""
        root = self._url.split("/anthropic/")[0]
        async with session.get(f"{root}/{draw.choice(('metrics', 'status'))}") as answer:
            await answer.read()


def _sizes() -> itertools.accumulate:
    return itertools.accumulate(itertools.repeat(12_000), initial=1_500)


class Sample:
    """What a process holds at a moment."""

    def __init__(self, process: psutil.Process, at: float) -> None:
        self.at = at
        self.rss = process.memory_info().rss / 2**20
        self.files = process.num_fds()
        self.threads = process.num_threads()


async def soaked(
    url: str, process: psutil.Process, minutes: float, clients: int, pause: float
) -> tuple[Load, list[Sample]]:
    """Return the load that was, and the samples."""
    start = time.monotonic()
    load = Load(url, start + minutes * 60, pause)
    samples = [Sample(process, 0.0)]
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        working = asyncio.gather(*(load.client(session, seed) for seed in range(clients)))
        while not working.done():
            await asyncio.wait({working}, timeout=SAMPLE_S)
            samples.append(Sample(process, time.monotonic() - start))
            before, now = (int(one.at // 60) for one in samples[-2:])
            if now > before and now in MINUTES:
                print(
                    f"{now} min: {samples[-1].rss:.0f} MB, {load.sent['requests']} requests", file=sys.stderr
                )
        await working
    return load, samples


def slope(samples: list[Sample]) -> float:
    """Return the growth of the resident memory in MB an hour."""
    if len(samples) < 2:
        return 0.0
    few = samples[:: max(len(samples) // 300, 1)]
    pairs = itertools.combinations(few, 2)
    return statistics.median((later.rss - one.rss) / (later.at - one.at) for one, later in pairs) * 3600


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds that a client rests on average")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows: list[dict] = []

    def row(
        subset: str, metric: str, value: float, low: float | None = None, high: float | None = None
    ) -> None:
        bounds = {"low": value if low is None else low, "high": value if high is None else high}
        figures = {name: round(one, 3) for name, one in ({"value": value} | bounds).items()}
        rows.append({"case": "ours", "subset": subset, "metric": metric, **figures, "n": len(samples)})

    with ExitStack() as stack:
        port = free_port()
        stack.enter_context(running([sys.executable, str(BENCH), "soak_upstream", str(port)], port))
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, process = ours(stack, f"http://127.0.0.1:{port}", "trim", SETTINGS, home)
        load, samples = asyncio.run(soaked(url, process, given.minutes, given.clients, given.pause))
        size = sum(file.stat().st_size for file in home.rglob("anchorline.db*")) / 2**20
    count = len(samples)
    warm, end = samples[count // 10], samples[-1]
    row("start", "rss_mb", samples[0].rss)
    for part in range(5):
        held = [one.rss for one in samples[count * part // 5 : count * (part + 1) // 5]]
        row(f"{part + 1}/5", "rss_mb", statistics.median(held), min(held), max(held))
    for minute in MINUTES:
        held = [one.rss for one in samples if abs(one.at - minute * 60) <= 30]
        if minute <= given.minutes:
            row(f"{minute} min", "rss_mb", statistics.median(held), min(held), max(held))
    quarters = slope(samples[count // 2 : count * 3 // 4]), slope(samples[count * 3 // 4 :])
    row("second-half", "rss_mb_per_hour", slope(samples[count // 2 :]), min(quarters), max(quarters))
    for subset, sample in (("warm", warm), ("end", end)):
        row(subset, "files", sample.files)
        row(subset, "threads", sample.threads)
    row("all", "requests", load.sent["requests"])
    row("all", "hostile", load.sent["hostile"])
    row("all", "failures", load.failures.total())
    row("all", "database_mb", size)
    about = environment() | {
        "minutes": given.minutes,
        "clients": given.clients,
        "pause": given.pause,
        "failed": dict(load.failures),
    }
    show("soak", rows, about, as_json=given.json)


if __name__ == "__main__":
    main()
