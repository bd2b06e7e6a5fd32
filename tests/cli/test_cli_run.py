"""`anchorline run` with small programs in the agent's place: environment, exit codes, signals, terminal, the summary."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from anchorline.cli.run import RunFigures, UnchangedRequests, line
from anchorline.limits.model import Estimate, WindowCost
from support.gateways import MARKED_BODY, Gateway, free_port, gateway
from support.terminal import Terminal
from support.upstream import Running, Upstream

pytestmark = pytest.mark.process
PYTHON = [sys.executable, "-c"]
BASE = "http://127.0.0.1:8917/0123456789ab-" + 40 * "c"
ASKING = """
import http.client, os, sys
host, path = os.environ["ANTHROPIC_BASE_URL"].removeprefix("http://").split("/", 1)
for _ in range(int(sys.argv[1])):
    connection = http.client.HTTPConnection(host)
    connection.request("POST", "/" + path + "/v1/messages", sys.argv[2].encode())
    answer = connection.getresponse()
    answer.read()
    print(answer.status)
"""


@pytest.fixture(scope="module")
def behind() -> Iterator[Running]:
    with Running(Upstream()) as running:
        yield running


@pytest.fixture
def idle(isolated_home: Path, behind: Running) -> dict[str, str]:
    """The environment of a user whose gateway does not run."""
    settings = f'[gateway]\nport = {free_port()}\nanthropic = "{behind.url}"\n'
    (isolated_home / "anchorline.toml").write_text(settings)
    variables = {name: value for name, value in os.environ.items() if not name.endswith("_BASE_URL")}
    return variables | {"HOME": str(isolated_home)}


@pytest.fixture(scope="module")
def running(behind: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("gateway"), behind.url) as running:
        yield running


@pytest.fixture
def env(idle: dict[str, str], running: Gateway) -> dict[str, str]:
    """The environment of a user whose gateway runs."""
    Path(idle["ANCHORLINE_CONFIG"]).write_text(f"[gateway]\nport = {running.port}\n")
    return idle | {"ANCHORLINE_DATA_DIR": str(running.home / "data")}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "anchorline", "run", *arguments]


def run(env: dict[str, str], *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    options = {"stdin": subprocess.DEVNULL} | options if "input" not in options else options
    return subprocess.run(
        command(*arguments), env=env, capture_output=True, text=True, timeout=60, check=False, **options
    )


def test_what_the_agent_asks_goes_through_the_gateway_that_is_started_and_is_summed_up(idle, behind):
    before = len(behind.app.seen)
    body = MARKED_BODY.decode()
    done = run(idle, "--json", "--", *PYTHON, ASKING, "2", body)
    assert (done.returncode, done.stdout) == (0, "200\n200\n")
    assert len(behind.app.seen) == before + 2
    summary = json.loads(done.stderr)
    figures = summary["figures"]
    assert figures["requests"] == {"200": 2}
    assert figures["tokens"]["read"] > 5000
    assert 0 < figures["saved_usd"] < figures["usd"] * 10
    assert (summary["exit_code"], summary["reason"]) == (0, "")


def test_the_summary_is_a_line_on_standard_error_where_it_is_asked_for(env):
    asking = [*PYTHON, ASKING, "1", MARKED_BODY.decode()]
    assert run(env, "--", *asking).stderr == ""
    line = run(env, "--summary", "--", *asking).stderr
    assert line.startswith("anchorline: 1 request · ")
    assert line.count("\n") == 1
    assert " cached · " in line
    assert (
        run(env, "--summary", "--", *PYTHON, "").stderr == "anchorline: no request went through the gateway\n"
    )


def test_the_line_says_what_a_run_on_a_plan_took_of_it():
    taken = WindowCost("anthropic", "five_hour", Estimate(1.24, 0.9, 1.6))
    figures = RunFigures(
        "anchors",
        {"200": 11, "529": 1},
        {"input": 1000, "read": 93_000, "write": 6000, "output": 4321},
        0.4211,
        1.2,
        {"changed": 2},
        (UnchangedRequests("requests on a Claude plan"),),
        spent=(taken,),
    )
    assert line(figures) == (
        "12 requests · 100,000 tokens in, 93% cached · 4,321 out · $0.4211 at list prices · $1.20 saved by the cache · "
        "about 1.2% [0.9, 1.6] of your 5-hour window · 2 changed (anchors) · requests on a Claude plan unchanged"
    )


def test_exit_codes_are_the_agents_and_standard_input_too(env):
    assert run(env, "--", *PYTHON, "raise SystemExit(7)").returncode == 7
    echo = "import sys; data = sys.stdin.buffer.read(); print(len(data), sys.argv[1:])"
    done = run(env, *PYTHON, echo, "-p", "--json", "--", "-h", input="x" * 100_000)
    assert done.stdout == "100000 ['-p', '--json', '--', '-h']\n"
    died = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert run(env, "--", *PYTHON, died).returncode == 128 + signal.SIGKILL
    missing = run(env, "--", "no-such-agent")
    assert (missing.returncode, missing.stderr) == (127, "anchorline: no-such-agent: command not found\n")
    folder = run(env, "--", "/")
    assert folder.returncode == 126


def test_a_gateway_that_can_not_start_keeps_no_agent_from_running(idle, isolated_home: Path):
    data = isolated_home / "data"
    data.write_text("a file in the way")
    done = run(
        idle, "--", *PYTHON, "import os; print(os.environ.get('ANTHROPIC_BASE_URL')); raise SystemExit(4)"
    )
    assert (done.returncode, done.stdout) == (4, "None\n")
    assert "runs without the gateway" in done.stderr
    assert str(data) in done.stderr
    data.unlink()
    with Running(Upstream()) as stranger:
        settings = f"[gateway]\nport = {stranger.port}\n"
        (isolated_home / "anchorline.toml").write_text(settings)
        done = run(idle, "--json", "--", *PYTHON, "raise SystemExit(4)")
        assert done.returncode == 4
        notice, summary = done.stderr.splitlines()
        assert "another program answers" in notice
        assert json.loads(summary)["figures"] is None
        assert run(idle, "--quiet", "--", *PYTHON, "raise SystemExit(4)").stderr == ""
        token = (data / "gateway.token").read_text().strip()
        heard = b"".join(seen.path for seen in stranger.app.seen)
        assert token.encode() not in heard
        assert b"/proof/" in heard


SURVIVING = """
import http.client, os, sys, time, psutil
host, path = os.environ["ANTHROPIC_BASE_URL"].removeprefix("http://").split("/", 1)
def ask():
    connection = http.client.HTTPConnection(host)
    connection.request("POST", "/" + path + "/v1/messages", sys.argv[1].encode())
    answer = connection.getresponse()
    answer.read()
    return answer.status
assert ask() == 200
for child in psutil.Process(os.getppid()).children():
    if "gateway" in child.cmdline():
        child.kill()
deadline, status = time.monotonic() + 40, 0
while status != 200 and time.monotonic() < deadline:
    try:
        status = ask()
    except OSError:
        time.sleep(0.05)
print(status)
"""


def test_a_gateway_that_ends_meanwhile_is_started_again_at_the_same_address(idle):
    done = run(idle, "--json", "--", *PYTHON, SURVIVING, MARKED_BODY.decode())
    assert (done.returncode, done.stdout) == (0, "200\n"), done.stderr
    summary = json.loads(done.stderr)
    assert summary["since_restart"] is True
    assert summary["figures"]["requests"]["200"] == 1


WAITING = """
import signal, sys
def said(number, _):
    print(signal.Signals(number).name, flush=True)
    if number != signal.SIGUSR1:
        sys.exit(9)
for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
    signal.signal(getattr(signal, name), said)
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_what_is_sent_to_this_process_reaches_the_agent(name: str, env):
    process = subprocess.Popen(
        command("--", *PYTHON, WAITING), env=env, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.readline() == "SIGUSR1\n"
        process.send_signal(getattr(signal, name))
        assert process.stdout.readline() == f"{name}\n"
        assert process.wait(30) == 9


def test_an_ignored_signal_stays_ignored(env):
    asked = "import signal; print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)"
    ignoring = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command("--", *PYTHON, asked)]
    done = subprocess.run(ignoring, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"


@pytest.fixture
def terminal(env) -> Iterator[Terminal]:
    with closing(Terminal(env)) as terminal:
        yield terminal


INTERACTIVE = """
import os, signal, sys
count = 0
def interrupted(number, frame):
    global count
    count += 1
    print("interrupted", count, flush=True)
signal.signal(signal.SIGINT, interrupted)
signal.signal(signal.SIGWINCH, lambda *_: print("size", os.get_terminal_size().columns, flush=True))
print("ready", sys.stdin.isatty(), os.tcgetpgrp(0) == os.getpgrp(), flush=True)
for line in sys.stdin:
    print("heard", line.strip(), count, flush=True)
    if line.strip() == "end":
        sys.exit(5)
"""


def test_keys_job_control_and_window_size_are_the_agents(terminal: Terminal, tmp_path: Path):
    script = tmp_path / "agent.py"
    script.write_text(INTERACTIVE)
    terminal.until("shell$ ")
    terminal.type(f"{' '.join(command('--', sys.executable, str(script)))}\n")
    terminal.until("ready True True")
    terminal.type("\x03")
    terminal.until("interrupted 1")
    terminal.type("one\n")
    terminal.until("heard one 1")  # Ctrl-C came once, not twice
    terminal.type("\x1a")
    terminal.until("Stopped")
    terminal.until("shell$ ")
    terminal.type("fg\n")
    terminal.type("two\n")
    terminal.until("heard two 1")
    terminal.type("\x1a")
    terminal.until("Stopped")
    terminal.type("fg\n")
    terminal.type("three\n")
    terminal.until("heard three 1")
    terminal.resize(77)
    terminal.until("size 77")
    terminal.type("end\n")
    terminal.until("no request went through the gateway")
    terminal.until("shell$ ")
    terminal.type("echo code $?\n")
    terminal.until("code 5")
