"""One value to set in a settings file."""

from typing import Any

import msgspec


class Edit(msgspec.Struct, frozen=True):
    """Sets `keys`, those of nested objects from the outermost on, to `value` in a settings file.

    `file` is its absolute path: TOML by its name, else JSON with comments. `value` is what JSON can hold; None takes
    the setting out.
    """

    file: str
    keys: tuple[str, ...]
    value: Any
