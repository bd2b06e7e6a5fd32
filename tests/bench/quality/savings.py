"""What does the gateway save in whole real sessions?

    python tests/bench savings --transcripts DIR [--sessions N] [--requests N] [--arms NAME…] [--json]

Every request of every Claude Code session, or of a sample of them, or their first ones (with made-up tools and system prompt, which session files lack) are sent
at their times, over HTTP, to an upstream that bills them by the providers' cache rules. `cost_ratio` is the billed input
cost over that of Claude Code's own breakpoints (system, and the ends of the last two user messages) for an hour, as Claude Code 2.1.332 sets
them on a plan; `credits_ratio` the same over those for five minutes, as it sets them on API credits and in sub-agents (Cline does as well).
`observe` passes them on unchanged. Cases: other clients' rules, sent directly (`zed`, `claude-code-credits`); Claude Code on credits through the
gateway in mode `observe`, `anchors` (its breakpoints replaced by ours, the default), `anchors-extend` (kept, and ours
beside them), `trim` and `trim-extend`; `client` sends no breakpoints at all, directly, and `anchors-client`, `trim-client` are it
through the gateway. Every session meets an empty cache. Intervals: bootstrap by session.
"""

import argparse
import http.client
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice, product
from operator import truediv
from pathlib import Path

from anchorline import config
from anchorline.cache import markers
from anchorline.plan import Anchor
from anchorline.prompt import formats
from bench.data.bodies import bodies
from bench.quality.editor_rules import RULES
from bench.reporting import environment, show
from support.gateways import Here, free_port
from support.upstream import Running, Upstream

DRAWS = 500
Request = tuple[float, bytes]
Session = list[Request]


def session(path: Path, requests: int | None) -> Session:
    """Return (seconds since the first, body) of a session's first requests (None: all), without breakpoints."""
    found = [
        (at, body) for at, body in islice(bodies(path, preamble=True), requests) if b'"content":[' in body
    ]
    return [(at - found[0][0], body) for at, body in found]


def marked(body: bytes, rule: str) -> bytes:
    """Return a body with the breakpoints that a client sets by its rule."""
    prompt = formats.read(body, format="anthropic")
    anchors = [Anchor(segment, "", 0, ttl, "") for segment, ttl in RULES[rule](prompt)]
    return markers.apply(body, markers.splices(prompt, anchors))


class Arm:
    """One way to the upstream: what the client sends, and the gateway's settings (None: it is sent directly)."""

    def __init__(self, rule: str | None, mode: config.Mode | None = None, anchors: str = "replace") -> None:
        self.rule = rule
        self.mode = mode
        self.anchors = anchors

    def cost(self, requests: Session) -> float:
        """Return the billed input cost of a session, in uncached tokens."""
        upstream, now = Upstream(keep=False), [0.0]
        start = time.time()
        with tempfile.TemporaryDirectory() as folder, Running(upstream) as behind:
            if self.mode is None:
                self._send(behind.port, "", requests, start, now)
                return upstream.usd
            settings = config.Config(
                cache=config.Cache(anchors=self.anchors),
                store=config.Store(enabled=False, path=f"{folder}/a.db"),
                gateway=config.Gateway(mode=self.mode),
            )
            port = free_port()
            here = Here(behind.url, port, settings, lambda: now[0])
            with Running(here, port):
                self._send(port, "/token/anthropic", requests, start, now)
        return upstream.usd

    def _send(self, port: int, base: str, requests: Session, start: float, now: list[float]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for after, body in requests:
            now[0] = start + after
            sent = marked(body, self.rule) if self.rule else body
            headers = {"content-type": "application/json", "x-api-key": "k", "x-now": repr(now[0])}
            connection.request("POST", f"{base}/v1/messages", sent, headers)
            answer = connection.getresponse()
            told = answer.read()
            if answer.status != 200:
                raise SystemExit(f"{self.rule} {self.mode}: {answer.status} {told[:300]!r}")
        connection.close()


ARMS = {
    "claude-code": Arm("claude-code"),
    "claude-code-credits": Arm("cline"),
    "observe": Arm("cline", "observe"),
    "zed": Arm("zed"),
    "anchors": Arm("cline", "anchors"),
    "anchors-extend": Arm("cline", "anchors", "extend"),
    "anchors-extend-1h": Arm("claude-code", "anchors", "extend"),
    "trim": Arm("cline", "trim"),
    "trim-extend": Arm("cline", "trim", "extend"),
    "client": Arm(None),
    "anchors-client": Arm(None, "anchors"),
    "trim-client": Arm(None, "trim"),
}

BASES = {"cost_ratio": "claude-code", "credits_ratio": "claude-code-credits"}
"""Each ratio, and the arm below its line."""


def interval(
    costs: list[float], base: list[float], statistic: Callable[[list[float], list[float]], float]
) -> tuple[float, float]:
    """Return the 95 % interval, bootstrap by session."""
    draw = random.Random(7)
    values = []
    for _ in range(DRAWS):
        drawn = [draw.randrange(len(costs)) for _ in costs]
        values.append(statistic([costs[i] for i in drawn], [base[i] for i in drawn]))
    values.sort()
    return values[int(0.025 * DRAWS)], values[int(0.975 * DRAWS)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--transcripts", type=Path, required=True)
    parser.add_argument("--sessions", type=int, help="how many sessions, drawn at random (default: all)")
    parser.add_argument("--requests", type=int, help="requests of a session (default: all)")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=[*ARMS], help="only these (default: all)")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    files = sorted(path for path in given.transcripts.rglob("*.jsonl*") if "codex" not in path.parts)
    random.Random(7).shuffle(files)
    arms = dict.fromkeys([*BASES.values(), *given.arms])
    costs: dict[str, list[float]] = {name: [] for name in arms}
    sent = 0
    for number, path in enumerate(files[: given.sessions], 1):
        requests = session(path, given.requests)
        if len(requests) > 1:
            sent += len(requests)
            for name in arms:
                costs[name].append(ARMS[name].cost(requests))
        print(f"{number} of {len(files[: given.sessions])} sessions, {sent} requests", file=sys.stderr)
    if not sent:
        parser.error(f"no Claude Code sessions below {given.transcripts}")
    statistics_: dict[str, Callable[[list[float], list[float]], float]] = {
        "": lambda one, other: sum(one) / sum(other),
        "_median": lambda one, other: statistics.median(map(truediv, one, other)),
        "_worst": lambda one, other: max(map(truediv, one, other)),
    }
    rows = []
    for name, found in costs.items():
        for (ratio, baseline), (suffix, statistic) in product(BASES.items(), statistics_.items()):
            base = costs[baseline]
            low, high = interval(found, base, statistic)
            row = {
                "case": name,
                "subset": "all",
                "metric": ratio + suffix,
                "value": round(statistic(found, base), 4),
            }
            rows.append(row | {"low": round(low, 4), "high": round(high, 4), "n": len(found)})
    rows.append({"case": "all", "subset": "all", "metric": "requests", "value": sent, "low": sent, "high": sent,
                 "n": len(costs["claude-code"])})  # fmt: skip
    show("savings", rows, environment(), as_json=given.json)


if __name__ == "__main__":
    main()
