"""From imported sessions to a network that decides in a running server, in worlds whose truth is known."""

import json
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.learn import network
from anchorline.store.experiments import registry
from support.lsp_client import PATIENCE, RawClient
from support.lsp_documents import OWN_MODEL, URI, body
from support.session_logs import ClaudeLog


def invoke(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.output


def history(folder: Path) -> None:
    """Sessions of two kinds: in the short ones one comes back at once, in the long ones after twenty minutes."""
    draw = random.Random(1)
    now = time.time()
    for number in range(140):
        log = ClaudeLog(f"s{number}", now - (140 - number) * 43_200)
        long = number % 2
        for turn in range(8):
            log.user(f"question {turn} about the parser")
            log.answer(f"a{number}-{turn}", read=(90_000 if long else 10_000) + 100 * turn)
            log.start += draw.uniform(900, 1500) if long else draw.uniform(5, 30)
        (folder / f"{number}.jsonl").write_bytes(log.bytes())


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with imported sessions, the dataset built from them, and a network trained on that."""
    pytest.importorskip("mlx.core")
    home, logs = tmp_path_factory.mktemp("learnt"), tmp_path_factory.mktemp("logs")
    history(logs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANCHORLINE_CONFIG", str(home / "anchorline.toml"))
        patch.setenv("ANCHORLINE_DATA_DIR", str(home / "data"))
        assert "1,120 new requests" in invoke("import", "claude-code", str(logs))
        assert json.loads(invoke("dataset", "build", "--json"))["decisions"] >= 1120
        trained = json.loads(invoke("train", "--from", "scratch", "--epochs", "8", "--json").splitlines()[-1])
    assert trained["heads"]["gap"] == "network", trained["reasons"]
    return home / "data"


@pytest.fixture
def trained(learnt: Path, isolated_home: Path) -> str:
    """The version that was trained, in a data folder of the test's own."""
    shutil.copytree(learnt, isolated_home / "data")
    (version,) = (name for name in registry().names() if name.startswith("r-"))
    return version


class World:
    """Sends one request after another, each a conversation of its own, and tells what became of it.

    `read` is the share of the prompt that the provider reads from its cache, by the policy that has decided.
    """

    def __init__(self, client: RawClient, read: Callable[[str], float]) -> None:
        self.client = client
        self.policies: list[dict] = []
        self._read = read
        self._draw = random.Random(5)

    def request(self) -> dict:
        prompt = {"prompt": {"body": body(f"Question {len(self.policies)}", "Be careful. " * 400)}}
        plan = self.client.call("anchorline/plan", prompt)
        policy = plan["policy"]
        self.policies.append(policy)
        share = min(max(self._read(policy["name"]) + self._draw.gauss(0, 0.1), 0.0), 1.0)
        usage = {"read": int(20_000 * share), "write": int(20_000 * (1 - share)), "output": 100}
        outcome = {"planId": plan["id"], "usage": usage, "decision": "accepted"}
        assert self.client.call("anchorline/outcome", outcome)["recorded"]
        return policy

    def until(self, reached: Callable[[dict], bool]) -> dict:
        """Go on until the server's state is as wanted."""
        lost = time.monotonic() + 3 * PATIENCE
        while not reached(state := self.client.call("anchorline/status")["policy"]):
            assert time.monotonic() < lost, (state, self.client.log)
            self.request()
        return state


def steps() -> list[tuple[str, str]]:
    return [(one["event"], one["by"]) for one in json.loads(invoke("history", "--json"))["events"]]


def test_a_better_network_goes_through_shadow_and_ab_and_is_promoted(start, trained: str, tmp_path: Path):
    client = start()
    client.initialize(initializationOptions=OWN_MODEL)
    world = World(client, {"heuristic": 0.4, "network": 0.9}.__getitem__)
    assert world.request() == {
        "name": "heuristic", "version": "1", "arm": "default", "propensity": 1.0, "experiment": None, "reason": "",
    }  # fmt: skip
    invoke("experiment", "start", trained)

    world.until(lambda state: "(shadow)" in state["note"])
    client.open(URI, "Fix teh bug in the parser.\n")
    world.until(lambda state: "(ab)" in state["note"])
    # Shadow changes nothing. The A/B test may have begun with the last request, between the state and its plan.
    shadowed = [policy for policy in world.policies if policy["propensity"] == 1.0]
    assert {policy["name"] for policy in shadowed} == {"heuristic"}
    tried = len(shadowed)
    report = json.loads(invoke("experiment", "report", "--json"))
    assert report["evidence"]["shadowed"]["plans"] >= 50
    assert report["evidence"]["shadowed"]["failures"] == 0

    state = world.until(lambda state: not state["note"])
    assert (state["name"], state["version"]) == ("network", trained)
    for policy in world.policies[tried:]:
        assert (policy["name"] == "network") == (policy["arm"] == "challenger")
    sides = {policy["arm"] for policy in world.policies[tried:] if policy["propensity"] == 0.5}
    assert sides == {"champion", "challenger"}
    assert steps() == [("started", "developer"), ("advanced", "monitor"), ("promoted", "monitor")]

    decided = [world.request() for _ in range(60)]
    network_s = [policy for policy in decided if policy["name"] == "network"]
    assert 40 < len(network_s) <= 60
    assert {policy["propensity"] for policy in network_s} == {0.9}
    report = json.loads(invoke("experiment", "report", "--html", str(tmp_path / "page.html"), "--json"))
    assert report["contest"]["stage"] == "promoted"
    assert report["sides"][1]["requests"] >= len(network_s)

    # What the network has learnt from is purged, and so is the network.
    assert trained in invoke("store", "purge", "--all", "--yes")
    world.until(lambda state: state["name"] == "heuristic")
    assert world.request()["name"] == "heuristic"
    assert trained not in registry().names()


def test_a_worse_network_is_rolled_back(start, trained: str):
    client = start()
    client.initialize(initializationOptions=OWN_MODEL)
    world = World(client, {"heuristic": 0.8, "network": 0.3}.__getitem__)
    invoke("experiment", "start", trained, "--stage", "ab")
    world.until(lambda state: "(ab)" in state["note"])
    state = world.until(lambda state: not state["note"])
    assert state["name"] == "heuristic"
    assert {policy["name"] for policy in world.policies} == {"heuristic", "network"}
    assert steps() == [("started", "developer"), ("rolled back", "monitor")]
    said = client.until(lambda message: "is rolled back" in json.dumps(message))
    assert "costs more" in said["params"]["message"]
    assert {world.request()["name"] for _ in range(20)} == {"heuristic"}
    report = json.loads(invoke("experiment", "report", "--json"))
    assert report["ended"].startswith(f"rolled back by the monitor: {trained} costs more")
    everywhere = {
        one["policy"]: one["value"]
        for one in report["off_policy"]
        if (one["measure"], one["estimator"]) == ("cost", "doubly robust")
    }
    assert everywhere[trained] > everywhere["heuristic"] + 0.3


def test_a_network_that_is_damaged_gives_way_to_the_heuristic_and_the_plan_says_why(start, trained: str):
    invoke("promote", trained, "--share", "1")
    (registry().folder / trained / network.WEIGHTS).write_bytes(b"nonsense")
    client = start()
    client.initialize(initializationOptions=OWN_MODEL)
    said = client.until(lambda message: "window/showMessage" in json.dumps(message))
    assert trained in said["params"]["message"]
    plan = client.call("anchorline/plan", {"prompt": {"body": body()}})
    assert plan["policy"]["name"] == "heuristic"
    assert network.WEIGHTS in plan["policy"]["reason"]
    assert plan["failure"] is None
    explained = client.call("anchorline/explain", {"planId": plan["id"]})["markdown"]
    assert "**Policy** heuristic, because" in explained
