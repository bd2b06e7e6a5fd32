"""Metrics of the requests since the gateway was started: for `anchorline top` and Prometheus."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator

import msgspec

from anchorline.billed.budgets import BudgetUse
from anchorline.cache import hits
from anchorline.cache.ledger import Entry, longest
from anchorline.gateway.credential import Credential
from anchorline.limits.budgets import WindowBudget
from anchorline.limits.model import TokenCounts, WindowCost, WindowState
from anchorline.outcome import Usage
from anchorline.plan import CachePlan

LAST = 50
"""Requests that are shown one by one."""
KINDS = ("input", "read", "write", "output")
TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class FinishedRequest(msgspec.Struct, frozen=True):
    """One request: seconds, tokens, USD. `hit` is None where nothing was believed warm or no usage was told.

    `miss` is the provider's own reason, where its client has asked for that.

    `saved_usd` is what its cached tokens saved, less what writing others cost, against a provider without a cache.
    `unpriced` says why there are no dollars, empty where there are or nothing was billed. `client`, `session` and
    `project` are empty where they are not known.
    """

    at: float
    model: str
    status: int
    seconds: float
    first_byte: float | None
    usage: Usage | None
    p_hit: float
    hit: bool | None
    miss: str
    usd: float | None
    saved_usd: float | None
    changes: int
    unpriced: str = ""
    client: str = ""
    session: str = ""
    project: str = ""


class WarmPrefix(msgspec.Struct, frozen=True):
    """A conversation's longest prefix that is believed warm, for `left` seconds more."""

    model: str
    tokens: int
    ttl: str
    left: float


class Unchanged(msgspec.Struct, frozen=True):
    """What goes on unchanged and why: requests on a plan, or a kind of change that a provider has refused.

    `requests` is how many did so, or were refused; `until` are epoch seconds, None for always.
    """

    what: str
    why: str
    requests: int
    until: float | None = None


class Counts(msgspec.Struct):
    """What else was counted.

    Bodies that can't be read, requests without a plan, those whose plan came too late to be sent by, changed ones,
    refused ones (where the original was then accepted), those that were answered from the response cache, and
    keep-alive pings.
    """

    unread: int = 0
    unplanned: int = 0
    late: int = 0
    changed: int = 0
    refused: int = 0
    reused: int = 0
    pings: int = 0


class GatewayState(msgspec.Struct, frozen=True):
    """Everything, at the moment `at` (epoch seconds). `tokens` by what they were billed as.

    `reused_usd` is what the answers cost that were given again, when the provider gave them. `pings_usd` is what
    keep-alive pings cost, which the other dollars and tokens do not hold; `kept_warm` how many prefixes wait for one.
    `credentials` counts requests by the kind of their credential, `plans` is how those on a plan are treated.
    Dollars are of what has a known price, None where nothing has; `unpriced` counts the billed requests that they leave
    out, by what is not known. `budgets` and `window_budgets` are those of the settings that are set, as far as what
    was spent is known, `windows` those of plans. Of a run's state,
    `spent` is what its requests on a plan took of the windows.
    """

    at: float
    mode: str
    requests: dict[str, int]
    tokens: dict[str, int]
    usd: float | None
    saved_usd: float | None
    reused_usd: float | None
    pings_usd: float | None
    kept_warm: int
    predicted: int
    expected_hits: float
    hits: int
    first_bytes: int
    first_byte_seconds: float
    counts: Counts
    last: tuple[FinishedRequest, ...]
    warm: tuple[WarmPrefix, ...]
    problem: str | None
    plans: str = "observe"
    credentials: dict[str, int] = {}
    held: tuple[Unchanged, ...] = ()
    unpriced: dict[str, int] = {}
    budgets: tuple[BudgetUse, ...] = ()
    windows: tuple[WindowState, ...] = ()
    spent: tuple[WindowCost, ...] = ()
    window_budgets: tuple[WindowBudget, ...] = ()


class _Dollars:
    """A sum of dollars, of which some are not known."""

    def __init__(self) -> None:
        self._known = 0.0
        self._counts = [0, 0]

    def add(self, usd: float | None) -> None:
        self._known += usd or 0.0
        self._counts[usd is not None] += 1

    @property
    def usd(self) -> float | None:
        """What is known of it: None where there is something, and nothing is known."""
        missing, priced = self._counts
        return None if missing and not priced else self._known


class Metrics:
    """Adds up what passes."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.credentials: Counter[Credential] = Counter()
        self.on_plans: dict[str, TokenCounts] = {}
        self._requests: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._usd, self._saved, self._reused, self._pings = (_Dollars() for _ in range(4))
        self._unpriced: Counter[str] = Counter()
        self._predicted = self._hits = self._first_bytes = 0
        self._expected = self._first_byte_seconds = 0.0
        self._last: deque[FinishedRequest] = deque(maxlen=LAST)

    def add(self, passed: FinishedRequest) -> None:
        """Takes in a request that is over."""
        self._requests[str(passed.status)] += 1
        if passed.usd is not None or passed.unpriced:
            self._usd.add(passed.usd)
            self._saved.add(passed.saved_usd)
        if passed.unpriced:
            self._unpriced[passed.unpriced] += 1
        if passed.usage is not None:
            self._tokens.update({kind: getattr(passed.usage, kind) for kind in KINDS})
        if passed.hit is not None:
            self._predicted += 1
            self._hits += passed.hit
            self._expected += passed.p_hit
        if passed.first_byte is not None:
            self._first_bytes += 1
            self._first_byte_seconds += passed.first_byte
        self._last.append(passed)

    def add_on_plan(self, model: str, usage: Usage) -> None:
        """Takes in the tokens of a request that is paid by a plan."""
        before = self.on_plans.get(model, TokenCounts())
        self.on_plans[model] = TokenCounts(
            before.input + usage.input,
            before.read + usage.read,
            before.write_5m + usage.write - usage.write_1h,
            before.write_1h + usage.write_1h,
            before.output + usage.output,
        )

    def reused(self, usd: float | None) -> None:
        """Takes in a request that was answered from the response cache: what it would have cost."""
        self.counts.reused += 1
        self._reused.add(usd)

    def pinged(self, usd: float | None) -> None:
        """Takes in a keep-alive ping: what it cost."""
        self.counts.pings += 1
        self._pings.add(usd)

    def state(
        self,
        at: float,
        mode: str,
        warm: Iterable[Entry],
        kept_warm: int,
        problem: str | None,
        plans: str,
        unchanged: Iterable[Unchanged],
    ) -> GatewayState:
        """Returns everything."""
        held = longest(entry for entry in warm if entry.is_warm(at))
        return GatewayState(
            at,
            mode,
            dict(self._requests),
            dict(self._tokens),
            self._usd.usd,
            self._saved.usd,
            self._reused.usd,
            self._pings.usd,
            kept_warm,
            self._predicted,
            self._expected,
            self._hits,
            self._first_bytes,
            self._first_byte_seconds,
            self.counts,
            tuple(self._last),
            tuple(
                WarmPrefix(entry.model, entry.tokens, entry.ttl, entry.expires_at - at)
                for entry in sorted(held, key=lambda entry: entry.expires_at)
            ),
            problem,
            plans,
            {str(kind): number for kind, number in self.credentials.items()},
            tuple(unchanged),
            dict(self._unpriced),
        )


def hit(usage: Usage | None, cache: CachePlan, estimate: int) -> bool | None:
    """Returns whether the prefix that was believed warm was read, by an estimate; None where nothing says so."""
    if usage is None or not cache.warm_tokens or not estimate:
        return None
    first = usage.first
    return hits.is_hit(first.read, hits.as_billed(cache.warm_tokens, estimate, first.prompt))


def prometheus(state: GatewayState) -> bytes:
    """Returns the state in Prometheus' text format."""
    return "\n".join([*_lines(state), ""]).encode()


def _lines(state: GatewayState) -> Iterator[str]:
    def metric(name: str, kind: str, text: str, *values: tuple[str, float]) -> Iterator[str]:
        yield f"# HELP anchorline_{name} {text}"
        yield f"# TYPE anchorline_{name} {kind}"
        for labels, value in values:
            yield f"anchorline_{name}{labels} {value:.10g}"

    statuses = [(f'{{status="{status}"}}', float(count)) for status, count in sorted(state.requests.items())]
    kinds = [(f'{{kind="{kind}"}}', float(count)) for kind, count in sorted(state.tokens.items())]
    yield from metric(
        "requests_total", "counter", "Requests with a prompt, by the status of their answer.", *statuses
    )
    yield from metric("tokens_total", "counter", "Tokens as they were billed.", *kinds)
    yield from metric(
        "usd_total", "counter", "What requests cost, by the catalogue's prices.", ("", state.usd or 0.0)
    )
    yield from metric(
        "cache_saved_usd",
        "gauge",
        "What caches saved of it, less what writing cost.",
        ("", state.saved_usd or 0.0),
    )
    yield from metric(
        "reused_usd",
        "gauge",
        "What answers cost that were given again, when first given.",
        ("", state.reused_usd or 0.0),
    )
    yield from metric("pings_usd", "counter", "What keep-alive pings cost.", ("", state.pings_usd or 0.0))
    yield from metric(
        "unpriced_total",
        "counter",
        "Billed requests that the dollars leave out.",
        ("", float(sum(state.unpriced.values()))),
    )
    yield from metric("kept_warm", "gauge", "Prefixes that pings keep warm.", ("", state.kept_warm))
    yield from metric(
        "predicted_total", "counter", "Requests with a prefix believed warm.", ("", state.predicted)
    )
    yield from metric("expected_hits", "gauge", "The sum of their P(hit).", ("", state.expected_hits))
    yield from metric("hits_total", "counter", "Those that read it.", ("", state.hits))
    yield "# HELP anchorline_first_byte_seconds Time to the first byte of an answer."
    yield "# TYPE anchorline_first_byte_seconds summary"
    yield f"anchorline_first_byte_seconds_sum {state.first_byte_seconds:.6f}"
    yield f"anchorline_first_byte_seconds_count {state.first_bytes}"
    credentials = [(f'{{credential="{kind}"}}', float(n)) for kind, n in sorted(state.credentials.items())]
    yield from metric(
        "credentials_total",
        "counter",
        "Requests with a prompt, by the kind of their credential.",
        *credentials,
    )
    for name, count in msgspec.structs.asdict(state.counts).items():
        yield from metric(f"{name}_total", "counter", f"Requests: {name}.", ("", count))
    used = [
        (f'{{provider="{window.provider}",window="{window.window}",account="{window.account}"}}', window.used)
        for window in state.windows
        if not window.over
    ]
    yield from metric("limit_used_percent", "gauge", "What is used of a plan's windows.", *used)
    yield from metric("warm_prefixes", "gauge", "Prefixes believed warm.", ("", len(state.warm)))
    yield from metric(
        "recording", "gauge", "1 while outcomes are recorded.", ("", float(state.problem is None))
    )
