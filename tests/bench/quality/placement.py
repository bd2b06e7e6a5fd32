"""What does placing anchors save over the rules of editors, and how long does it take?

    python tests/bench placement --transcripts DIR [--json]

The first requests of every Claude Code session, with made-up tools and system prompt, are sent through the simulated
cache of one account (Anthropic's rules, 4.5 models) as they are (`append-only`), with a moment in the system prompt
(`timestamp`), with a file that is read anew into the first message every five requests (`reread`), with tools in another
order every five requests (`tools`), in two branches that take turns (`branches`), and beside a sub-agent with the same
tools and system prompt (`subagents`). Rows: `saving`, the share of the billed input cost that we save over a rule, case
`over-RULE` for our anchors and lifetimes and `5m-over-RULE` for our anchors with five minutes as theirs; `p99_ms`, the time
to place in a prompt of 500 segments. Intervals: bootstrap by session.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from anchorline.cache.breakpoints import place
from anchorline.cache.gaps import HazardGaps, observed
from anchorline.cache.ledger import Entry, MemoryLedger
from anchorline.cache.lifetime import best, bets
from anchorline.cache.predict import Warmth, assess, cumulative
from anchorline.cache.rules import load
from anchorline.prompt import formats
from anchorline.prompt.model import Prompt
from anchorline.replay.provider_cache import ProviderCache
from anchorline.replay.request import Breakpoint, SimulatedBlock, SimulatedRequest
from bench.data.bodies import bodies
from bench.quality.editor_rules import RULES, Marks
from bench.reporting import environment, interval, percentile, show

MODEL = "claude-opus-4-5"
ANTHROPIC = load().for_model(MODEL)
GAPS = HazardGaps()
REQUESTS = 30
EVERY = 5
SEGMENTS = 500
DRAWS = 300

Sent = tuple[float, dict]
Scenario = list[tuple[float, Prompt]]


def session(path: Path) -> list[Sent]:
    """Return (time, body) of the session's first requests, the model always the same."""
    found = []
    for at, body in islice(bodies(path, preamble=True), REQUESTS):
        value = json.loads(body)
        value["model"] = MODEL
        if value["messages"]:
            found.append((at, value))
    return found


def _changed(body: dict, **members: object) -> dict:
    return {**body, **members}


def timestamp(sent: list[Sent]) -> list[Sent]:
    """A moment at the head of the second system block, another one in each request."""
    found = []
    for at, body in sent:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))
        first, second = body["system"]
        second = _changed(second, text=f"It is {moment}. {second['text']}")
        found.append((at, _changed(body, system=[first, second])))
    return found


def reread(sent: list[Sent]) -> list[Sent]:
    """A file of about 6 000 tokens before the first message's text; one of its lines changes now and then."""
    found = []
    for number, (at, body) in enumerate(sent):
        lines = "\n".join(f"    value_{n} = compute({n}, scale={n * 7 % 13})" for n in range(400))
        text = f"# revision {number // EVERY}\n{lines}"
        first, *rest = body["messages"]
        content = [{"type": "text", "text": text}, *first["content"]]
        found.append((at, _changed(body, messages=[_changed(first, content=content), *rest])))
    return found


def tools(sent: list[Sent]) -> list[Sent]:
    """The tools in another order now and then."""
    found = []
    for number, (at, body) in enumerate(sent):
        ordered = list(body["tools"])
        random.Random(number // EVERY).shuffle(ordered)
        found.append((at, _changed(body, tools=ordered)))
    return found


def branches(sent: list[Sent]) -> list[Sent]:
    """From the middle on every request is sent twice, in a branch whose message there was edited as well."""
    middle = len(sent) // 2
    at_message = len(sent[middle][1]["messages"]) - 1
    found = list(sent[:middle])
    for at, body in sent[middle:]:
        messages = list(body["messages"])
        if at_message < len(messages):
            edited = messages[at_message]
            content = [*edited["content"], {"type": "text", "text": "Another way, please."}]
            messages[at_message] = _changed(edited, content=content)
        found += [(at, body), (at + 1.0, _changed(body, messages=messages))]
    return found


def subagents(sent: list[Sent]) -> list[Sent]:
    """A sub-agent every ten requests: five requests of a few blocks, on the same tools and system prompt."""
    found = list(sent)
    for number in range(4, len(sent), 10):
        at, body = sent[number]
        own = [{"role": "user", "content": [{"type": "text", "text": f"Find part {number}. " * 40}]}]
        for step in range(5):
            found.append((at + 2.0 + 4.0 * step, _changed(body, messages=list(own))))
            own.append({"role": "assistant", "content": [{"type": "text", "text": f"Step {step}. " * 60}]})
            own.append({"role": "user", "content": [{"type": "text", "text": f"Result {step}. " * 400}]})
    return sorted(found, key=lambda one: one[0])


SCENARIOS = {
    "append-only": lambda sent: sent,
    "timestamp": timestamp,
    "reread": reread,
    "tools": tools,
    "branches": branches,
    "subagents": subagents,
}


def read(sent: list[Sent]) -> Scenario:
    """Read the bodies."""
    return [
        (at, formats.read(json.dumps(body, separators=(",", ":")).encode()))
        for at, body in sorted(sent, key=lambda one: one[0])
    ]


def _blocks(prompt: Prompt) -> list[SimulatedBlock]:
    return [
        SimulatedBlock(
            one.digest,
            one.tokens,
            one.section,
            "thinking" if one.kind == "thinking" else "assistant" if one.role == "assistant" else "content",
        )
        for one in prompt.segments
    ]


def cost_of_rule(scenario: Scenario, name: str) -> float:
    """Return the input cost under an editor's rule, in tokens at the base price."""
    cache = ProviderCache(ANTHROPIC, MODEL)
    total = 0.0
    for at, prompt in scenario:
        total += _send(cache, at, prompt, RULES[name](prompt))
    return total


def _send(cache: ProviderCache, at: float, prompt: Prompt, marks: Marks) -> float:
    breakpoints = [Breakpoint(segment, ttl) for segment, ttl in marks]
    return cache.charge(cache.send(SimulatedRequest(at, _blocks(prompt), breakpoints))[0])


def cost_of_ours(scenario: Scenario, ttl: str) -> float:
    """Return the input cost of our anchors; the ledger learns of each request what was anchored."""
    cache, ledger = ProviderCache(ANTHROPIC, MODEL), MemoryLedger()
    total = 0.0
    for at, prompt in scenario:
        totals = cumulative(prompt)
        warmth = assess(prompt, ledger.held("anthropic", ""), MODEL, ANTHROPIC, at, totals)
        gaps = GAPS.after(observed(prompt, totals[-1], at))
        fresh = max(totals[-1] - round(warmth.p_hit * warmth.tokens), 0)
        bet = best(bets(ANTHROPIC, MODEL, gaps, fresh, totals[-1]), ttl)
        anchors = place(prompt, ANTHROPIC, MODEL, warmth, bet, totals, "replace")
        total += _send(cache, at, prompt, [(anchor.segment, anchor.ttl) for anchor in anchors])
        for anchor in anchors:
            lifetime = ANTHROPIC.lifetime(anchor.ttl)
            prefix = prompt.segments[anchor.segment].prefix
            expires = at + lifetime.seconds
            entry = Entry("anthropic", "", MODEL, prefix, anchor.prefix_tokens, anchor.ttl, at, expires)
            ledger.put(entry)
    return total


def savings(paths: list[Path]) -> Iterator[dict]:
    """Yield the rows of `saving`."""
    costs: dict[str, dict[str, list[float]]] = {}
    for number, path in enumerate(paths, 1):
        if sys.stderr.isatty():
            print(f"\r{number}/{len(paths)}", end="", file=sys.stderr)
        sent = session(path)
        if len(sent) < 2 or "messages" not in sent[0][1]:
            continue
        for name, build in SCENARIOS.items():
            scenario = read(build(sent))
            row = costs.setdefault(name, {})
            for rule in RULES:
                row.setdefault(rule, []).append(cost_of_rule(scenario, rule))
            for case, ttl in (("ours", "auto"), ("ours-5m", "5m")):
                row.setdefault(case, []).append(cost_of_ours(scenario, ttl))
    draw = random.Random(0)
    for name, row in costs.items():
        count = len(row["ours"])
        samples = [draw.choices(range(count), k=count) for _ in range(DRAWS)]
        for case, prefix in (("ours", "over-"), ("ours-5m", "5m-over-")):
            for rule in RULES:
                drawn = [1 - _sum(row[case], sample) / _sum(row[rule], sample) for sample in samples]
                value = 1 - sum(row[case]) / sum(row[rule])
                yield {
                    "case": prefix + rule,
                    "subset": name,
                    "metric": "saving",
                    "value": round(value, 4),
                    "low": round(percentile(drawn, 0.025), 4),
                    "high": round(percentile(drawn, 0.975), 4),
                    "n": count,
                }


def _sum(values: list[float], sample: list[int]) -> float:
    return sum(values[index] for index in sample)


def times() -> list[float]:
    """Return milliseconds to place in a prompt of 500 segments, cold and warm, with and without a moment."""
    found = []
    for moment in ("", "It is 2026-11-23 10:00:00. "):
        body = {
            "model": MODEL,
            "system": [{"type": "text", "text": moment + "Rules. " * 4000}],
            "messages": [
                {
                    "role": ("user", "assistant")[n % 2],
                    "content": [{"type": "text", "text": f"{n} " + "text " * 200}],
                }
                for n in range(SEGMENTS - 1)
            ],
        }
        prompt = formats.read(json.dumps(body).encode())
        totals = cumulative(prompt)
        for last in (-1, 0, SEGMENTS - 30, SEGMENTS - 3):
            warmth = Warmth(last, totals[last] if last >= 0 else 0, 0.9 if last >= 0 else 0.0, None, ())
            gaps = GAPS.after(observed(prompt, totals[-1], 0.0))
            bet = best(bets(ANTHROPIC, MODEL, gaps, totals[-1] - warmth.tokens, totals[-1]))
            for _ in range(250):
                start = time.perf_counter()
                place(prompt, ANTHROPIC, MODEL, warmth, bet, totals, "replace")
                found.append((time.perf_counter() - start) * 1000)
    return found


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--transcripts", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    if arguments.transcripts is not None:
        paths = sorted(arguments.transcripts.rglob("*.jsonl*"))
        if not paths:
            sys.exit(f"no sessions (*.jsonl, *.jsonl.gz) below {arguments.transcripts}")
        rows += savings([path for path in paths if "codex" not in path.parts])
    spent = times()
    rows.append(interval("ours", "p50_ms", spent))
    rows.append(interval("ours", "p99_ms", spent, percentile(spent, 0.99)))
    show("placement", rows, environment(), as_json=arguments.json)


if __name__ == "__main__":
    main()
