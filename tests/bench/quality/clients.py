"""What happens to the conversations of real agents on their way through the gateway, in each mode?

    .ci/clients DIR; python tests/bench clients --clients DIR [--only NAME …] [--turns N] [--steps N] [--json]

Each agent in DIR holds a conversation of several turns with tools, and begins a second one with the same words, in a
private home, against a scripted provider on this machine that bills by the providers' cache rules and refuses what they refuse.
A case is an agent, a subset a mode:

refused             prompts that the provider or the gateway refused
identical           1 where request and answers went through byte for byte (of `observe` alone)
requests            prompts that were answered and billed
miscounted          those not recorded once, with the tokens that were billed
usd_off             recorded (the report) less billed, USD
hits_off            hits less expected hits (the sum of P(hit)), as a share of the predicted requests
sessions_off        sessions recorded less conversations held (an agent that doesn't name its sessions: 0 if there is one at least)
input_cost          billed input cost over that in `observe`, which is with the agent's own breakpoints
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench.reporting import environment, show
from clients.programs import PROGRAMS
from clients.session import Session, converse

MODES = ("observe", "anchors", "trim")


def figures(session: Session, own: float | None, *, named: bool) -> dict[str, float]:
    """Return what is measured of a session; `own` is the input cost in `observe`, USD, `named` whether it has a name."""
    predicted, billed = session.status["predicted"], sum(bill.usd for bill in session.bills)
    found: dict[str, float] = {
        "refused": len(session.refusals) + len(session.failed) + session.status["counts"]["refused"],
        "requests": len(session.bills),
        "miscounted": len(session.miscounted) + abs(len(session.records) - len(session.bills)),
        "usd_off": sum(cost["usd"] for cost in session.report["costs"]) - billed,
        "hits_off": (session.status["hits"] - session.status["expected_hits"]) / max(predicted, 1),
        "sessions_off": session.sessions - (session.conversations if named else max(session.sessions, 1)),
    }
    if own is None:
        return found | {"identical": float(session.identical)}
    return found | {"input_cost": sum(bill.input_usd for bill in session.bills) / own}


def versions(clients: Path) -> dict[str, str]:
    """Return the versions that are installed."""
    found: dict[str, str] = json.loads((clients / "package.json").read_text("utf-8"))["dependencies"]
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=Path, required=True, help="where .ci/clients has installed them")
    parser.add_argument("--only", nargs="*", help="names of agents (default: all)")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3, help="tools called in a turn")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = []
    for program in PROGRAMS:
        if given.only and program.name not in given.only:
            continue
        if not program.installed(given.clients):
            parser.error(f"{program.program} is not in {given.clients}: .ci/clients {given.clients}")
        own = None
        for mode in MODES:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                session = converse(
                    program, mode, given.clients.resolve(), Path(folder), turns=given.turns, steps=given.steps
                )
            for metric, value in figures(session, own, named=program.names_sessions).items():
                row = {"case": program.name, "subset": mode, "metric": metric}
                same = dict.fromkeys(("value", "low", "high"), round(value, 6))
                rows.append(row | same | {"n": len(session.bills)})
            if mode == "observe":
                own = sum(bill.input_usd for bill in session.bills)
            print(f"{program.name} {mode}: {len(session.bills)} requests", file=sys.stderr)
    show("clients", rows, environment() | versions(given.clients), as_json=given.json)


if __name__ == "__main__":
    main()
