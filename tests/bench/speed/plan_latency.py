"""How long does a plan take? Reading a request and planning it, for the last request of each session.

    python tests/bench plan_latency --transcripts DIR [--rounds 9] [--json] [--without-litellm]

Cases, all on the same request bodies, in one run:

- `cold`: read the body and plan it, nothing known before but its format (a request's path tells that);
- `incremental`: the request before was planned by the same server, one more turn has come;
- `floor`: msgspec.Raw decode of the body plus one xxh3 prefix-hash pass over its messages: no planner can do less;
- `litellm`: LiteLLM's cache-injection hook and its complexity router on the same messages (extra `bench`).

Each request is measured `--rounds` times and its median counts; p50 and p99 are over requests and over rounds.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from xxhash import xxh3_128

from anchorline.cache.ledger import Entry, MemoryLedger
from anchorline.config import Config
from anchorline.plan import Plan
from anchorline.planner import Planner
from anchorline.prompt import formats
from bench.data.bodies import bodies


class Body(msgspec.Struct):
    """As little of a body as an anchor needs."""

    messages: list[msgspec.Raw] = []
    input: list[msgspec.Raw] = []


_decode = msgspec.json.Decoder(Body).decode


def floor(body: bytes) -> None:
    """Decode and hash once."""
    decoded = _decode(body)
    chain = xxh3_128()
    for item in decoded.messages or decoded.input:
        chain.update(item)
        chain.digest()


def timed(work: Callable[[], Any], rounds: int) -> list[float]:
    """Return the milliseconds of each round."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    return times


def warm(planner_ledger: MemoryLedger, plan: Plan, prompt: Any, at: float) -> None:
    """Put into the ledger what sending a plan would: the anchored prefixes."""
    for anchor in plan.cache.anchors:
        prefix = prompt.segments[anchor.segment].prefix
        planner_ledger.put(
            Entry(
                plan.cache.provider,
                "default",
                str(prompt.model),
                prefix,
                anchor.prefix_tokens,
                "5m",
                at,
                at + 300,
            )
        )


class Case:
    """One session's last two requests."""

    def __init__(self, path: Path, last: list[tuple[float, bytes]]) -> None:
        self.path = path
        self.before = last[0][1] if len(last) > 1 else None
        self.body = last[-1][1]
        self.at = last[-1][0]
        self.format = formats.detect(self.body)

    def cold(self) -> None:
        """Plan with nothing known."""
        planner = PLANNER
        prompt = formats.read(self.body, format=self.format)
        plan = planner.plan(prompt, now=self.at)
        if plan.failure is not None:
            raise RuntimeError(plan.failure)

    def incremental(self, rounds: int) -> list[float]:
        """Plan the last request after the one before it."""
        times = []
        for _ in range(rounds):
            memory = formats.Memory()
            ledger = MemoryLedger()
            planner = Planner(Config(), ledger)
            if self.before is not None:
                prompt = formats.read(self.before, memory=memory)
                warm(ledger, planner.plan(prompt, now=self.at - 20), prompt, self.at - 20)
            start = time.perf_counter()
            prompt = formats.read(self.body, memory=memory)
            plan = planner.plan(prompt, now=self.at)
            times.append((time.perf_counter() - start) * 1000)
            if plan.failure is not None:
                raise RuntimeError(plan.failure)
        return times


PLANNER = Planner(Config(), MemoryLedger())


def litellm_path() -> Callable[[bytes], None]:
    """Return what LiteLLM does to the same body: JSON decode, inject cache control, classify the complexity."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    from litellm.integrations.anthropic_cache_control_hook import AnthropicCacheControlHook
    from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter

    hook = AnthropicCacheControlHook()
    router = ComplexityRouter(model_name="auto", litellm_router_instance=None)
    points = [{"location": "message", "role": "system"}, {"location": "message", "index": -1}]

    def run(body: bytes) -> None:
        decoded = json.loads(body)
        messages = decoded.get("messages") or _chat(decoded["input"])
        model = decoded.get("model") or "claude-sonnet-4-5"
        hook.get_chat_completion_prompt(
            model=model,
            messages=messages,
            non_default_params={"cache_control_injection_points": points},
            prompt_id=None,
            prompt_variables=None,
            dynamic_callback_params={},
        )
        router.classify(_last_text(messages))

    return run


def _chat(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """LiteLLM's hook takes chat messages: give it the Responses items that are messages."""
    return [item for item in items if "role" in item]


def _last_text(messages: list[dict[str, Any]]) -> str:
    for message in reversed(messages):
        content = message.get("content")
        if message.get("role") == "user" and isinstance(content, str):
            return content
        if message.get("role") == "user" and isinstance(content, list):
            for block in reversed(content):
                if isinstance(block, dict) and isinstance(block.get("text"), str):
                    return str(block["text"])
    return ""


def percentile(values: list[float], share: float) -> float:
    """Return the value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--transcripts", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--without-litellm", action="store_true")
    arguments = parser.parse_args()

    paths = sorted(arguments.transcripts.rglob("*.jsonl*"))
    if not paths:
        sys.exit(f"no sessions (*.jsonl, *.jsonl.gz) below {arguments.transcripts}")
    cases = [Case(path, last) for path in paths if (last := list(bodies(path))[-2:])]
    if not cases:
        sys.exit(f"no session below {arguments.transcripts} holds a request")
    peer = None if arguments.without_litellm else litellm_path()
    times: dict[str, list[list[float]]] = {"floor": [], "cold": [], "incremental": [], "litellm": []}
    rounds = arguments.rounds
    for number, case in enumerate(cases, 1):
        if sys.stderr.isatty():
            print(f"\r{number}/{len(cases)} {case.path.name[:40]:40}", end="", file=sys.stderr)
        case.cold()
        times["floor"].append(timed(lambda case=case: floor(case.body), rounds))
        times["cold"].append(timed(case.cold, rounds))
        times["incremental"].append(case.incremental(rounds))
        if peer is not None:
            peer(case.body)
            times["litellm"].append(timed(lambda case=case: peer(case.body), rounds))

    rows: list[dict[str, Any]] = []

    def row(case: str, metric: str, values: list[float], value: float) -> None:
        low, high = percentile(values, 0.025), percentile(values, 0.975)
        rows.append(
            {
                "case": case,
                "subset": "all",
                "metric": metric,
                "value": round(value, 4),
                "low": round(low, 4),
                "high": round(high, 4),
                "n": len(values),
            }
        )

    for name, per_case in times.items():
        if per_case:
            flat = [one for values in per_case for one in values]
            prefix = "incremental" if name == "incremental" else name
            label = "ours" if name in ("cold", "incremental") else name
            row(label, f"{prefix}_p50_ms", flat, percentile(flat, 0.5))
            row(label, f"{prefix}_p99_ms", flat, percentile(flat, 0.99))
    medians = {name: [statistics.median(values) for values in per_case] for name, per_case in times.items()}
    ratios = [ours / least for ours, least in zip(medians["cold"], medians["floor"], strict=True)]
    row("ours", "cold_over_floor", ratios, statistics.median(ratios))
    row("ours", "cold_over_floor_total", ratios, sum(medians["cold"]) / sum(medians["floor"]))
    if peer is not None:
        ratios = [
            theirs / ours for theirs, ours in zip(medians["litellm"], medians["incremental"], strict=True)
        ]
        row("ours", "litellm_over_ours", ratios, statistics.median(ratios))
        row("ours", "litellm_over_ours_total", ratios, sum(medians["litellm"]) / sum(medians["incremental"]))
        ratios = [theirs / ours for theirs, ours in zip(medians["litellm"], medians["cold"], strict=True)]
        row("ours", "litellm_over_cold", ratios, statistics.median(ratios))
    if arguments.json:
        environment = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
        }
        print(json.dumps({"bench": "plan_latency", "rows": rows, "environment": environment}))
        return
    print(
        f"\n{len(cases)} requests, {sum(len(case.body) for case in cases) / len(cases) / 1000:.0f} kB on average"
    )
    for one in rows:
        print("{case:8} {metric:24} {value:9.3f}   [{low:.3f}, {high:.3f}] n={n}".format(**one))


if __name__ == "__main__":
    main()
