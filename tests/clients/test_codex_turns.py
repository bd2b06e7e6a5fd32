"""Codex itself tells when a turn ends, and what it was billed is recorded without a gateway."""

import json
import os
import sys
from pathlib import Path

import pytest

from clients.programs import PROGRAMS, Place
from clients.provider import TASK, Provider
from clients.session import anchorline, lay, say
from support.claude_sessions import billed, wait_for_requests
from support.hook_helpers import HookHelper
from support.upstream import Running

FOLDER = os.environ.get("ANCHORLINE_TEST_CLIENTS", "")
CODEX = next(program for program in PROGRAMS if program.name == "codex")
pytestmark = pytest.mark.skipif(
    not FOLDER, reason="ANCHORLINE_TEST_CLIENTS names no folder of clients: .ci/clients FOLDER installs them"
)


def test_each_turn_is_recorded_as_it_was_billed(tmp_path: Path):
    place = Place(Path(FOLDER).resolve(), tmp_path / "run" / "home", tmp_path / "run" / "work")
    lay(place)
    helper = HookHelper(tmp_path / "home" / "data")
    env = os.environ | CODEX.environment(place)
    script = "import sys; open('bell', 'a').write(sys.argv[1] + chr(10))"
    config = place.home / ".codex" / "config.toml"
    config.parent.mkdir()
    with Running(Provider(place.work, steps=2)) as provider:
        config.write_text(
            f'openai_base_url = "{provider.url}/v1"\nnotify = {json.dumps([sys.executable, "-c", script])}\n'
        )
        before = config.read_text()
        anchorline(["connect", "codex", "--notify", "--write"], env)
        try:
            for turn in range(2):
                said = say(CODEX, place, f"{TASK}: turn {turn}", goes_on=turn > 0)
                assert "Done after" in said
                wait_for_requests(len(provider.app.bills))
        finally:
            helper.end()
        bills = provider.app.bills
    assert billed() == (len(bills), pytest.approx(sum(bill.usd for bill in bills), abs=0.005))
    assert helper.log == ""
    told = [json.loads(line) for line in (place.work / "bell").read_text().splitlines()]
    assert [event["type"] for event in told] == ["agent-turn-complete"] * 2
    anchorline(["disconnect", "codex"], env)
    assert config.read_text() == before
