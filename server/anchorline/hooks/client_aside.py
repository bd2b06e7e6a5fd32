"""What the client does where no helper answers at once: starts one, finds a port, writes the log, prints what it knows.

Standard library only, as in `client.py`. The current folder is the data folder, but for `started`.
"""

import hmac
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress

from anchorline.hooks import status_text

ADDRESS = "hooks.address"
"""Where there are no Unix sockets: holds the port on the loopback interface and a token."""
STARTING = "hooks.starting"
"""Is there while a helper starts, and after one that could not."""
LOG = "hooks.log"
LOG_BYTES = 256 * 1024
"""A longer log is set aside as `hooks.log.old`, which takes the place of the one before."""
LINE_BYTES = 2000
NONCE_BYTES = 32
START_S = 3.0
"""A helper that does not listen after so long is not waited for."""
START_AGAIN_S = 30.0
"""After so long another one is started."""
HOST = "127.0.0.1"


class StrangerError(Exception):
    """Somebody else listens at the helper's port, or has written its address."""


def start() -> bool:
    """Starts a helper, unless one is starting or has just failed to; returns whether one may still come."""
    try:
        os.close(os.open(STARTING, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        try:
            age = time.time() - os.stat(STARTING).st_mtime  # noqa: PTH116  (pathlib takes 5 ms)
        except FileNotFoundError:  # it listens by now
            return True
        if 0 <= age < START_AGAIN_S:
            return age < START_S
        os.utime(STARTING)
    _spawn()
    return True


def connected_by_port(timeout: float) -> socket.socket | None:
    """Returns a connection to a helper that has proven to be ours; None where none listens.

    Raises StrangerError and OSError.
    """
    try:
        file = os.open(ADDRESS, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return None
    try:
        if sys.platform != "win32" and os.fstat(file).st_uid != os.geteuid():
            raise StrangerError(f"{ADDRESS} is another user's")
        number, token = os.read(file, 1024).decode("ascii").split()
    finally:
        os.close(file)
    port = int(number)
    try:
        connection = socket.create_connection((HOST, port), timeout)
    except ConnectionRefusedError:
        return None
    nonce = os.urandom(NONCE_BYTES).hex()
    connection.sendall(nonce.encode() + b"\n")
    expected = proof(token, port, nonce).encode()
    answer = b""
    while len(answer) < len(expected) and (piece := connection.recv(len(expected) - len(answer))):
        answer += piece
    if not hmac.compare_digest(answer, expected):
        connection.close()
        raise StrangerError("another program listens at the helper's port")
    connection.sendall(token.encode() + b"\n")
    return connection


def proof(token: str, port: int, nonce: str) -> str:
    """Returns what shows at a loopback port that the helper knows the token, which is said to it only then.

    As `live/proof.py` for the gateway: HMAC-SHA256 (RFC 2104) over port and nonce.
    """
    return hmac.new(token.encode(), f"anchorline hooks {port} {nonce}".encode(), "sha256").hexdigest()


def started(command: list[str]) -> str:
    """Starts the user's own program, where the agent would have; returns what is wrong with it, if anything."""
    try:
        subprocess.Popen(command)  # noqa: S603
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def note(message: str) -> None:
    """Writes the time and a message into the log. Never raises."""
    append(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}")


def append(text: str) -> None:
    """Appends a line to the log, for its owner alone (0600). Never raises."""
    line = text.replace("\r", "\\r").replace("\n", "\\n")[:LINE_BYTES]
    with suppress(OSError):
        log = os.open(LOG, os.O_CREAT | os.O_APPEND | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            is_long = os.fstat(log).st_size > LOG_BYTES
            os.write(log, line.encode("utf-8", "replace") + b"\n")
        finally:
            os.close(log)
        if is_long:
            os.replace(LOG, LOG + ".old")  # noqa: PTH105


def make_folder(folder: str) -> None:
    """Makes the data folder. Raises OSError."""
    os.makedirs(folder)  # noqa: PTH103


def status_line(event: bytes, columns: int, has_color: bool) -> bytes:
    """Returns the status line that its own input tells. Raises ValueError and RecursionError."""
    return status_text.alone(event, columns, has_color=has_color).encode("utf-8", "replace")


def _spawn() -> None:
    """Starts a helper that outlives this process and holds nothing of it, in the current folder.

    What the folder that an agent works in sets for Python (PYTHONPATH) does not reach it.
    """
    command = [sys.executable, "-P", "-m", "anchorline.hooks.server"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["ANCHORLINE_DATA_DIR"] = os.getcwd()  # noqa: PTH109
    null = subprocess.DEVNULL
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        subprocess.Popen(command, env=environment, stdin=null, stdout=null, stderr=null, creationflags=flags)  # noqa: S603
    else:
        subprocess.Popen(  # noqa: S603
            command, env=environment, stdin=null, stdout=null, stderr=null, start_new_session=True
        )
