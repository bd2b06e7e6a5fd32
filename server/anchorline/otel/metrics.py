"""Requests added up as metrics: of each hour one point for each provider, model and agent, as a difference (delta).

The SDK's own instruments know only the time of now. What is exported may be weeks old, so its points are made here.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from anchorline import __version__
from anchorline.otel import attributes
from anchorline.otel.attributes import MODALITY, TOKEN_TYPE, Attributes
from anchorline.otel.spans import nanoseconds
from anchorline.otel.usage import UsageRecord

HOUR_S = 3600
TOKENS = tuple(4.0**power for power in range(14))
SECONDS = tuple(0.01 * 2**power for power in range(14))
"""The bounds of buckets that the conventions give for tokens and durations."""
_DELTA = AggregationTemporality.DELTA
_UNKNOWN: Attributes = {MODALITY: "unknown"}
_INPUT: Attributes = {TOKEN_TYPE: "input"}
_OUTPUT: Attributes = {TOKEN_TYPE: "output"}
_USAGE = "gen_ai.client.inference.usage"
_PER_OPERATION = "gen_ai.client.inference.operation"


_Value = Callable[[UsageRecord], float | None]
"""What is measured of a request; None where it is not known."""


class _Counter(NamedTuple):
    """What is added up."""

    name: str
    unit: str
    description: str
    value: _Value
    labels: Attributes


class _Distribution(NamedTuple):
    """How values are distributed over the buckets between `bounds`, each kind of value with labels of its own."""

    name: str
    unit: str
    description: str
    bounds: tuple[float, ...]
    values: tuple[tuple[_Value, Attributes], ...]


def _input(record: UsageRecord) -> int:
    return record.tokens.prompt


def _output(record: UsageRecord) -> int:
    return record.tokens.output


def _cost(record: UsageRecord) -> float | None:
    return None if record.bill is None else record.bill.usd


def _seconds(record: UsageRecord) -> float | None:
    return record.seconds


def _read(record: UsageRecord) -> int:
    return record.tokens.read


def _written(record: UsageRecord) -> int:
    return record.tokens.written


_TOKEN = "{token}"  # noqa: S105  (a unit)
_COUNTERS = (
    _Counter(f"{_USAGE}.input_tokens", _TOKEN, "Input tokens, with those of the cache.", _input, _UNKNOWN),
    _Counter(f"{_USAGE}.output_tokens", _TOKEN, "Output tokens.", _output, _UNKNOWN),
    _Counter(f"{_USAGE}.cache_read.input_tokens", _TOKEN, "Input tokens read from a cache.", _read, _UNKNOWN),
    _Counter(
        f"{_USAGE}.cache_write.input_tokens", _TOKEN, "Input tokens written to a cache.", _written, _UNKNOWN
    ),
    _Counter("anchorline.cost", "USD", "What requests were billed.", _cost, {}),
)
_DISTRIBUTIONS = (
    _Distribution(
        f"{_PER_OPERATION}.input_tokens", _TOKEN, "Input tokens of a request.", TOKENS, ((_input, {}),)
    ),
    _Distribution(
        f"{_PER_OPERATION}.output_tokens", _TOKEN, "Output tokens of a request.", TOKENS, ((_output, {}),)
    ),
    _Distribution(
        "gen_ai.client.inference.duration", "s", "Duration of a request.", SECONDS, ((_seconds, {}),)
    ),
    # The older names:
    _Distribution(
        "gen_ai.client.token.usage",
        _TOKEN,
        "Tokens of a request.",
        TOKENS,
        ((_input, _INPUT), (_output, _OUTPUT)),
    ),
    _Distribution(
        "gen_ai.client.operation.duration", "s", "Duration of a request.", SECONDS, ((_seconds, {}),)
    ),
)


class _Series(NamedTuple):
    """Requests of one hour that have the attributes in common."""

    hour: int
    labels: tuple[tuple[str, str | int | float], ...]


_Groups = dict[_Series, list[UsageRecord]]


def metrics(records: Iterable[UsageRecord], resource: Resource) -> MetricsData:
    """Returns the points of some requests; of the next ones others add to them."""
    series: defaultdict[_Series, list[UsageRecord]] = defaultdict(list)
    for record in records:
        labels = tuple(attributes.shared(record).items())
        series[_Series(int(record.at // HOUR_S), labels)].append(record)
    made: list[Metric] = []
    for counter in _COUNTERS:
        if sums := list(_sums(counter, series)):
            data = Sum(sums, _DELTA, is_monotonic=True)
            made.append(Metric(counter.name, counter.description, counter.unit, data))
    for spread in _DISTRIBUTIONS:
        if histograms := list(_histograms(spread, series)):
            distribution = Histogram(histograms, _DELTA)
            made.append(Metric(spread.name, spread.description, spread.unit, distribution))
    scope = InstrumentationScope(attributes.SCOPE, __version__)
    return MetricsData([ResourceMetrics(resource, [ScopeMetrics(scope, made, "")], "")])


def _sums(counter: _Counter, series: _Groups) -> Iterator[NumberDataPoint]:
    for key, group in series.items():
        values = _measured(counter.value, group)
        if values:
            yield NumberDataPoint(dict(key.labels) | counter.labels, *_span(key, group), sum(values))


def _histograms(spread: _Distribution, series: _Groups) -> Iterator[HistogramDataPoint]:
    for key, group in series.items():
        for value, labels in spread.values:
            values = _measured(value, group)
            if not values:
                continue
            counts = [0] * (len(spread.bounds) + 1)
            for measured in values:
                counts[bisect_left(spread.bounds, measured)] += 1  # a bucket holds its upper bound
            yield HistogramDataPoint(
                dict(key.labels) | labels,
                *_span(key, group),
                len(values),
                sum(values),
                counts,
                spread.bounds,
                min(values),
                max(values),
            )


def _measured(value: _Value, group: list[UsageRecord]) -> list[float]:
    return [measured for record in group if (measured := value(record)) is not None]


def _span(key: _Series, group: list[UsageRecord]) -> tuple[int, int]:
    """Returns from when on the point counts, and until when: the hour's beginning, and the last answer's end."""
    end = max(record.at + (record.seconds or 0.0) for record in group)
    return nanoseconds(key.hour * HOUR_S), nanoseconds(end)
