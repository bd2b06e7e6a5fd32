"""The agents themselves, as npm has them, through the gateway: nothing lost, nothing refused, nothing miscounted.

`.ci/clients FOLDER` installs them, and ANCHORLINE_TEST_CLIENTS=FOLDER names them; then they must be there. They need no
login for a key of one's own and another base URL, and reach nothing but this machine.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.programs import PROGRAMS, Place, Program
from clients.provider import TASK, Provider
from clients.session import History, Session, anchorline, converse, lay, say, settled
from support.gateways import gateway
from support.upstream import Running

FOLDER = os.environ.get("ANCHORLINE_TEST_CLIENTS", "")
MODES = ("observe", "anchors", "trim")
SURE = 0.05
"""P(hit) and hits may differ by so much of the predicted requests."""
pytestmark = pytest.mark.skipif(
    not FOLDER, reason="ANCHORLINE_TEST_CLIENTS names no folder of clients: .ci/clients FOLDER installs them"
)


def runs() -> Iterator[Any]:
    """Yield each agent in each mode; those whose requests are only observed in the first one."""
    for program in PROGRAMS:
        for mode in MODES if program.is_changed else MODES[:1]:
            yield pytest.param(program, mode, id=f"{program.name}-{mode}")


@pytest.mark.parametrize(("program", "mode"), list(runs()))
def test_a_conversation_goes_through(program: Program, mode: str, tmp_path: Path):
    clients = Path(FOLDER).resolve()
    assert program.installed(clients), f"{program.program} is not in {clients}: .ci/clients {clients}"
    session = converse(program, mode, clients, tmp_path / "run", turns=2, again=mode == "observe")
    told = "\n".join(session.said)[-4000:]
    check_answered(session, told)
    assert len(session.bills) >= 8, told  # tools were called in between, in each turn
    check_counted(session)
    assert session.sessions >= 1
    if program.names_sessions:
        assert session.sessions == session.conversations
    if session.history is not None:
        check_imported(session, session.history, told)
    if mode == "observe":
        assert session.identical
    else:
        assert session.status["counts"]["changed"] == sum(one.changed for one in session.passed)


def check_answered(session: Session, told: str) -> None:
    """Assert that neither the provider nor the gateway refused anything, changed or not."""
    assert (session.refusals, session.failed) == ([], []), told
    counts = session.status["counts"]
    assert (counts["refused"], counts["unread"], counts["unplanned"]) == (0, 0, 0)
    assert session.status["problem"] is None


def check_counted(session: Session) -> None:
    """Assert that each request is recorded once, with the tokens and at the price that it was billed."""
    assert session.miscounted == []
    assert len(session.records) == len(session.bills)
    billed = sum(bill.usd for bill in session.bills)
    assert session.report["requests"] == len(session.bills)
    assert sum(cost["usd"] for cost in session.report["costs"]) == pytest.approx(billed, abs=0.005)
    assert session.status["usd"] == pytest.approx(billed, abs=0.005)
    status = session.status
    assert status["predicted"] >= 1
    assert status["expected_hits"] == pytest.approx(status["hits"], abs=SURE * status["predicted"])


def check_imported(session: Session, history: History, told: str) -> None:
    """Assert that the client's own session files import as billed, once, and count once beside the gateway's rows."""
    main = [bill for bill in session.bills if bill.main]  # a title is asked for beside the conversation
    counts = [
        (bill.input, bill.read, bill.write - bill.write_1h, bill.write_1h, bill.output) for bill in main
    ]
    assert history.requests == sorted(counts, key=lambda request: request[-1]), told
    for report, bills in ((history.alone, main), (history.both, session.bills)):
        assert report["requests"] == len(bills)
        billed = sum(bill.usd for bill in bills)
        assert sum(cost["usd"] for cost in report["costs"]) == pytest.approx(billed, abs=0.005)
    if history.costs is not None:
        assert history.costs == pytest.approx(sum(bill.usd for bill in main), abs=0.005)
    assert [(summary["requests"], summary["problems"]) for summary in history.again] == [(0, [])] * 2


def test_codex_finds_its_sessions_from_before_it_was_connected(tmp_path: Path):
    codex = next(program for program in PROGRAMS if program.name == "codex")
    place = Place(Path(FOLDER).resolve(), tmp_path / "run" / "home", tmp_path / "run" / "work")
    lay(place)
    config = place.home / ".codex" / "config.toml"
    config.parent.mkdir()
    with Running(Provider(place.work, steps=1)) as before:
        config.write_text(f'openai_base_url = "{before.url}/v1"\n')
        said = say(codex, place, f"{TASK}: before.", goes_on=False)
        assert len(before.app.bills) == 2, said
    with (
        Running(Provider(place.work, steps=1)) as behind,
        gateway(tmp_path / "gate", behind.url) as running,
    ):
        env = {**os.environ, "ANCHORLINE_DATA_DIR": str(running.home / "data"), **codex.environment(place)}
        env["ANCHORLINE_CONFIG"] = str(tmp_path / "connect.toml")
        Path(env["ANCHORLINE_CONFIG"]).write_text(f"[gateway]\nport = {running.port}\n")
        anchorline(["connect", "codex", "--write"], env)
        said = say(codex, place, f"{TASK}: after.", goes_on=True)
        assert len(behind.app.bills) == 2, said
        asked = behind.app.seen[-1].body.decode()
        assert asked.index(f"{TASK}: before.") < asked.index(f"{TASK}: after.")
        assert settled(running, 2)["requests"] == {"200": 2}
        anchorline(["disconnect", "codex"], env)
    assert config.read_text() == f'openai_base_url = "{before.url}/v1"\n'
