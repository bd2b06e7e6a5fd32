"""Export of what was billed to an OpenTelemetry collector that the user names (`anchorline otel`); off by default."""
