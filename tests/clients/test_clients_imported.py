"""What agents themselves write down of a conversation, by import and by hooks: as billed, once, beside the gateway."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from clients.programs import PROGRAMS, Place, Program
from clients.provider import Provider
from clients.session import SAID, anchorline, lay, say, settled
from support.gateways import gateway
from support.hook_helpers import HookHelper, wait_for
from support.upstream import Running

FOLDER = os.environ.get("ANCHORLINE_TEST_CLIENTS", "")
AGENTS = ("gemini-cli", "qwen-code")
COUNTS = "input_tokens, read_tokens, output_tokens"
WRITTEN = ("sessions", "segments", "plans", "requests", "outcomes")
"""Tables that a gateway writes."""
pytestmark = pytest.mark.skipif(
    not FOLDER, reason="ANCHORLINE_TEST_CLIENTS names no folder of clients: .ci/clients FOLDER installs them"
)


@pytest.mark.parametrize("program", [program for program in PROGRAMS if program.name in AGENTS], ids=AGENTS)
def test_an_agents_own_sessions_are_recorded_as_they_were_billed(program: Program, tmp_path: Path):
    place = Place(Path(FOLDER).resolve(), tmp_path / "run/home", tmp_path / "run/work")
    lay(place)
    live, helper = tmp_path / "live", HookHelper(tmp_path / "live")
    with Running(Provider(place.work, steps=2)) as behind, gateway(tmp_path / "gate", behind.url) as running:
        program.prepare(place, {})
        (tmp_path / "connect.toml").write_text(f"[gateway]\nport = {running.port}\n")
        own = {"ANCHORLINE_CONFIG": str(tmp_path / "connect.toml")}
        env = (
            os.environ
            | program.environment(place)
            | own
            | {"ANCHORLINE_DATA_DIR": str(tmp_path / "gate/data")}
        )
        hooked = env | {"ANCHORLINE_DATA_DIR": str(live)}
        anchorline(["connect", program.client, "--write"], env)
        anchorline(["connect", program.client, "--hooks", "--write"], hooked)
        said = [say(program, place, SAID[turn], goes_on=turn > 0) for turn in range(2)]
        bills = behind.app.bills
        settled(running, len(bills))
        running.stop()
    assert len(bills) >= 4, "\n".join(said)
    usd = sum(bill.usd for bill in bills)
    billed = sorted((bill.input, bill.read, bill.output) for bill in bills)

    # by hooks, while it ran
    try:
        wait_for(lambda: rows(live) == billed)
    finally:
        helper.retire()
    assert helper.log == ""
    anchorline(["disconnect", program.client], hooked)
    assert list(place.home.glob(".*/extensions/anchorline")) == []

    # by import, and again; behind the hooks too
    alone = env | {"ANCHORLINE_DATA_DIR": str(tmp_path / "alone")}
    imported(program, alone)
    assert rows(tmp_path / "alone") == billed
    first = reported(alone)
    assert first == (len(bills), pytest.approx(usd, abs=1e-5))
    for again in (alone, hooked):
        imported(program, again)
        assert reported(again) == first
    assert rows(tmp_path / "alone") == rows(live) == billed

    # after the gateway's rows, and before them
    imported(program, env)
    assert reported(env) == first
    with closing(sqlite3.connect(tmp_path / "alone/anchorline.db")) as database:
        database.execute("ATTACH ? AS gate", [str(running.database)])
        for table in WRITTEN:
            database.execute(f"INSERT OR IGNORE INTO main.{table} SELECT * FROM gate.{table}")
        database.commit()
    assert reported(alone) == first


def imported(program: Program, env: dict[str, str]) -> None:
    """Import all sessions of an agent."""
    done = json.loads(anchorline(["import", program.client, "--json"], env))
    assert done["problems"] == []


def reported(env: dict[str, str]) -> tuple[int, float]:
    """Return requests and USD of the report."""
    report = json.loads(anchorline(["report", "--json"], env))
    return report["requests"], sum(cost["usd"] for cost in report["costs"])


def rows(folder: Path) -> list[tuple[int, int, int]]:
    """Return the tokens of all imported requests."""
    try:
        with closing(sqlite3.connect(folder / "anchorline.db")) as database:
            return sorted(database.execute(f"SELECT {COUNTS} FROM imported"))
    except sqlite3.Error:  # it is just being made
        return []
