"""Trims: parts that a prompt is sent without, and without a loss."""
