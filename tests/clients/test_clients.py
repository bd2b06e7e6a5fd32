"""The agents themselves, as npm has them, through the gateway: nothing lost, nothing refused, nothing miscounted.

`.ci/clients FOLDER` installs them, and ANCHORLINE_TEST_CLIENTS=FOLDER names them; then they must be there. They need no
login for a key of one's own and another base URL, and reach nothing but this machine.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.programs import PROGRAMS, Program
from clients.session import Session, converse

FOLDER = os.environ.get("ANCHORLINE_TEST_CLIENTS", "")
MODES = ("observe", "anchors", "trim")
SURE = 0.05
"""P(hit) and hits may differ by so much of the predicted requests."""
pytestmark = pytest.mark.skipif(
    not FOLDER, reason="ANCHORLINE_TEST_CLIENTS names no folder of clients: .ci/clients FOLDER installs them"
)


def runs() -> Iterator[Any]:
    """Yield each agent in each mode; Claude Code as a first party in the one that `connect --first-party` allows."""
    for program in PROGRAMS:
        for mode in MODES if "first party" not in program.name else MODES[:1]:
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
