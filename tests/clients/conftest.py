"""Claude Code's provider and desk, for the tests that run it on a terminal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.desk import Desk
from clients.provider import Provider
from support.tmux import INSTALLED
from support.upstream import Running


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Running]:
    """The provider, at its address."""
    with Running(Provider(tmp_path, steps=1)) as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, provider: Running) -> Iterator[Desk]:
    """A desk without a gateway."""
    assert INSTALLED, "tmux is not here, on whose screen Claude Code runs"
    desk = Desk(tmp_path / "desk", provider.app, provider.url, tmp_path / "home")
    yield desk
    desk.helper.retire()
