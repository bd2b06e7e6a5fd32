"""Requests as spans, made by the SDK's own tracer, with the times and ids of the requests."""

from collections.abc import Iterable, Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind

from anchorline import __version__
from anchorline.otel import attributes
from anchorline.otel.usage import UsageRecord

_NANO = 1_000_000_000


class _Ids(IdGenerator):
    """The ids of the request whose turn it is: who gets it twice can tell."""

    def __init__(self) -> None:
        self.key = bytes(16)

    def generate_trace_id(self) -> int:
        """Returns the request's key."""
        return int.from_bytes(self.key) or 1

    def generate_span_id(self) -> int:
        """Returns the beginning of the request's key."""
        return int.from_bytes(self.key[:8]) or 1


class _Kept(SpanProcessor):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Keeps a span."""
        self.spans.append(span)


def spans(records: Iterable[UsageRecord], resource: Resource) -> Sequence[ReadableSpan]:
    """Returns a span for each request, a trace of its own.

    It lasts as long as the answer did; where that is not known, until the answer began.
    """
    ids, kept = _Ids(), _Kept()
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(kept)
    tracer = provider.get_tracer(attributes.SCOPE, __version__)
    for record in records:
        ids.key = record.key
        span = tracer.start_span(
            f"{attributes.operation(record)} {record.model}",
            kind=SpanKind.CLIENT,
            attributes=attributes.of_span(record),
            start_time=nanoseconds(record.at),
        )
        span.end(nanoseconds(record.at + (record.seconds or record.first or 0.0)))
    return kept.spans


def nanoseconds(at: float) -> int:
    """Returns epoch nanoseconds."""
    return round(at * _NANO)
