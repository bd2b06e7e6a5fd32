"""The local model breaks while a prompt is refined: the rules answer in time, the state is seen, the next one works."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.lsp_client import RawClient

URI = "file:///project/fix.prompt.md"
TEXT = "Could you please read the whole fiel `a.py` and print what it says about the default value?\n"
BY_RULES = "Read the whole fiel `a.py` and print what it says about the default value.\n"
"""The rules leave the misspelt word to a model: it may be a file, a field or a feel."""
DOCUMENT = {"textDocument": {"uri": URI}}
PATIENCE = 120.0


@pytest.fixture
def client(start: Callable[..., RawClient], models: Path) -> RawClient:
    """A server with the small model."""
    client = start(env={"ANCHORLINE_MODELS_DIR": str(models)})
    settings = {"refine": {"model_seconds": PATIENCE}, "engine": {"deadline_seconds": PATIENCE}}
    client.initialize(initializationOptions=settings)
    client.open(URI, TEXT)
    return client


def stopped(client: RawClient) -> psutil.Process:
    """Return the worker, once it is there, and does nothing from now on."""
    (worker,) = [
        child
        for child in psutil.Process(client.process.pid).children(recursive=True)
        if "anchorline.engine.worker" in child.cmdline()
    ]
    worker.send_signal(signal.SIGSTOP)
    return worker


def asked(client: RawClient) -> int:
    """Ask for a refinement, and wait until it waits for the model; return the request."""
    request = client.ask("anchorline/refine", DOCUMENT)
    while engine(client)["state"] != "busy":
        pass
    return request


def refinement(client: RawClient, request: int) -> dict[str, Any]:
    answer = client.answer(request)
    assert "error" not in answer, answer
    return answer["result"]["refinement"]


def engine(client: RawClient) -> dict[str, Any]:
    return client.call("anchorline/status")["engine"]


def check_helped(answer: dict[str, Any]) -> None:
    """Assert that the rules' proposal came, and that the model was asked without trouble."""
    assert (answer["status"], answer["text"].replace("file", "fiel")) == ("proposed", BY_RULES)
    assert "did not answer" not in answer["reason"]
    assert "not done" not in answer["reason"]


def test_a_model_that_dies_or_hangs_costs_nothing_but_its_help(client: RawClient) -> None:
    check_helped(refinement(client, client.ask("anchorline/refine", DOCUMENT)))
    dying = stopped(client)
    request = asked(client)
    dying.kill()
    answer = refinement(client, request)
    assert (answer["status"], answer["text"], answer["engine"]) == ("proposed", BY_RULES, "rules")
    assert "SIGKILL" in answer["reason"]
    assert engine(client)["state"] in ("restarting", "ready")

    check_helped(refinement(client, client.ask("anchorline/refine", DOCUMENT)))
    hung = stopped(client)
    client.settings = {"refine": {"model_seconds": 1.0}, "engine": {"deadline_seconds": PATIENCE}}
    client.notify("workspace/didChangeConfiguration", {"settings": {"anchorline": client.settings}})
    answer = refinement(client, client.ask("anchorline/refine", DOCUMENT))
    assert (answer["status"], answer["text"], answer["engine"]) == ("proposed", BY_RULES, "rules")
    assert "was not done within 1 s" in answer["reason"]
    assert engine(client)["name"] == "smollm2-135m"

    hung.send_signal(signal.SIGCONT)
    client.settings = {"refine": {"model_seconds": PATIENCE}, "engine": {"deadline_seconds": PATIENCE}}
    client.notify("workspace/didChangeConfiguration", {"settings": {"anchorline": client.settings}})
    check_helped(refinement(client, client.ask("anchorline/refine", DOCUMENT)))
    assert engine(client)["state"] == "ready"
    assert client.shutdown() == 0
    assert not hung.is_running() or hung.status() == psutil.STATUS_ZOMBIE
