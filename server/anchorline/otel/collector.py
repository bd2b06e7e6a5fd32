"""Sends spans and metrics to a collector by the SDK's OTLP exporters, and says why it could not."""

import logging
from collections.abc import Sequence
from typing import Literal, get_args
from urllib.parse import urlsplit

import requests
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExportResult

from anchorline import __version__
from anchorline.otel.metrics import metrics
from anchorline.otel.spans import spans
from anchorline.otel.usage import UsageRecord

Signal = Literal["traces", "metrics"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)
TIMEOUT_S = 10.0
"""For one batch, with what the exporter tries again (429, 502, 503, 504)."""
_LONGEST = 300
"""Characters of a collector's message that are shown."""


class ExportError(Exception):
    """A batch that the collector did not take; the message says why."""


class Collector:
    """One signal of a collector at `endpoint`, its base URL: the exporters' own path is added.

    Headers, certificates and compression are taken from the standard variables (OTEL_EXPORTER_OTLP_HEADERS, …).
    """

    def __init__(self, endpoint: str, signal: Signal) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what went wrong is said once, by us
        self.url = f"{endpoint.rstrip('/')}/v1/{signal}"
        self.rejected = 0
        self._signal = signal
        self._resource = Resource.create({"service.name": "anchorline", "service.version": __version__})
        self._answer: requests.Response | None = None
        session = requests.Session()
        session.hooks["response"].append(self._answered)
        kind = OTLPSpanExporter if signal == "traces" else OTLPMetricExporter
        self._exporter = kind(self.url, timeout=TIMEOUT_S, compression=Compression.Gzip, session=session)

    def send(self, records: Sequence[UsageRecord]) -> None:
        """Sends a batch. Raises ExportError where the collector did not take it, or can't be reached."""
        self._answer = None
        if isinstance(self._exporter, OTLPSpanExporter):
            taken = self._exporter.export(spans(records, self._resource)) is SpanExportResult.SUCCESS
        else:
            taken = self._exporter.export(metrics(records, self._resource)) is MetricExportResult.SUCCESS
        if not taken:
            raise ExportError(f"{shown(self.url)}: {self._reason()}")
        self.rejected += self._rejected()

    def close(self) -> None:
        """Closes the connection."""
        self._exporter.shutdown()

    def _answered(self, answer: requests.Response, *_: object, **__: object) -> None:
        self._answer = answer

    def _reason(self) -> str:
        answer = self._answer
        if answer is None:
            return f"it can't be reached, or does not answer within {TIMEOUT_S:.0f} s"
        words = " ".join(answer.text.split())[:_LONGEST] if answer.text.isprintable() else ""
        return f"it answers {answer.status_code} {answer.reason}{f': {words}' if words else ''}"

    def _rejected(self) -> int:
        """Returns how much of a batch that was taken the collector has dropped: nothing that is to be sent again.

        https://opentelemetry.io/docs/specs/otlp/#partial-success-1
        """
        if self._answer is None or not self._answer.content:
            return 0
        try:
            if self._signal == "traces":
                spans_response = ExportTraceServiceResponse.FromString(self._answer.content)
                return int(spans_response.partial_success.rejected_spans)
            metrics_response = ExportMetricsServiceResponse.FromString(self._answer.content)
            return int(metrics_response.partial_success.rejected_data_points)
        except DecodeError:
            return 0


def shown(url: str) -> str:
    """Returns a URL without a user's name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
