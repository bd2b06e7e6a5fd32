"""Prompt caches: rules of the providers, what is warm, where anchors go, what it costs."""
