"""Whatever breaks, an agent's hook says nothing, ends well, and what was missed is recorded by the next one."""

import resource
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from anchorline.hooks import client
from anchorline.store import database
from support.claude_sessions import Session, recorded_requests, wait_for_requests
from support.hook_helpers import HookHelper, wait_for

TERMINAL = {"CLAUDE_CODE_ENTRYPOINT": "cli", "CLAUDE_CODE_SESSION_ATTENDED": "1"}


class Hooked:
    """A session whose events go to a helper. Its cache expired long ago, and its prompts are held back at any price."""

    def __init__(self, folder: Path, helper: HookHelper) -> None:
        self.session = Session(folder / "claude")
        self.session.grow()
        self.helper = helper
        (folder / "home" / "anchorline.toml").write_text("[hooks]\nblock_usd = 0.001\n")

    def say(self, name: str, **more: Any) -> str:
        """Return what the hook of an event prints: it ends with 0, and prints nothing on standard error."""
        event = {"session_id": "s1", "transcript_path": str(self.session.file), "hook_event_name": name}
        env = TERMINAL | {"CLAUDE_CONFIG_DIR": str(self.session.home)}
        return self.helper.run("claude-code", event | {"prompt": "And now?"} | more, **env)


@pytest.fixture
def hooked(tmp_path: Path, helper: HookHelper) -> Hooked:
    return Hooked(tmp_path, helper)


@contextmanager
def largest_file(process: psutil.Process, size: int) -> Iterator[None]:
    """Let a process write to the first `size` bytes of each file alone, as on a full disk."""
    before = process.rlimit(resource.RLIMIT_FSIZE)
    process.rlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    yield
    process.rlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux sets another process's limits")
def test_a_full_disk(hooked: Hooked):
    hooked.say("Stop")
    wait_for_requests(1)
    hooked.session.grow()
    (process,) = hooked.helper.processes()
    with largest_file(process, 0):
        assert hooked.say("UserPromptSubmit") == ""
    with largest_file(process, 8192):  # enough for the log
        assert hooked.say("Stop") == ""
        wait_for(lambda: "not recorded yet" in hooked.helper.log)
        assert "is the disk full" in hooked.helper.log
        assert recorded_requests() == 1
    assert '"block"' in hooked.say("UserPromptSubmit")
    hooked.say("Stop")
    wait_for_requests(2)
    hooked.session.check()


def test_a_locked_database(hooked: Hooked):
    hooked.say("Stop")
    wait_for_requests(1)
    hooked.session.grow()
    with closing(sqlite3.connect(database.locate(), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert hooked.say("Stop") == ""
        assert '"block"' in hooked.say("UserPromptSubmit")
        assert hooked.say("UserPromptSubmit") == ""
        other.execute("ROLLBACK")
    hooked.say("Stop")
    wait_for_requests(2)
    hooked.session.check()


def test_a_damaged_database_is_set_aside(hooked: Hooked):
    hooked.say("Stop")
    wait_for_requests(1)
    hooked.session.grow()
    for file in database.members(database.locate()):
        file.unlink(missing_ok=True)
    database.locate().write_bytes(b"no database" * 1000)
    assert hooked.say("UserPromptSubmit") == ""
    assert hooked.say("Stop") == ""
    wait_for_requests(2)
    hooked.session.check()
    assert "damaged" in hooked.helper.log


def test_a_helper_that_is_killed_between_two_events(hooked: Hooked):
    hooked.say("SessionStart")
    (process,) = hooked.helper.processes()
    process.kill()
    hooked.helper.wait_until_ended()
    assert '"block"' in hooked.say("UserPromptSubmit")
    hooked.helper.processes()[0].kill()
    hooked.helper.wait_until_ended()
    assert hooked.say("UserPromptSubmit") == ""
    hooked.say("Stop")
    wait_for_requests(1)
    hooked.session.check()


def test_a_helper_that_hangs_holds_nobody_up(hooked: Hooked):
    hooked.say("SessionStart")
    (process,) = hooked.helper.processes()
    process.suspend()
    begun = time.monotonic()
    assert hooked.say("UserPromptSubmit") == ""
    assert time.monotonic() - begun < client.HOOK_S + 2
    assert "claude-code: TimeoutError" in hooked.helper.log
    process.resume()
    hooked.say("Stop")
    wait_for_requests(1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 5000,
        b"\x1f\x8b\x08garbage",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"type":"user"}\n' * 2000,
    ],
)
def test_a_session_file_that_is_none(hooked: Hooked, content: bytes):
    hooked.session.file.write_bytes(content)
    assert hooked.say("UserPromptSubmit") == ""
    assert hooked.say("Stop") == ""
    hooked.session.file.unlink()
    assert hooked.say("UserPromptSubmit") == ""
    assert hooked.say("Stop") == ""
