"""Benches, the programs that make shipped files, and the readers of recorded data that both use."""

from pathlib import Path

BENCH = Path(__file__).resolve().parent
