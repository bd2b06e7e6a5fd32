"""The agents themselves by `anchorline run`: through the gateway, to where their users had pointed them, leaving nothing.

Each is started twice in the same home, directly and by `anchorline run`, with an address of its user's own.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from clients.programs import PROGRAMS, Place, Program
from clients.provider import TASK, Provider
from clients.session import lay
from support.gateways import Gateway, gateway
from support.terminal import Terminal
from support.upstream import Running

FOLDER = os.environ.get("ANCHORLINE_TEST_CLIENTS", "")
NOWHERE = "http://127.0.0.1:9"
READY = "shift+tab"
"""What stands below Claude Code's input, whatever tip it shows there."""
pytestmark = pytest.mark.skipif(
    not FOLDER, reason="ANCHORLINE_TEST_CLIENTS names no folder of clients: .ci/clients FOLDER installs them"
)


class Own(NamedTuple):
    """How a user has given an agent an address: a variable, or what is in a file of the home."""

    variable: str = ""
    file: str = ""
    content: Callable[[str], Any] = lambda address: address


def _in_settings(address: str) -> Any:
    return {"env": {"ANTHROPIC_BASE_URL": address}}


OWN = {
    "claude-code": Own(variable="ANTHROPIC_BASE_URL"),
    "claude-code, 1h": Own(file=".claude/settings.json", content=_in_settings),
    "codex": Own(file=".codex/config.toml", content=lambda address: f'openai_base_url = "{address}/v1"\n'),
    "opencode": Own(
        file=".config/opencode/opencode.jsonc",
        content=lambda address: {"provider": {"anthropic": {"options": {"baseURL": f"{address}/v1"}}}},
    ),
    "pi": Own(
        file=".pi/agent/models.json",
        content=lambda address: {"providers": {"anthropic": {"baseUrl": address}}},
    ),
    "gemini-cli": Own(variable="GOOGLE_GEMINI_BASE_URL"),
    "qwen-code": Own(variable="OPENAI_BASE_URL", content=lambda address: f"{address}/v1"),
}
AGENTS = [program for program in PROGRAMS if program.name in OWN]
NAMED = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{7,}|(?:ses|msg|prt)_\w+|[0-9]+")
"""What agents name files by: ids and times."""
PASSING = (".lock", "-wal", "-shm", "-journal")
"""Files that an agent leaves or not, as its end happens to go."""


class Run(NamedTuple):
    """What one start has left. `files` are those of the home, by name."""

    done: subprocess.CompletedProcess[str]
    before: dict[str, bytes]
    files: dict[str, bytes]

    @property
    def names(self) -> set[bytes]:
        """Return the names of the files, without what differs from run to run."""
        return {NAMED.sub(b"#", name.encode()) for name in self.files if not name.endswith(PASSING)}

    @property
    def changed(self) -> set[str]:
        """Return which files that were there before are other ones."""
        return {name for name, content in self.before.items() if self.files.get(name) != content}


def start(program: Program, place: Place, address: str, by: list[str], env: dict[str, str]) -> Run:
    """Start an agent in a new home whose user has an address of their own."""
    for folder in (place.home, place.work):
        shutil.rmtree(folder, ignore_errors=True)
    lay(place)
    program.prepare(place, {})
    own = OWN[program.name]
    if own.file:
        content = own.content(address)
        file = place.home / own.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
    variables = {own.variable: str(own.content(address))} if own.variable else {}
    before = files(place.home)
    done = subprocess.run(
        [*by, *program.command(place, f"{TASK}: say what the parser drops.", False)],
        env=program.environment(place) | variables | env,
        cwd=place.work,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return Run(done, before, files(place.home))


def files(home: Path) -> dict[str, bytes]:
    """Return what is in a home, by name; links by where they lead."""
    return {
        str(path.relative_to(home)): path.readlink().as_posix().encode()
        if path.is_symlink()
        else path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def settings(running: Gateway, folder: Path) -> dict[str, str]:
    """Return the environment of a user whose gateway this is."""
    file = folder / "own.toml"
    file.write_text(f"[gateway]\nport = {running.port}\n")
    return {"ANCHORLINE_CONFIG": str(file), "ANCHORLINE_DATA_DIR": str(running.home / "data")}


RUN = [sys.executable, "-m", "anchorline", "run", "--json", "--"]


@pytest.mark.parametrize("program", AGENTS, ids=[program.name for program in AGENTS])
def test_an_agent_goes_through_the_gateway_and_its_home_is_as_without(program: Program, tmp_path: Path):
    place = Place(Path(FOLDER).resolve(), tmp_path / "run" / "home", tmp_path / "run" / "work")
    with Running(Provider(place.work, steps=1)) as behind, gateway(tmp_path / "gate", NOWHERE) as running:
        direct = start(program, place, behind.url, [], {})
        prompts, seen = len(behind.app.bills), len(behind.app.seen)
        assert prompts >= 2, direct.done
        run = start(program, place, behind.url, RUN, settings(running, tmp_path))
        summary = json.loads(run.done.stderr.splitlines()[-1])
        billed = behind.app.bills[prompts:]
    assert (run.done.returncode, direct.done.returncode) == (0, 0), run.done
    figures = summary["figures"]
    assert figures["requests"] == {"200": len(billed)}, run.done
    assert figures["tokens"]["output"] == sum(bill.output for bill in billed)
    assert figures["tokens"]["read"] == sum(bill.read for bill in billed)
    assert figures["usd"] == pytest.approx(sum(bill.usd for bill in billed), abs=1e-6)
    assert {prompt.path for prompt in behind.app.seen[seen:]} <= {
        prompt.path for prompt in behind.app.seen[:seen]
    }
    assert run.names == direct.names
    assert run.changed == direct.changed
    trace = f"127.0.0.1:{running.port}".encode()
    assert [name for name, content in run.files.items() if trace in content or b"anchorline" in content] == []


def test_keys_and_the_terminal_are_claude_codes_own(tmp_path: Path):
    claude = next(program for program in PROGRAMS if program.name == "claude-code")
    place = Place(Path(FOLDER).resolve(), tmp_path / "run" / "home", tmp_path / "run" / "work")
    lay(place)
    env = claude.environment(place) | {"TERM": "xterm"}
    approved = {"approved": [env["ANTHROPIC_API_KEY"][-20:]]}
    trusted = {str(place.work): {"hasTrustDialogAccepted": True}}
    known = {"hasCompletedOnboarding": True, "customApiKeyResponses": approved, "projects": trusted}
    (place.home / ".claude.json").write_text(json.dumps(known))
    with (
        Running(Provider(place.work, steps=0)) as behind,
        gateway(tmp_path / "gate", behind.url) as running,
        closing(Terminal(env | settings(running, tmp_path), place.work)) as terminal,
    ):
        terminal.until("shell$ ")
        terminal.type(f"{sys.executable} -m anchorline run -- {place.program('claude')}\r")
        terminal.until(READY)
        terminal.type(f"{TASK}: go.")
        terminal.type("\r")
        terminal.until("drops")
        terminal.type("\x1a")
        terminal.until("shell$ ")
        terminal.type("jobs; fg\r")
        terminal.until("Stopped")
        terminal.until(READY)
        terminal.type("\x03")
        terminal.type("\x03")
        terminal.until("anchorline: 1 request · ")
        terminal.until("shell$ ")
        terminal.type("echo code $?\r")
        terminal.until("code 0")
