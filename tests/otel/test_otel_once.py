"""Each request goes to a collector once, in whatever order gateway, imports and exports come."""

import json
import os
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cli.main import cli
from anchorline.outcome import Outcome, Usage
from support import history
from support.examples import examples
from support.otlp import Receiver
from support.session_logs import ClaudeLog

REQUESTS = 4
APART_S = 30.0
MODEL = "claude-sonnet-5"
STEPS = [
    *(("gateway", number) for number in range(REQUESTS)),
    *(("import", lines) for lines in (1, 2, 4)),
    ("export", 0),
]


def invoke(*words: str) -> str:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    return done.output


def pass_through(number: int, began: float, named: bool) -> None:
    """Have the gateway record a request."""
    at = began + APART_S * number
    usage = Usage(input=3, read=1000 * number, write=500, write_1h=400, output=7 + number)
    outcome = Outcome(
        f"g{number}",
        target=MODEL,
        usage=usage,
        latency_ms=2000.0,
        signals={"status": 200},
        sent_at=at,
        answer_id=f"msg_{number}" if named else None,
    )
    history.recorded((history.planned(f"g{number}", at=at), outcome))


def session(count: int, began: float) -> bytes:
    """Write the first requests of a session as its file has them."""
    log = ClaudeLog("both", began)
    for number in range(count):
        log.start = began + APART_S * number - len(log.lines)
        log.user(f"message {number}")
        log.answer(f"msg_{number}", read=1000 * number, write=(100, 400), output=7 + number, model=MODEL)
    return log.bytes()


@examples(8)
@given(st.lists(st.sampled_from(STEPS), max_size=9), st.booleans())
def test_each_request_goes_once_in_whatever_order_it_becomes_known(steps: list[tuple[str, int]], named: bool):
    began = time.time() - 86_400
    with tempfile.TemporaryDirectory() as folder, Receiver() as receiver:
        home = {"ANCHORLINE_DATA_DIR": f"{folder}/data", "ANCHORLINE_CONFIG": f"{folder}/a.toml"}
        sessions = Path(folder, "sessions")
        sessions.mkdir()
        passed, written = set(), 0
        with patch.dict(os.environ, home):
            for step, number in [*steps, ("export", 0)]:
                if step == "gateway" and number not in passed:
                    passed.add(number)
                    pass_through(number, began, named)
                elif step == "import" and number > written:
                    written = number
                    (sessions / "both.jsonl").write_bytes(session(number, began))
                    invoke("import", "claude-code", str(sessions))
                elif step == "export":
                    invoke("otel", "--endpoint", receiver.url)
            billed = json.loads(invoke("report", "--json"))
        known = passed | set(range(written))
        spans = receiver.spans
        assert billed["requests"] == len(spans) == len(known)
        assert {span.attributes["gen_ai.usage.output_tokens"] for span in spans} == {7 + one for one in known}
        usd = sum(cost["usd"] for cost in billed["costs"])
        assert abs(receiver.total("anchorline.cost") - usd) < 1e-9
