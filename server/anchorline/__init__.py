"""Anchorline plans a prompt before it is sent: refined draft, trims, cache anchors and route."""

__version__ = "0.1.0"
