"""How our own programs are started."""

import os
import subprocess
import sys

import pytest

from anchorline import isolated


@pytest.mark.skipif(os.name != "posix", reason="sessions are POSIX's")
def test_a_process_that_outlives_this_one_is_in_a_session_of_its_own():
    command = [sys.executable, "-c", "import os; print(os.getsid(0) == os.getpid())"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, **isolated.detached())
    assert done.stdout == "True\n"


def test_on_windows_it_has_a_console_and_a_group_of_its_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200, raising=False)
    monkeypatch.setattr(subprocess, "CREATE_NO_WINDOW", 0x8000000, raising=False)
    assert isolated.detached() == {"creationflags": 0x8000200}
