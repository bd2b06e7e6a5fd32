"""The program that an agent starts for a hook or its status line: asks the helper, and prints what it answers.

It takes the data folder, where the event comes from, and the event, which else is read from standard input:

    python -I -S client.py FOLDER status-line|AGENT|end [PROGRAM ...] [EVENT]

A PROGRAM is started with the event first: Codex has room for one, which is the user's own then.

This is the fast path, so nothing is imported but modules of C: it takes 2 ms longer than Python's own start, where
`os` takes 2 more, `socket` and `json` twenty (docs/research/speed.md). All else is in `client_aside.py`.
Whatever breaks, it ends with exit code 0, prints nothing (a status line: what its own input tells), and leaves a line
in the log. What it sends is two lines and the event's bytes; `Request` in `server.py` reads it.
"""

import _socket
import sys
import time

if sys.platform == "win32":
    import nt as system
else:
    import posix as system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

STATUS_LINE = "status-line"
END = "end"
"""Ends the helper."""
SOCKET = "hooks.sock"
EVENT_BYTES = 4 * 1024 * 1024
ANSWER_BYTES = 1024 * 1024
ANSWERED, OUTDATED = b"+", b"!"
"""How an answer begins. OUTDATED: the helper is of another version, and ends."""
STATUS_LINE_S = 0.3
HOOK_S = 4.0
"""How long the helper is waited for, its start included."""
LOOK_S = 0.02
VARIABLES = (
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ATTENDED",
    "CLAUDE_CONFIG_DIR",
    "CODEX_HOME",
    "GEMINI_CLI_HOME",
    "QWEN_HOME",
)
"""Variables of the agent's that say who types, and where its files are."""
PEER_CREDENTIALS = 1
"""LOCAL_PEERCRED of macOS and FreeBSD (unix(4)), at level 0."""


class HelperError(Exception):
    """No answer came from a helper of ours."""


def main(arguments: list[str]) -> None:
    """Answers one event. Never raises."""
    if len(arguments) < 2:  # an agent that knows no `args` of hooks
        return
    folder, source, *rest = arguments
    event = answer = b""
    problem = _aside().started(rest) if len(rest) > 1 else ""
    try:
        _enter(folder)
    except OSError:
        return
    try:
        if problem:
            _aside().note(f"{source}: {rest[0]} can't be started: {problem}")
        event = rest[-1].encode("utf-8", "surrogateescape") if rest else _input()
        answer = ask(source, event)
    except Exception as error:  # noqa: BLE001  (a hook must not fail)
        _aside().note(f"{source}: {type(error).__name__}: {error}")
    try:
        if not answer and source == STATUS_LINE:
            answer = _aside().status_line(event, *display())
        while answer:
            answer = answer[system.write(1, answer) :]
    except Exception as error:  # noqa: BLE001
        _aside().note(f"{source}: {type(error).__name__}: {error}")


def ask(source: str, event: bytes) -> bytes:
    """Returns what the helper answers; nothing where a status line finds none, which is then started.

    A hook waits for the one that it starts. The current folder is the data folder. Raises HelperError and OSError.
    """
    deadline = time.monotonic() + (STATUS_LINE_S if source == STATUS_LINE else HOOK_S)
    request = header(source) + environment() + event
    while True:
        connection = _connected(deadline) or _aside().connected_by_port(time_left(deadline))
        answer = b"" if connection is None else _exchanged(connection, request, deadline)
        if answer.startswith(ANSWERED):
            return answer[1:]
        if connection is not None and answer != OUTDATED:
            raise HelperError("the helper gave no answer")
        if source == END:
            return b""
        is_coming = _aside().start()
        if source == STATUS_LINE:
            return b""
        if not is_coming:
            raise HelperError("the helper does not start")
        if time.monotonic() > deadline:
            raise HelperError("the helper has not started in time")
        time.sleep(LOOK_S)


def header(source: str) -> bytes:
    """Returns a request's first line: where it comes from, by which version, and how its answer may look."""
    columns, has_color = display()
    return f"{source} {stamp()} {columns} {'color' if has_color else 'plain'}\n".encode()


def display() -> tuple[int, bool]:
    """Returns the width of the terminal, as Claude Code tells its children, 0 without; and whether it has colours."""
    columns = _variable("COLUMNS")
    width = int(columns) if columns.isascii() and columns.isdigit() and len(columns) < 5 else 0
    return width, not _variable("NO_COLOR") and _variable("TERM") != "dumb"


def environment() -> bytes:
    """Returns a request's second line: those of `VARIABLES` that are set, as ``NAME=VALUE``, a tab between two."""
    given = [(name, _variable(name)) for name in VARIABLES]
    safe = [f"{name}={value}" for name, value in given if value and not {"\t", "\n"} & set(value)]
    return "\t".join(safe).encode("utf-8", "surrogateescape") + b"\n"


def stamp() -> int:
    """Returns the version of the installed files: when this one was written, in nanoseconds."""
    return system.stat(__file__).st_mtime_ns


def is_own(connection: "_socket.socket") -> bool:
    """Returns whether the other end of a Unix socket is a process of this user's."""
    if sys.platform == "win32":
        return False
    if sys.platform == "linux":
        credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    else:
        credentials = connection.getsockopt(0, PEER_CREDENTIALS, 76)
    return int.from_bytes(credentials[4:8], sys.byteorder) == system.geteuid()


def received(connection: "_socket.socket", size: int, deadline: float) -> bytes:
    """Returns up to `size` bytes, or what comes before the end. Raises OSError."""
    taken = b""
    while len(taken) < size:
        connection.settimeout(time_left(deadline))
        piece = connection.recv(min(1 << 16, size - len(taken)))
        if not piece:
            break
        taken += piece
    return taken


def time_left(deadline: float) -> float:
    """Returns the seconds until a time of the monotonic clock; never 0, which would not wait at all."""
    return max(0.001, deadline - time.monotonic())


def _enter(folder: str) -> None:
    """Makes the data folder the current one: no more than 104 bytes are allowed for a socket's path."""
    system.umask(0o077)
    try:
        system.chdir(folder)
    except FileNotFoundError:
        _aside().make_folder(folder)
        system.chdir(folder)


def _input() -> bytes:
    pieces = []
    size = 0
    while piece := system.read(0, 1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > EVENT_BYTES:
            raise HelperError(f"the event has more than {EVENT_BYTES:,} bytes")
    return b"".join(pieces)


def _variable(name: str) -> str:
    if sys.platform == "win32":
        return system.environ.get(name, "")
    return system.environ.get(name.encode(), b"").decode("utf-8", "surrogateescape")


def _connected(deadline: float) -> "_socket.socket | None":
    """Returns a connection to a helper of ours; None where none listens. Raises HelperError and OSError."""
    if sys.platform == "win32":
        return None
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.settimeout(time_left(deadline))
    try:
        connection.connect(SOCKET)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    if not is_own(connection):
        raise HelperError(f"{SOCKET} is another user's")
    return connection


def _exchanged(connection: "_socket.socket", request: bytes, deadline: float) -> bytes:
    try:
        connection.settimeout(time_left(deadline))
        connection.sendall(request)
        connection.shutdown(1)  # no more is sent
        return received(connection, ANSWER_BYTES, deadline)
    except (BrokenPipeError, ConnectionResetError):
        return OUTDATED  # it has ended between the two
    finally:
        connection.close()


def _aside() -> "ModuleType":
    """Returns what is off the fast path. `python -I -S` knows no folder of ours by itself."""
    package = __file__.replace("\\", "/").rsplit("/", 3)[0]
    if package not in sys.path:
        sys.path.append(package)
    from anchorline.hooks import client_aside  # noqa: PLC0415  (20 ms, which a helper's answer does without)

    return client_aside


if __name__ == "__main__":
    main(sys.argv[1:])
    if sys.platform != "win32":
        system._exit(0)  # nothing is left to do: tidying up takes Python 2 ms  # noqa: SLF001
