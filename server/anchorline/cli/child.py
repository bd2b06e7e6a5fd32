"""Runs a program in this one's place: terminal, signals and exit code are as if it had been started directly.

It is a child in the same process group. What the terminal sends to the group (Ctrl-C, Ctrl-Z, a new window size) it
gets itself; what is sent to this process alone is passed on. This process stops where the child has stopped, so that a
shell's job control works. On Windows, where there are no such signals, Ctrl-C reaches both, and this process waits.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import Self

NOT_FOUND, NOT_STARTED = 127, 126
"""Exit codes of a shell for a command that is not there, and for one that can't be started (POSIX, 2.8.2)."""
_SIGNALLED = 128
_FROM_KEYS = ("SIGINT", "SIGQUIT", "SIGTSTP", "SIGBREAK")
"""What a terminal sends to all of its foreground group."""
_PASSED = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")


class NotStartedError(Exception):
    """The program can't be started; `code` is the exit code that a shell would give."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Returns the exit code of a program once it has ended: 128 + n where signal n has ended it.

    Raises NotStartedError.
    """
    with _Signals() as signals:
        if sys.platform == "win32":  # which finds `claude.cmd` by no other way
            command = [shutil.which(command[0]) or command[0], *command[1:]]
        try:
            process = subprocess.Popen(command, env=environment)  # noqa: S603  (what its user has asked for)
        except FileNotFoundError:
            raise NotStartedError(f"{command[0]}: command not found", NOT_FOUND) from None
        except OSError as error:
            raise NotStartedError(f"{command[0]}: {error.strerror or error}", NOT_STARTED) from None
        signals.to(process.pid)
        code = _ended(process)
    return _SIGNALLED - code if code < 0 else code


class _Signals:
    """Passes signals on to the child. Those that are ignored as this process starts (`nohup`) stay so, for both."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._early: list[int] = []

    def __enter__(self) -> Self:
        self._before = {}
        for name in (*_FROM_KEYS, *_PASSED):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                # A function, since an ignored signal would be so in the child as well.
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def to(self, pid: int) -> None:
        """Passes on to this process from now on, what has come before as well."""
        self._pid = pid
        for number in self._early:
            self._send(number)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if signal.Signals(number).name in _FROM_KEYS and _in_foreground():
            return  # the child has it from the terminal
        if self._pid is None:
            self._early.append(number)
        else:
            self._send(number)

    def _send(self, number: int) -> None:
        if sys.platform != "win32" and self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, number)


if sys.platform == "win32":

    def _in_foreground() -> bool:
        return True

    def _ended(process: "subprocess.Popen[bytes]") -> int:
        return process.wait()

else:

    def _in_foreground() -> bool:
        """Returns whether this process is in the foreground group of a terminal."""
        try:
            terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return os.tcgetpgrp(terminal) == os.getpgrp()
        except OSError:
            return False
        finally:
            os.close(terminal)

    def _ended(process: "subprocess.Popen[bytes]") -> int:
        """Returns the exit code of a process, below 0 for a signal; stops where it stops, under job control."""
        status = os.waitpid(process.pid, os.WUNTRACED)[1]
        while os.WIFSTOPPED(status) or os.WIFCONTINUED(status):
            change = _stop_with(process.pid) if os.WIFSTOPPED(status) and _has_terminal() else None
            status = os.waitpid(process.pid, os.WUNTRACED)[1] if change is None else change
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode

    def _stop_with(child: int) -> int | None:
        """Stops until `fg` or `bg`, as the child has; returns what the child has done since, where it has.

        They continue both. It may go on by now, and who would stop then would not be continued.
        """
        change = _change(child)
        if change is None:
            os.kill(os.getpid(), signal.SIGSTOP)
            change = _change(child)
            if change is None:  # this process alone was continued
                os.kill(child, signal.SIGCONT)
        return change

    def _change(child: int) -> int | None:
        """Returns the status of a child that has gone on, stopped again or ended since it was asked for."""
        pid, status = os.waitpid(child, os.WUNTRACED | os.WCONTINUED | os.WNOHANG)
        return status if pid else None

    def _has_terminal() -> bool:
        with suppress(OSError):
            os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
            return True
        return False
