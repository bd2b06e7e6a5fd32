"""What `anchorline doctor` reports."""

from typing import Literal

import msgspec


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at; `advice` says what would make it better."""

    name: str
    status: Literal["ok", "warning", "error"]
    message: str
    advice: str = ""
