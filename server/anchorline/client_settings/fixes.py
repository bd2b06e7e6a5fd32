"""Fixes: edits of settings files, kept with a copy of each file as it was, and undo.

A fix is a folder in the data folder: `fix.json`, and a copy of each file, for their owner alone. While only fixes have
changed a file, undo gives it back byte for byte, in whatever order they are undone. In a file that was edited by hand
it takes back the fix's own settings, and refuses where one of them was changed since.
"""

import json
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import msgspec

from anchorline import files
from anchorline.client_settings.document import UnwritableError, restore
from anchorline.client_settings.edits import EditedFile, SettingEdit, content, edited, setting
from anchorline.client_settings.parsing import read

FOLDER = "fixes"
_RECORD = "fix.json"


class FixedFile(msgspec.Struct, frozen=True):
    """One file of a fix. `copy` is the name of its copy beside `fix.json`, kept if the file `existed`.

    `after` is a hash of what the fix made of it; `folders` were made for it, the innermost first.
    """

    file: str
    edits: list[SettingEdit]
    copy: str
    existed: bool
    after: str
    folders: list[str] = []


class AppliedFix(msgspec.Struct, frozen=True):
    """Edits that were made together, at a time in seconds since 1970. `undone` is when they were taken back."""

    number: int
    title: str
    at: float
    files: list[FixedFile]
    undone: float | None = None


class UndoError(Exception):
    """A fix that can't be taken back. The message says why, and what to do."""


def history(data: Path) -> list[AppliedFix]:
    """Returns all fixes, oldest first. Raises OSError and UndoError for one whose record can't be read."""
    records = (folder / _RECORD for folder in sorted(_folders(data), key=lambda folder: int(folder.name)))
    return [_read(record) for record in records if record.exists()]


def apply(title: str, changes: Sequence[EditedFile], data: Path) -> AppliedFix:
    """Makes changes, after a copy of each file is kept; all of them or none. Raises UnwritableError and OSError."""
    for change in changes:
        _check_writable(change.file)
    with _alone(data):
        number = max((int(folder.name) for folder in _folders(data)), default=0) + 1
        fixed = [_fixed(index, change) for index, change in enumerate(changes)]
        fix = AppliedFix(number, title, time.time(), fixed)
        files.make_folder(_folder(number, data))
        try:
            for entry, change in zip(fixed, changes, strict=True):
                _keep(number, entry, change.before, data)
            _write(fix, data)  # before the files: a crash leaves nothing that can't be taken back
            _replace(
                [(entry, change.before, change.after) for entry, change in zip(fixed, changes, strict=True)]
            )
        except BaseException:
            shutil.rmtree(_folder(number, data))
            raise
        return fix


def _fixed(index: int, change: EditedFile) -> FixedFile:
    folders = [str(parent) for parent in change.file.parents if not parent.exists()]
    name = f"{index}-{change.file.name}"
    return FixedFile(
        str(change.file), change.edits, name, change.before is not None, _hash(change.after), folders
    )


def undo(number: int | None, data: Path) -> AppliedFix:
    """Takes a fix back, by default the newest one that is in force, and returns it; all of its files or none.

    Raises UndoError, UnwritableError and OSError.
    """
    with _alone(data):
        fixes = history(data)
        fix = _chosen(number, fixes)
        later = [other for other in fixes if other.number > fix.number and other.undone is None]
        steps = [_step(fix, entry, later, data) for entry in fix.files]
        _replace((entry, step.now, step.then) for entry, step in zip(fix.files, steps, strict=True))
        for step in steps:
            for rebased in step.rebased:
                _rebase(rebased, data)
        undone = msgspec.structs.replace(fix, undone=time.time())
        _write(undone, data)
        for entry in fix.files:  # a copy may hold keys: it goes when nothing needs it
            (_folder(fix.number, data) / entry.copy).unlink(missing_ok=True)
        return undone


class _Rebased(msgspec.Struct, frozen=True):
    """A file of a later fix that now begins from `before`."""

    number: int
    entry: FixedFile
    before: bytes | None


class _Step(msgspec.Struct, frozen=True):
    """What undo makes of one file: its content now and then, and what becomes of the later fixes of it."""

    now: bytes | None
    then: bytes | None
    rebased: Sequence[_Rebased] = ()


def _step(fix: AppliedFix, entry: FixedFile, later: Sequence[AppliedFix], data: Path) -> _Step:
    file = Path(entry.file)
    _check_writable(file)
    now, before = content(file), _copy(fix, entry, data)
    following = [(other, same) for other in later for same in other.files if same.file == entry.file]
    chain = [(fix, entry), *following]
    linked = all(one.after == _hash(_copy(other, two, data)) for (_, one), (other, two) in pairwise(chain))
    if not linked or chain[-1][1].after != _hash(now):
        return _Step(now, _without(entry, now, before, following))
    state, folders, rebased = before, entry.folders, []
    for other, same in following:  # as if the fix had never been
        try:
            after = edited(file, state, same.edits)
        except UnwritableError as error:
            raise UndoError(
                f"Fix {other.number} rests on this one. Undo it first: anchorline undo {other.number}"
            ) from error
        begun = msgspec.structs.replace(same, existed=state is not None, after=_hash(after), folders=folders)
        rebased.append(_Rebased(other.number, begun, state))
        state, folders = after, []
    return _Step(now, state, rebased)


def _rebase(rebased: _Rebased, data: Path) -> None:
    fix, entry = _read(_folder(rebased.number, data) / _RECORD), rebased.entry
    _keep(fix.number, entry, rebased.before, data)
    _write(
        msgspec.structs.replace(
            fix, files=[entry if other.file == entry.file else other for other in fix.files]
        ),
        data,
    )


def _replace(steps: Iterable[tuple[FixedFile, bytes | None, bytes | None]]) -> None:
    """Writes files, each with its content now and then; all of them or none. Raises UnwritableError and OSError."""
    written: list[tuple[FixedFile, bytes | None]] = []
    try:
        for entry, now, then in steps:
            if content(Path(entry.file)) != now:
                raise UnwritableError(f"{entry.file}: another program has just changed it; try again")  # noqa: TRY301
            if now != then:
                written.append((entry, now))
                _put(entry, then)
    except BaseException:
        for entry, now in reversed(written):
            _put(entry, now)
        raise


def _put(entry: FixedFile, raw: bytes | None) -> None:
    """Writes a whole settings file, which keeps its mode; None removes it, and folders made for it that are empty."""
    file = Path(entry.file)
    if raw is None:
        file.unlink(missing_ok=True)
        for folder in entry.folders:
            with suppress(OSError):  # something else is in it by now
                Path(folder).rmdir()
        return
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    files.make_folder(file.parent)
    files.write(file, raw, mode=mode)


def _chosen(number: int | None, fixes: Sequence[AppliedFix]) -> AppliedFix:
    in_force = [fix for fix in fixes if fix.undone is None]
    if number is None:
        if not in_force:
            raise UndoError("There is nothing to undo: no fix is in force.")
        return in_force[-1]
    for fix in fixes:
        if fix.number == number:
            if fix.undone is not None:
                raise UndoError(f"Fix {number} is undone already.")
            return fix
    numbers = ", ".join(str(fix.number) for fix in in_force)
    raise UndoError(
        f"There is no fix {number}. " + (f"In force: {numbers}." if numbers else "None is in force.")
    )


def _without(
    entry: FixedFile,
    now: bytes | None,
    before: bytes | None,
    following: Sequence[tuple[AppliedFix, FixedFile]],
) -> bytes | None:
    """Returns a file, edited by hand since, without what a fix set in it; everything else stays."""
    if now is None:
        return None
    file = Path(entry.file)
    document, earlier = read(file, now), read(file, before or b"")
    for edit in reversed(entry.edits):
        for other, same in following:
            if any(edit.keys == again.keys for again in same.edits):
                raise UndoError(
                    f"Fix {other.number} has set {setting(edit)} since, and {file} was edited by hand. "
                    f"Undo that one first: anchorline undo {other.number}"
                )
        value, former = document.get(edit.keys), earlier.get(edit.keys)
        if value == edit.value:
            restore(document, edit.keys, earlier)
        elif value != former:
            was = "was not set" if former is None else f"was {json.dumps(former, default=str)}"
            raise UndoError(
                f"{file}: {setting(edit)} is {json.dumps(value, default=str)} now. The fix had set "
                f"{json.dumps(edit.value)}, before that it {was}. Set it as you want it, by hand."
            )
    return document.text.encode()


def _check_writable(file: Path) -> None:
    """Raises UnwritableError for a file that its owner has protected: replacing it would need no permission."""
    if file.exists() and not file.stat().st_mode & 0o222:
        raise UnwritableError(f"{file}: it is read-only. Make it writable (chmod u+w), or change it by hand")


def _folder(number: int, data: Path) -> Path:
    return data / FOLDER / str(number)


def _folders(data: Path) -> Iterator[Path]:
    return (folder for folder in (data / FOLDER).glob("*") if folder.name.isdecimal())


def _keep(number: int, entry: FixedFile, before: bytes | None, data: Path) -> None:
    copy = _folder(number, data) / entry.copy
    if before is None:
        copy.unlink(missing_ok=True)
    else:
        files.write(copy, before)


def _copy(fix: AppliedFix, entry: FixedFile, data: Path) -> bytes | None:
    return (_folder(fix.number, data) / entry.copy).read_bytes() if entry.existed else None


def _hash(raw: bytes | None) -> str:
    return "" if raw is None else blake2b(raw, digest_size=16).hexdigest()


def _read(record: Path) -> AppliedFix:
    try:
        return msgspec.json.decode(record.read_bytes(), type=AppliedFix)
    except msgspec.DecodeError as error:
        raise UndoError(
            f"{record} can't be read ({error}). The copies beside it are the files as they were."
        ) from None


def _write(fix: AppliedFix, data: Path) -> None:
    files.write(_folder(fix.number, data) / _RECORD, msgspec.json.format(msgspec.json.encode(fix), indent=2))


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    files.make_folder(data / FOLDER)
    with files.lock(data / FOLDER / "lock"):
        yield
