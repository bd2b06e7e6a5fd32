"""Sets a client's settings so that it uses the gateway, and takes that back.

A file is changed only where it is asked for. It is copied first; what is put in is taken out again by `disconnect`,
which leaves everything else as it is by then.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from anchorline import files
from anchorline.client_settings.document import Document, UnwritableError, restore
from anchorline.client_settings.parsing import read
from anchorline.gateway.addresses import ADDRESS
from anchorline.gateway.clients import Client

BACKUP = ".before-anchorline"
NO_FILE = b"There was no such file before `anchorline connect`.\n"
"""What the copy holds where there was nothing to copy."""


def connect(client: Client) -> Path:
    """Sets the client's settings; returns the copy of the file as it was. Raises UnwritableError and OSError."""
    file = _file(client)
    existed = file.exists()
    before = file.read_bytes() if existed else b""
    copy = file.with_name(file.name + BACKUP)
    earlier = (_kept(copy) or b"") if copy.exists() else before
    document = read(file, before)
    for path, value in client.former.items():
        if ours(document.get(path), value):
            restore(document, path, read(file, earlier))
    after = _connected(client, document)
    if not copy.exists():  # connected twice, the first copy is the one without us
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write(copy, before if existed else NO_FILE)
        if existed:
            shutil.copymode(file, copy)
    files.write(file, after.text.encode())
    return copy


def _connected(client: Client, document: Document) -> Document:
    wanted = client.values
    if client.existing:
        wanted = {path: value for path, value in wanted.items() if isinstance(document.get(path[:-1]), dict)}
        if not wanted:
            raise UnwritableError(f"{client.file}: there is no provider yet that could be pointed at it")
    for path, value in client.defaults.items():
        if document.get(path) is None:
            document.put(path, value)
    for path, value in wanted.items():
        document.put(path, value)
    return document


def disconnect(client: Client) -> bool:
    """Takes out what `connect` has set; returns whether there was something. Raises UnwritableError and OSError.

    A file that nobody else has changed since is byte for byte what it was; in another one, each value that is still
    ours is as it was.
    """
    file = _file(client)
    copy = file.with_name(file.name + BACKUP)
    if not copy.exists():
        return False
    before = _kept(copy)
    if file.exists():
        now = _disconnected(client, read(file, file.read_bytes()), read(file, before or b""))
        if now == _disconnected(
            client, _connected(client, read(file, before or b"")), read(file, before or b"")
        ):
            if before is None:
                file.unlink()
            else:
                copy.replace(file)
                return True
        else:
            files.write(file, now.encode())
            shutil.copymode(copy, file)
    copy.unlink()
    return True


def _disconnected(client: Client, document: Document, earlier: Document) -> str:
    """Returns the text of a document without what is still ours in it."""
    for path, value in (client.values | client.defaults | client.former).items():
        if ours(document.get(path), value):
            restore(document, path, earlier)
    return document.text


def hindrance(client: Client) -> str:
    """Returns which other setting keeps a connected client from using the gateway; empty where none does."""
    current = settings(client)
    for path, value in client.unless.items():
        other = current.get(path) if current is not None else None
        if other not in (None, value):
            name = ".".join(path)
            return f"{name} is {json.dumps(other)}, which stays: the gateway is used with {json.dumps(value)}"
    return ""


def settings(client: Client) -> Document | None:
    """Returns what is in a client's settings file; None where there is none, or none that can be read."""
    if client.file is None or not client.file.exists():
        return None
    try:
        return read(client.file, client.file.read_bytes())
    except (UnwritableError, OSError):
        return None


def ours(value: object, wanted: object) -> bool:
    """Returns whether a value is what `connect` sets, with whatever port and token."""
    return _anywhere(value) == _anywhere(wanted)


def _anywhere(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _anywhere(member) for key, member in value.items()}
    return ADDRESS.sub("", value) if isinstance(value, str) else value


def _kept(copy: Path) -> bytes | None:
    """Returns a file as it was before; None where there was none."""
    content = copy.read_bytes()
    return None if content == NO_FILE else content


def _file(client: Client) -> Path:
    if client.file is None:
        raise UnwritableError(client.note)
    return client.file.resolve()  # a link, as in a folder of dotfiles, stays one
