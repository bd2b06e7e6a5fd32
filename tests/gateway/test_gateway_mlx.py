"""Before a real server with a real prefix cache: mlx_lm's own, with the small model."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from support.gateways import call, free_port, gateway, settled

START_S = 240
TURNS: list[Any] = [
    {
        "role": "system",
        "content": "You answer in one short sentence, and you name the place that is asked for.",
    },
    {"role": "user", "content": "What is the capital of France?"},
]


@pytest.fixture(scope="module")
def behind(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run mlx_lm's server; its address."""
    port = free_port()
    log = tmp_path_factory.mktemp("mlx") / "log"
    command = [sys.executable, "-m", "mlx_lm", "server", "--model", str(models / "smollm2-135m-mlx")]
    with log.open("wb") as file:
        env = os.environ | {"HF_HUB_OFFLINE": "1"}
        process = subprocess.Popen([*command, "--port", str(port)], stdout=file, stderr=file, env=env)
    try:
        lost = time.monotonic() + START_S
        while True:
            try:
                call(f"http://127.0.0.1:{port}/v1/models", "GET", b"")
                break
            except ConnectionError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < lost, log.read_text()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_its_answers_come_through_and_its_cached_tokens_are_seen_as_read(behind: str, tmp_path: Path):
    with gateway(tmp_path / "g", behind, settings='mode = "trim"') as running:
        asked: Any = {"model": "default_model", "messages": TURNS, "max_tokens": 5}
        with openai.OpenAI(base_url=f"{behind}/v1", api_key="k", max_retries=0) as direct:
            wanted = direct.chat.completions.create(**asked).choices[0]
        with openai.OpenAI(base_url=running.openai, api_key="k", max_retries=0) as client:
            whole = client.chat.completions.create(**asked)
            options: Any = {"include_usage": True}
            streamed = list(client.chat.completions.create(**asked, stream=True, stream_options=options))
        said = [chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices]
        assert whole.choices[0].message.content == wanted.message.content == "".join(said)
        usages = [whole.usage, streamed[-1].usage]
        cached = [usage.prompt_tokens_details.cached_tokens for usage in usages]
        assert min(cached) > 20  # the direct request has warmed it
        state = settled(running, 2)
        assert state["tokens"]["read"] == sum(cached)
        assert state["tokens"]["input"] == sum(usage.prompt_tokens for usage in usages) - sum(cached)
