"""The log on standard error, which never holds prompt text.

Libraries log what they send and receive: pygls writes whole messages at INFO, asyncio the representation of
a failed task. So a record from outside this package is reduced to where it was logged and the type of its
exception, and exceptions are shown as a type and a list of places, without their message (which may quote a
document). Records of our own carry identifiers, counts and file names only.
"""

import logging
import sys
import threading
import traceback
import types

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
PINNED = ("pygls", "lsprotocol", "cattrs", "asyncio", "concurrent", "sqlite_utils", "aiohttp")
OWN = "anchorline"


class SafeFormatter(logging.Formatter):
    """Format a record without anything that could have come from a document or a message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Returns one line, and a line for each place of an exception."""
        own = record.name == OWN or record.name.startswith(OWN + ".")
        text = record.getMessage() if own else f"logged at {record.module}:{record.lineno}"
        line = f"{self.formatTime(record)} {record.levelname.lower()} {record.name}: {_one_line(text)}"
        if record.exc_info and record.exc_info[0] is not None:
            line += "\n" + describe(record.exc_info[1], record.exc_info[2])
        return line


def describe(error: BaseException | None, where: types.TracebackType | None) -> str:
    """Returns an exception's type and the places it passed, without its message."""
    places = [f"  at {frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(where)]
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(error, OSError) and error.errno is not None:
        name += f" (errno {error.errno})"
    return "\n".join([f"  {name}", *places])


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")


def configure(level: str) -> None:
    """Sends every log record and every uncaught exception to standard error in the safe form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SafeFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(level)
    for name in PINNED:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def set_level(level: str) -> None:
    """Sets the least severe level that is written."""
    logging.getLogger().setLevel(LEVELS.get(level, logging.WARNING))


def _uncaught(kind: type[BaseException], error: BaseException, where: types.TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        logging.getLogger(OWN).critical("uncaught exception", exc_info=(kind, error, where))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        logging.getLogger(OWN).critical(
            "uncaught exception in a thread", exc_info=(args.exc_type, args.exc_value, args.exc_traceback)
        )
