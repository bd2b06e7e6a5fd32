"""The shares that ship: they are what the bench counts in recorded sessions."""

import subprocess
import sys
from pathlib import Path

import pytest

from anchorline.cache.boundary_reuse import TABLE


@pytest.mark.process
def test_the_shares_are_what_the_bench_counts(data: Path, tmp_path: Path):
    pytest.importorskip("numpy")
    bench = Path(__file__).parents[1] / "bench"
    cache = data / "cache"
    files = ["--weka", cache / "weka.jsonl.gz", "--near-duplicates", cache / "weka_near_duplicates.json"]
    files += ["--requests", cache / "requests.jsonl.gz"]
    table = tmp_path / "boundary_reuse.toml"
    subprocess.run([sys.executable, bench, "prefix_shares", *files, "--write", table], check=True)
    assert table.read_text("utf-8") == TABLE.read_text("utf-8")
