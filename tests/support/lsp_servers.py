"""Servers for the tests of the protocol: each a real process that is gone when the test is."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.lsp_client import RawClient

SLOW = (sys.executable, str(Path(__file__).with_name("slow_server.py")))
SCRIPTED = (sys.executable, str(Path(__file__).with_name("scripted_server.py")))
SCRIPTED_ENV = {"PYTHONPATH": str(Path(__file__).parents[1])}


@pytest.fixture
def start() -> Iterator[Callable[..., RawClient]]:
    """Start servers that are ended with the test."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(RawClient(*args, **options))


@pytest.fixture
def client(start: Callable[..., RawClient]) -> RawClient:
    """A server that is initialized."""
    client = start()
    client.initialize()
    return client


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawClient]:
    """One initialized server for the tests of a module that leave it as it was."""
    home = tmp_path_factory.mktemp("home")
    env = {"ANCHORLINE_CONFIG": str(home / "anchorline.toml"), "ANCHORLINE_DATA_DIR": str(home / "data")}
    with RawClient(env=env) as client:
        client.initialize()
        yield client


@pytest.fixture
def slow(start: Callable[..., RawClient]) -> RawClient:
    """An initialized server with requests that last (see slow_server.py)."""
    client = start(SLOW)
    client.initialize()
    return client
