"""The program that an agent starts for a hook or its status line: asks the helper, and prints what it answers.

It takes the data folder, where the event comes from, and the event, which else is read from standard input:

    python -I -S client.py FOLDER status-line|claude-code|codex|gemini-cli|end [PROGRAM ...] [EVENT]

A PROGRAM is started with the event first: Codex has room for one, which is the user's own then.

Nothing is imported but modules of C and those that Python brings frozen: so it takes half a millisecond longer than
Python's own start, and `import socket` and `import json` would take twenty (docs/research/speed.md).
Whatever breaks, it ends with exit code 0, prints nothing (a status line: what its own input tells), and leaves a line
in the log. What it sends is two lines and the event's bytes; `Request` in `server.py` reads it.
"""

import _socket
import os
import sys
import time

STATUS_LINE = "status-line"
END = "end"
"""Ends the helper."""
SOCKET = "hooks.sock"
ADDRESS = "hooks.address"
"""Where there are no Unix sockets: holds the port on the loopback interface and a token."""
STARTING = "hooks.starting"
"""Is there while a helper starts, and after one that could not."""
LOG = "hooks.log"
LOG_BYTES = 256 * 1024
"""A longer log is set aside as `hooks.log.old`, which takes the place of the one before."""
EVENT_BYTES = 4 * 1024 * 1024
ANSWER_BYTES = 1024 * 1024
ANSWERED, OUTDATED = b"+", b"!"
"""How an answer begins. OUTDATED: the helper is of another version, and ends."""
NONCE_BYTES = 32
STATUS_LINE_S = 0.3
HOOK_S = 4.0
"""How long the helper is waited for, its start included."""
START_S = 3.0
"""A helper that does not listen after so long is not waited for."""
START_AGAIN_S = 30.0
"""After so long another one is started."""
LOOK_S = 0.02
VARIABLES = (
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ATTENDED",
    "CLAUDE_CONFIG_DIR",
    "CODEX_HOME",
)
"""Variables of the agent's that say who types, and where its files are."""
PEER_CREDENTIALS = 1
"""LOCAL_PEERCRED of macOS and FreeBSD (unix(4)), at level 0."""


class HelperError(Exception):
    """No answer came from a helper of ours."""


def main(arguments: list[str]) -> None:
    """Answers one event. Never raises."""
    folder, source, *rest = arguments
    event = answer = b""
    problem = _started(rest) if len(rest) > 1 else ""
    try:
        _enter(folder)
    except OSError:
        return
    try:
        if problem:
            note(f"{source}: {rest[0]} can't be started: {problem}")
        event = os.fsencode(rest[-1]) if rest else _input()
        answer = ask(source, event)
    except Exception as error:  # noqa: BLE001  (a hook must not fail)
        note(f"{source}: {type(error).__name__}: {error}")
    try:
        if not answer and source == STATUS_LINE:
            answer = _without_helper(event)
        while answer:
            answer = answer[os.write(1, answer) :]
    except Exception as error:  # noqa: BLE001
        note(f"{source}: {type(error).__name__}: {error}")


def ask(source: str, event: bytes) -> bytes:
    """Returns what the helper answers; nothing where a status line finds none, which is then started.

    A hook waits for the one that it starts. The current folder is the data folder. Raises HelperError and OSError.
    """
    deadline = time.monotonic() + (STATUS_LINE_S if source == STATUS_LINE else HOOK_S)
    request = header(source) + environment() + event
    while True:
        connection = _connected(deadline)
        answer = b"" if connection is None else _exchanged(connection, request, deadline)
        if answer.startswith(ANSWERED):
            return answer[1:]
        if connection is not None and answer != OUTDATED:
            raise HelperError("the helper gave no answer")
        if source == END:
            return b""
        is_coming = start(os.getcwd())  # noqa: PTH109
        if source == STATUS_LINE:
            return b""
        if not is_coming:
            raise HelperError("the helper does not start")
        if time.monotonic() > deadline:
            raise HelperError("the helper has not started in time")
        time.sleep(LOOK_S)


def header(source: str) -> bytes:
    """Returns a request's first line: where it comes from, by which version, and how its answer may look.

    The width of the terminal is as Claude Code sets it for its children, 0 where nothing says it.
    """
    columns = os.environ.get("COLUMNS", "")
    is_plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    width = columns if columns.isascii() and columns.isdigit() and len(columns) < 5 else "0"
    return f"{source} {stamp()} {width} {'plain' if is_plain else 'color'}\n".encode()


def environment() -> bytes:
    """Returns a request's second line: those of `VARIABLES` that are set, as ``NAME=VALUE``, a tab between two."""
    given = [(name, os.environ.get(name, "")) for name in VARIABLES]
    safe = [f"{name}={value}" for name, value in given if value and not {"\t", "\n"} & set(value)]
    return os.fsencode("\t".join(safe)) + b"\n"


def stamp() -> int:
    """Returns the version of the installed files: when this one was written, in nanoseconds."""
    return os.stat(__file__).st_mtime_ns  # noqa: PTH116


def start(folder: str) -> bool:
    """Starts a helper, unless one is starting or has just failed to; returns whether one may still come."""
    try:
        os.close(os.open(STARTING, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        try:
            age = time.time() - os.stat(STARTING).st_mtime  # noqa: PTH116
        except FileNotFoundError:  # it listens by now
            return True
        if 0 <= age < START_AGAIN_S:
            return age < START_S
        os.utime(STARTING)
    _spawn(folder)
    return True


def note(message: str) -> None:
    """Writes the time and a message into the log. Never raises."""
    append(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}")


def append(text: str) -> None:
    """Appends a line to the log in the current folder, for its owner alone (0600). Never raises."""
    line = text.replace("\r", "\\r").replace("\n", "\\n")[:2000]
    try:
        log = os.open(LOG, os.O_CREAT | os.O_APPEND | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            is_long = os.fstat(log).st_size > LOG_BYTES
            os.write(log, line.encode("utf-8", "replace") + b"\n")
        finally:
            os.close(log)
        if is_long:
            os.replace(LOG, LOG + ".old")  # noqa: PTH105
    except OSError:
        pass


def proof(token: str, port: int, nonce: str) -> str:
    """Returns what shows at a loopback port that the helper knows the token, which is said to it only then.

    As `live/proof.py` for the gateway: HMAC-SHA256 (RFC 2104) over port and nonce.
    """
    import hmac  # noqa: PLC0415  (5 ms, where there are no Unix sockets)

    return hmac.new(token.encode(), f"anchorline hooks {port} {nonce}".encode(), "sha256").hexdigest()


def is_own(connection: "_socket.socket") -> bool:
    """Returns whether the other end of a Unix socket is a process of this user's."""
    if sys.platform == "win32":
        return False
    if sys.platform == "linux":
        credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    else:
        credentials = connection.getsockopt(0, PEER_CREDENTIALS, 76)
    return int.from_bytes(credentials[4:8], sys.byteorder) == os.geteuid()


def _started(command: list[str]) -> str:
    """Starts the user's own program, where the agent would have; returns what is wrong with it, if anything."""
    try:
        if hasattr(os, "posix_spawnp"):
            os.posix_spawnp(command[0], command, os.environ)
        else:
            import subprocess  # noqa: PLC0415  (15 ms, which posix_spawnp does without)

            subprocess.Popen(command)  # noqa: S603
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def _enter(folder: str) -> None:
    """Makes the data folder the current one: no more than 104 bytes are allowed for a socket's path."""
    os.umask(0o077)
    try:
        os.chdir(folder)
    except FileNotFoundError:
        os.makedirs(folder)  # noqa: PTH103  (pathlib takes 5 ms)
        os.chdir(folder)


def _input() -> bytes:
    pieces = []
    size = 0
    while piece := os.read(0, 1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > EVENT_BYTES:
            raise HelperError(f"the event has more than {EVENT_BYTES:,} bytes")
    return b"".join(pieces)


def _connected(deadline: float) -> "_socket.socket | None":
    """Returns a connection to a helper of ours; None where none listens. Raises HelperError and OSError."""
    if hasattr(_socket, "AF_UNIX"):
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        connection.settimeout(_left(deadline))
        try:
            connection.connect(SOCKET)
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
        else:
            if not is_own(connection):
                raise HelperError(f"{SOCKET} is another user's")
            return connection
    return _connected_by_port(deadline)


def _connected_by_port(deadline: float) -> "_socket.socket | None":
    try:
        file = os.open(ADDRESS, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return None
    try:
        if sys.platform != "win32" and os.fstat(file).st_uid != os.geteuid():
            raise HelperError(f"{ADDRESS} is another user's")
        number, token = os.read(file, 1024).decode("ascii").split()
    finally:
        os.close(file)
    connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    connection.settimeout(_left(deadline))
    try:
        connection.connect(("127.0.0.1", int(number)))
    except ConnectionRefusedError:
        connection.close()
        return None
    nonce = os.urandom(NONCE_BYTES).hex()
    connection.sendall(nonce.encode() + b"\n")
    expected = proof(token, int(number), nonce).encode()
    if _received(connection, len(expected), deadline) != expected:
        raise HelperError("another program listens at the helper's port")
    connection.sendall(token.encode() + b"\n")
    return connection


def _exchanged(connection: "_socket.socket", request: bytes, deadline: float) -> bytes:
    try:
        connection.settimeout(_left(deadline))
        connection.sendall(request)
        connection.shutdown(1)  # no more is sent
        return _received(connection, ANSWER_BYTES, deadline)
    except (BrokenPipeError, ConnectionResetError):
        return OUTDATED  # it has ended between the two
    finally:
        connection.close()


def _received(connection: "_socket.socket", size: int, deadline: float) -> bytes:
    """Returns up to `size` bytes, or what comes before the end."""
    received = b""
    while len(received) < size:
        connection.settimeout(_left(deadline))
        piece = connection.recv(min(1 << 16, size - len(received)))
        if not piece:
            break
        received += piece
    return received


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


def _spawn(folder: str) -> None:
    """Starts a helper that outlives this process and holds nothing of it. Its current folder is `folder`.

    What the folder that an agent works in sets for Python (PYTHONPATH) does not reach it.
    """
    command = [sys.executable, "-P", "-m", "anchorline.hooks.server"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["ANCHORLINE_DATA_DIR"] = folder
    if sys.platform != "win32":
        nowhere = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
        try:
            os.posix_spawn(sys.executable, command, environment, file_actions=nowhere, setsid=True)
        except NotImplementedError:  # a C library without setsid in posix_spawn
            pass
        else:
            return
    _spawn_slowly(command, environment)


def _spawn_slowly(command: list[str], environment: dict[str, str]) -> None:
    import subprocess  # noqa: PLC0415  (15 ms, which posix_spawn does without)

    flags: dict[str, object] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    null = subprocess.DEVNULL
    subprocess.Popen(command, env=environment, stdin=null, stdout=null, stderr=null, **flags)  # type: ignore[call-overload]  # noqa: S603


def _without_helper(event: bytes) -> bytes:  # noqa: ARG001
    """Returns the status line that its own input tells."""
    return b""


if __name__ == "__main__":
    main(sys.argv[1:])
    os._exit(0)  # nothing is left to do: tidying up takes Python 2 ms
