"""The local model breaks while a prompt is refined: the rules answer in time, the state is seen, the next one works."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.lsp_client import RawClient

URI = "file:///project/fix.prompt.md"
TEXT = (
    "Could you please fix the crash of the importer when a session file is empty? It should log one line.\n"
)
BY_RULES = "Fix the crash of the importer when a session file is empty. It should log one line.\n"
STREAMED = {"textDocument": {"uri": URI}, "partialResultToken": "parts"}
PATIENCE = 120.0


@pytest.fixture
def client(start: Callable[..., RawClient], models: Path) -> RawClient:
    """A server with the small model."""
    client = start(env={"ANCHORLINE_MODELS_DIR": str(models)})
    settings = {"refine": {"model_seconds": PATIENCE}, "engine": {"deadline_seconds": PATIENCE}}
    client.initialize(initializationOptions=settings)
    client.open(URI, TEXT)
    return client


def writing(client: RawClient) -> int:
    """Ask for a refinement and wait until the model writes; return the request."""
    request = client.ask("anchorline/refine", STREAMED)
    until(client, lambda value: value.get("kind") == "text")
    return request


def until(client: RawClient, wanted: Callable[[dict[str, Any]], bool]) -> None:
    for _ in range(1000):
        message = client.next(PATIENCE)
        if message.get("method") == "$/progress" and wanted(message["params"]["value"]):
            return
    raise AssertionError("it does not come")


def worker(client: RawClient) -> psutil.Process:
    (found,) = [
        child
        for child in psutil.Process(client.process.pid).children(recursive=True)
        if "anchorline.engine.worker" in child.cmdline()
    ]
    return found


def refinement(client: RawClient, request: int) -> dict[str, Any]:
    while True:
        message = client.next(PATIENCE)
        if message.get("id") == request and "method" not in message:
            assert "error" not in message, message
            return message["result"]["refinement"]


def engine(client: RawClient) -> dict[str, Any]:
    return client.call("anchorline/status")["engine"]


def test_a_model_that_dies_or_hangs_costs_nothing_but_its_help(client: RawClient) -> None:
    request = writing(client)
    worker(client).kill()
    answer = refinement(client, request)
    assert (answer["status"], answer["text"], answer["engine"]) == ("proposed", BY_RULES, "rules")
    assert "SIGKILL" in answer["reason"]
    assert engine(client)["state"] in ("restarting", "ready")

    request = writing(client)
    hung = worker(client)
    hung.send_signal(signal.SIGSTOP)
    client.settings = {"refine": {"model_seconds": 1.0}, "engine": {"deadline_seconds": PATIENCE}}
    client.notify("$/cancelRequest", {"id": request})
    client.notify("workspace/didChangeConfiguration", {"settings": {"anchorline": client.settings}})
    answer = refinement(client, client.ask("anchorline/refine", STREAMED))
    assert (answer["status"], answer["text"], answer["engine"]) == ("proposed", BY_RULES, "rules")
    assert "was not done within 1 s" in answer["reason"]
    assert engine(client)["name"] == "smollm2-135m"

    hung.send_signal(signal.SIGCONT)
    client.settings = {"refine": {"model_seconds": PATIENCE}, "engine": {"deadline_seconds": PATIENCE}}
    client.notify("workspace/didChangeConfiguration", {"settings": {"anchorline": client.settings}})
    answer = refinement(client, writing(client))
    assert answer["text"] == BY_RULES
    assert "did not answer" not in answer["reason"]
    assert "not done" not in answer["reason"]
    assert engine(client)["state"] == "ready"
    left = worker(client)
    assert client.shutdown() == 0
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE
