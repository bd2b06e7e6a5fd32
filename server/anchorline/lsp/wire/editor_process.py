"""Watches the editor's process.

Standard input usually closes when the editor dies, but not always: another process may have inherited the
pipe. `initialize` names the editor's process for this reason.
"""

import os
import select
import sys
import threading
import time
from collections.abc import Callable

POLL_S = 1.0


def alive(pid: int) -> bool:
    """Whether a process with this id exists."""
    if sys.platform == "win32":
        handle = _open_process(pid)
        if handle is None:
            return False
        return handle(0)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def watch(pid: int, gone: Callable[[], None]) -> bool:
    """Calls `gone` from a thread once process `pid` has ended.

    Returns False, and watches nothing, when there is no such process now: then the id belongs to another
    namespace (an editor outside of this container), and only standard input tells.
    """
    if pid <= 0 or not alive(pid):
        return False
    threading.Thread(target=_wait, args=(pid, gone), name="parent-watch", daemon=True).start()
    return True


def _wait(pid: int, gone: Callable[[], None]) -> None:
    if sys.platform == "linux":
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            _poll(pid)
        else:
            # Unlike kill(pid, 0) this also notices a process that nobody has reaped.
            select.select([descriptor], [], [])
            os.close(descriptor)
    else:
        _poll(pid)
    gone()


def _poll(pid: int) -> None:
    while alive(pid):
        time.sleep(POLL_S)


if sys.platform == "win32":
    import ctypes

    def _open_process(pid: int) -> Callable[[int], bool] | None:
        synchronize, timed_out = 0x00100000, 0x00000102
        kernel = ctypes.windll.kernel32
        kernel.OpenProcess.restype = ctypes.c_void_p  # a handle has 64 bits
        kernel.WaitForSingleObject.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
        kernel.CloseHandle.argtypes = (ctypes.c_void_p,)
        handle = kernel.OpenProcess(synchronize, 0, pid)
        if not handle:
            return None

        def running(milliseconds: int) -> bool:
            result = kernel.WaitForSingleObject(handle, milliseconds)
            kernel.CloseHandle(handle)
            return bool(result == timed_out)

        return running
