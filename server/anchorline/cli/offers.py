"""The numbered fixes of the screen that was printed last: what `anchorline fix N` makes."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from anchorline import files
from anchorline.client_settings import fixes, locations
from anchorline.client_settings.edits import SettingEdit
from anchorline.findings.model import Code, Fix

_FILE = "offered.json"


class FixOffer(msgspec.Struct, frozen=True):
    """A fix under the number by which `anchorline fix` takes it, and the finding that it is for."""

    number: int
    code: Code
    fix: Fix

    def edits(self) -> list[SettingEdit]:
        """Returns what the fix sets, and where."""
        return [
            SettingEdit(str(locations.settings_file(change.client)), change.keys, change.value)
            for change in self.fix.changes
        ]


def keep(offers: Iterable[FixOffer], data: Path) -> None:
    """Keeps the offers that were shown: history grows, and a number has to mean what it meant. Raises OSError."""
    folder = data / fixes.FOLDER
    files.make_folder(folder)
    files.write(folder / _FILE, msgspec.json.encode(list(offers)))


def shown(data: Path) -> list[FixOffer] | None:
    """Returns the offers that were shown last; None where none were, or by another version. Raises OSError."""
    try:
        return msgspec.json.decode((data / fixes.FOLDER / _FILE).read_bytes(), type=list[FixOffer])
    except (FileNotFoundError, msgspec.DecodeError):
        return None
