"""A helper process for each test that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hook_helpers import HookHelper


@pytest.fixture
def helper(tmp_path: Path) -> Iterator[HookHelper]:
    """The helper of an empty data folder, which the first client starts."""
    running = HookHelper(tmp_path / "home" / "data")
    yield running
    running.retire()
