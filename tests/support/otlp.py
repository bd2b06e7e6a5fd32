"""A small OTLP/HTTP receiver: it decodes what is sent by the protocol's own types, and may refuse, stall or drop it."""

import gzip
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

KINDS = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}


class Span(NamedTuple):
    """A span as it arrived."""

    trace_id: bytes
    span_id: bytes
    name: str
    kind: int
    start: float
    end: float
    attributes: dict[str, Any]


class Point(NamedTuple):
    """A point of a metric as it arrived; `count` is None for a counter."""

    metric: str
    unit: str
    value: float
    count: int | None
    buckets: tuple[int, ...]
    bounds: tuple[float, ...]
    start: float
    end: float
    delta: bool
    attributes: dict[str, Any]


class Receiver(ThreadingHTTPServer):
    """The receiver. `statuses` are what the next requests are answered with; then 200. `stall_s` is how long it takes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.statuses: list[int] = []
        self.stall_s = 0.0
        self.rejects = 0
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.asked = Counter[str]()
        self.traces: list[ExportTraceServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.arrived = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def spans(self) -> list[Span]:
        """All spans that were taken."""
        return [
            Span(
                span.trace_id,
                span.span_id,
                span.name,
                span.kind,
                span.start_time_unix_nano / 1e9,
                span.end_time_unix_nano / 1e9,
                _attributes(span.attributes),
            )
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def points(self) -> list[Point]:
        """All points of metrics that were taken."""
        return list(self._points())

    def _points(self) -> Iterator[Point]:
        for request in self.metrics:
            for resource in request.resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        data = getattr(metric, metric.WhichOneof("data"))
                        for point in data.data_points:
                            histogram = metric.WhichOneof("data") == "histogram"
                            yield Point(
                                metric.name,
                                metric.unit,
                                point.sum if histogram else getattr(point, point.WhichOneof("value")),
                                point.count if histogram else None,
                                tuple(point.bucket_counts) if histogram else (),
                                tuple(point.explicit_bounds) if histogram else (),
                                point.start_time_unix_nano / 1e9,
                                point.time_unix_nano / 1e9,
                                data.aggregation_temporality == 1,
                                _attributes(point.attributes),
                            )

    def total(self, metric: str, **attributes: Any) -> float:
        """The sum of a metric's points that have these attributes (dots written as two underscores)."""
        wanted = {name.replace("__", "."): value for name, value in attributes.items()}
        return sum(
            point.value
            for point in self.points
            if point.metric == metric and wanted.items() <= point.attributes.items()
        )


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        receiver = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.asked[self.path] += 1
        receiver.headers.append(dict(self.headers))
        time.sleep(receiver.stall_s)
        status = receiver.statuses.pop(0) if receiver.statuses else 200
        answer = b"no such place"
        if status == 200:
            raw = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            receiver.raw.append(raw)
            message = KINDS[self.path].FromString(raw)
            if isinstance(message, ExportTraceServiceRequest):
                receiver.traces.append(message)
                taken = ExportTraceServiceResponse()
                taken.partial_success.rejected_spans = receiver.rejects
            else:
                receiver.metrics.append(message)
                taken = ExportMetricsServiceResponse()
                taken.partial_success.rejected_data_points = receiver.rejects
            answer = taken.SerializeToString()
            receiver.arrived.set()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
