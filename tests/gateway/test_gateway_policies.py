"""A running gateway decides by what is in force, without a restart."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorline import config
from anchorline.cli.main import cli
from anchorline.config import Config, Mode
from anchorline.gateway.exchanges import Exchanges
from anchorline.learn import network
from anchorline.learn.architecture import Architecture
from anchorline.plan import Policy
from anchorline.prompt import formats
from anchorline.store.experiments import registry
from anchorline.store.reader import Reader
from anchorline.trial.versions import Version
from support.gateways import MARKED_BODY, Gateway, call, gateway
from support.lsp_client import PATIENCE
from support.upstream import Running, Upstream

FORM = Architecture(buckets=512, text=4, hidden=8, factors=2)
TRAINED = network.untrained(FORM).replaced(heads={"gap": "network", "hit": "network", "solve": "network"})


def invoke(*words: str) -> str:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    return done.stdout


def policy(running: Gateway, number: int) -> Policy:
    """Send one conversation's request, and return who decided about it."""
    body = {**json.loads(MARKED_BODY), "messages": [{"role": "user", "content": f"Question {number}"}]}
    status, headers, _ = call(running.anthropic + "/v1/messages", body=json.dumps(body).encode())
    assert status == 200
    plan = dict(headers)["anchorline-plan"]
    lost = time.monotonic() + PATIENCE
    while time.monotonic() < lost:
        found = Reader(running.database).plan(plan)
        if found is not None:
            return found.policy
    raise AssertionError(f"plan {plan} was not recorded")


@pytest.mark.parametrize(("mode", "takes_part"), [("observe", False), ("anchors", True)])
async def test_what_is_only_observed_is_in_no_experiment(mode: Mode, takes_part: bool):
    registry().add(Version("r-1", 1.0), TRAINED.save)
    invoke("experiment", "start", "r-1", "--stage", "ab")
    exchanges = Exchanges(Config(gateway=config.Gateway(mode=mode)), print)
    await exchanges.start()
    try:
        prompt = formats.read(MARKED_BODY, format="anthropic")
        assert (exchanges.planner.plan(prompt).policy.experiment is not None) == takes_part
    finally:
        await exchanges.end()


def test_a_promotion_and_a_rollback_hold_from_the_next_request_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = tmp_path / "g"
    with Running(Upstream()) as behind, gateway(home, behind.url, settings='mode = "anchors"') as running:
        monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(home / "data"))
        monkeypatch.setenv("ANCHORLINE_CONFIG", str(home / "anchorline.toml"))
        registry().add(Version("r-1", 1.0), TRAINED.save)
        assert policy(running, 0).name == "heuristic"
        for step, wanted in ((("promote", "r-1", "--share", "1"), "network"), (("rollback",), "heuristic")):
            invoke(*step)
            lost = time.monotonic() + PATIENCE
            number = 0
            while (found := policy(running, number := number + 1)).name != wanted:
                assert time.monotonic() < lost, Gateway.log(home)
        assert found.experiment is None
        events = json.loads(invoke("history", "--json"))["events"]
        assert [one["event"] for one in events] == ["promoted", "rolled back"]
