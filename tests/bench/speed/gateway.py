"""What does a request pay for going through the gateway?

    python tests/bench gateway [--litellm PYTHON] [--requests 10000] [--json]

Against an upstream that answers at once: requests sent directly, through our gateway (`ours`: mode observe; `ours-anchors`,
`ours-trim`), through a pass-through of httpx and starlette that does nothing else (`plain`), and through LiteLLM's proxy where
PYTHON is one that has `litellm[proxy]`. All in the same run, each request of a way right after the direct one. Rows:

added_p50_ms, added_p99_ms   the quantile of a way less that of the direct one, by the size of the body (a conversation
                             that grows by a message each time); `first-byte`: until the first byte of a stream
cpu_ms                       processor time that the way's own process takes for a request: what a busy machine hardly changes
hit_p50_ms, hit_p99_ms       `ours-answers`: a request that the response cache answers, by the size of its body; `near`: 1 kB,
                             nearly equal to what was asked before. `direct`: the same, sent to the upstream
requests_per_second          1 kB bodies over 1, 16 and 128 connections
rss_mb                       resident memory after REQUESTS requests, and before (`start`)
"""

import argparse
import asyncio
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
import psutil

from bench import BENCH
from bench.reporting import environment, percentile, show

SIZES = {"1kB": 1_000, "100kB": 100_000, "1MB": 1_000_000}
CONNECTIONS = (1, 16, 128)
READY_S = 180
KEY = f"sk-{secrets.token_hex(32)}"  # LiteLLM's proxy does not start without one
HEADERS = {"content-type": "application/json", "x-api-key": KEY, "anthropic-version": "2023-06-01"}
WORDS = "The parser reads a file, line by line, and says where it stopped. "


def body(size: int, turn: int, *, stream: bool = False) -> bytes:
    """Return a request of about `size` bytes in messages of 2.7 kB, the last of which says which turn it is."""
    text = WORDS * min(size // 100, 40)
    messages = [
        {"role": "assistant" if n % 2 else "user", "content": [{"type": "text", "text": f"{n} {text}"}]}
        for n in range(max(size // 2_800, 1) - 1)
    ]
    messages.append({"role": "user", "content": [{"type": "text", "text": f"{turn} {text}"[:size]}]})
    value = {"model": "claude-sonnet-5", "max_tokens": 50, "messages": messages}
    return json.dumps(value | ({"stream": True} if stream else {}), separators=(",", ":")).encode()


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(command: list[str], port: int, env: dict[str, str] | None = None) -> Iterator[psutil.Process]:
    """Run a server until its port answers, and end it afterwards."""
    process = subprocess.Popen(
        command, env=os.environ | (env or {}), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + READY_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(
                        f"{command[0]} … {command[-1]} does not start (pip install '.[bench]' has what it may lack)"
                    ) from None
                time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def uvicorn(app: str, port: int) -> list[str]:
    """Return the command that serves one of `gateway_servers`."""
    return [
        sys.executable,
        "-m",
        "uvicorn",
        f"bench.speed.gateway_servers:{app}",
        "--app-dir",
        str(BENCH.parent),
        "--port",
        str(port),
        "--log-level",
        "error",
        "--no-access-log",
        "--timeout-keep-alive",
        "75",
    ]


def ours(
    stack: ExitStack, upstream: str, mode: str, settings: str = "", home: Path | None = None
) -> tuple[str, psutil.Process]:
    """Start our gateway, `settings` being further lines of its file; return where to send, and its process."""
    home = home or Path(stack.enter_context(tempfile.TemporaryDirectory()))
    port = free_port()
    (home / "anchorline.toml").write_text(
        f'[gateway]\nanthropic = "{upstream}"\nport = {port}\nmode = "{mode}"\n{settings}\n'
    )
    env = {"ANCHORLINE_CONFIG": str(home / "anchorline.toml"), "ANCHORLINE_DATA_DIR": str(home / "data")}
    command = [sys.executable, "-m", "anchorline", "gateway"]
    process = stack.enter_context(running(command, port, env))
    shown = subprocess.run(
        [*command, "--show", "--json"], env=os.environ | env, check=True, capture_output=True
    )
    return json.loads(shown.stdout)["anthropic"] + "/v1/messages", process


def litellm(stack: ExitStack, upstream: str, python: str) -> tuple[str, psutil.Process]:
    """Start LiteLLM's proxy; return where to send, and its process."""
    home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    model = {"model": "anthropic/claude-sonnet-5", "api_base": upstream, "api_key": "sk-bench"}
    config = {"model_list": [{"model_name": "claude-sonnet-5", "litellm_params": model}]}
    (home / "config.yaml").write_text(json.dumps(config))
    port = free_port()
    env = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": KEY}
    program = str(Path(python).with_name("litellm"))
    command = [program, "--config", str(home / "config.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    process = stack.enter_context(running(command, port, env))
    return f"http://127.0.0.1:{port}/v1/messages", process


async def once(session: aiohttp.ClientSession, url: str, data: bytes, *, first: bool = False) -> float:
    """Return the seconds of one request; with `first`, until the first byte of its answer."""
    start = time.perf_counter()
    async with session.post(url, data=data, headers=HEADERS) as answer:
        if answer.status != 200:
            raise SystemExit(f"{url}: {answer.status} {(await answer.text())[:200]}")
        if first:
            await answer.content.readany()
            taken = time.perf_counter() - start
            await answer.read()
            return taken
        await answer.read()
    return time.perf_counter() - start


async def latencies(
    urls: dict[str, str], make: Callable[[int], bytes], count: int, *, first: bool
) -> dict[str, list[float]]:
    """Return each way's seconds, one request after the other, the ways in turn."""
    found: dict[str, list[float]] = {name: [] for name in urls}
    async with aiohttp.ClientSession() as session:
        for turn in range(count + count // 10):
            data = make(turn)
            for name, url in urls.items():
                taken = await once(session, url, data, first=first)
                if turn >= count // 10:
                    found[name].append(taken)
    return found


async def throughput(url: str, connections: int, count: int) -> float:
    """Return the requests a second over so many connections."""
    bodies = [body(1_000, turn) for turn in range(64)]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        numbers = iter(range(count))

        async def one() -> None:
            for number in numbers:
                await once(session, url, bodies[number % 64])

        start = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(connections)))
        return count / (time.perf_counter() - start)


def asking(size: int, turn: int, words: str = "") -> bytes:
    """Return a request that the response cache may answer; other `words` ask nearly the same."""
    return body(size, turn).replace(b'"text":"%d ' % turn, b'"text":"%s%d ' % (words.encode(), turn))[:-1] + (
        b',"temperature":0}'
    )


async def hits(url: str, direct: str, size: int, count: int, words: str) -> dict[str, list[float]]:
    """Return the seconds of requests that the response cache answers, and of the same sent directly."""
    found: dict[str, list[float]] = {"ours-answers": [], "direct": []}
    async with aiohttp.ClientSession() as session:
        for turn in range(16):
            await once(session, url, asking(size, turn))
        for number in range(count):
            data = asking(size, number % 16, words)
            found["direct"].append(await once(session, direct, data))
            start = time.perf_counter()
            async with session.post(url, data=data, headers=HEADERS) as answer:
                await answer.read()
                found["ours-answers"].append(time.perf_counter() - start)
                if "anchorline-cache" not in answer.headers:
                    raise SystemExit(f"{url}: not answered from the cache")
    return found


def hit_rows(url: str, direct: str, runs: int, count: int) -> Iterator[dict]:
    """Yield the rows on hits of the response cache."""
    for subset, size, words in (
        *((name, size, "") for name, size in SIZES.items()),
        ("near", 1_000, "please "),
    ):
        runs_ = [asyncio.run(hits(url, direct, size, count, words)) for _ in range(runs)]
        for name in runs_[0]:
            for metric, share in (("hit_p50_ms", 0.5), ("hit_p99_ms", 0.99)):
                yield row(name, subset, metric, [percentile(one[name], share) * 1000 for one in runs_])


def row(case: str, subset: str, metric: str, values: list[float], value: float | None = None) -> dict:
    """Return a row; low and high are the extremes of the runs."""
    middle = statistics.median(values) if value is None else value
    return {"case": case, "subset": subset, "metric": metric, "value": round(middle, 3),
            "low": round(min(values), 3), "high": round(max(values), 3), "n": len(values)}  # fmt: skip


def cpu(process: psutil.Process) -> float:
    """Return the processor time that a process has used, in seconds."""
    times = process.cpu_times()
    return times.user + times.system


def measured(
    urls: dict[str, str], processes: dict[str, psutil.Process], runs: int, count: int
) -> Iterator[dict]:
    """Yield the rows on latency and throughput."""
    cases = {**{name: (size, False) for name, size in SIZES.items()}, "first-byte": (1_000, True)}
    for subset, (size, stream) in cases.items():
        made = [body(size, turn, stream=stream) for turn in range(16)]
        added: dict[tuple[str, str], list[float]] = {}
        for _ in range(runs):
            used = {name: cpu(process) for name, process in processes.items()}
            times = asyncio.run(latencies(urls, lambda turn, made=made: made[turn % 16], count, first=stream))
            for name in list(times)[1:]:
                for metric, share in (("added_p50_ms", 0.5), ("added_p99_ms", 0.99)):
                    less = percentile(times[name], share) - percentile(times["direct"], share)
                    added.setdefault((name, metric), []).append(less * 1000)
            for name, process in processes.items():
                spent = (cpu(process) - used[name]) * 1000 / (count + count // 10)
                added.setdefault((name, "cpu_ms"), []).append(spent)
        for (name, metric), values in added.items():
            yield row(name, subset, metric, values)
    for connections in CONNECTIONS:
        speeds: dict[str, list[float]] = {name: [] for name in urls}
        for _ in range(runs):
            for name, url in urls.items():
                requests = count * (1 if name == "litellm" or connections == 1 else 4)
                speeds[name].append(asyncio.run(throughput(url, connections, requests)))
        for name, values in speeds.items():
            yield row(name, str(connections), "requests_per_second", values)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--litellm", metavar="PYTHON", help="a Python that has litellm[proxy]")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--count", type=int, default=300, help="requests of a kind in a run")
    parser.add_argument(
        "--requests", type=int, default=10_000, help="requests before the memory is looked at"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows: list[dict] = []
    with ExitStack() as stack:
        port = free_port()
        stack.enter_context(running(uvicorn("upstream", port), port))
        upstream = f"http://127.0.0.1:{port}"
        urls = {"direct": f"{upstream}/v1/messages"}
        processes = {}
        for name, mode in (("ours", "observe"), ("ours-anchors", "anchors"), ("ours-trim", "trim")):
            urls[name], processes[name] = ours(stack, upstream, mode)
        plain = free_port()
        processes["plain"] = stack.enter_context(
            running(uvicorn("plain", plain), plain, {"UPSTREAM": upstream})
        )
        urls["plain"] = f"http://127.0.0.1:{plain}/v1/messages"
        if given.litellm:
            urls["litellm"], processes["litellm"] = litellm(stack, upstream, given.litellm)
        before = {name: process.memory_info().rss / 2**20 for name, process in processes.items()}
        rows += measured(urls, processes, given.runs, given.count)
        again, _ = ours(stack, upstream, "observe", '[answers]\nreuse = "near"')
        rows += hit_rows(again, urls["direct"], given.runs, given.count)
        for name in ("ours", "ours-anchors"):
            asyncio.run(throughput(urls[name], 16, given.requests))
        for name, process in processes.items():
            rows.append(row(name, "start", "rss_mb", [before[name]]))
            rows.append(row(name, "all", "rss_mb", [process.memory_info().rss / 2**20]))
    show("gateway", rows, environment(), as_json=given.json)


if __name__ == "__main__":
    main()
