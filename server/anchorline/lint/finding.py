"""One thing that a rule found in a prompt, with the bytes it means and, where there is a sure one, the fix."""

from typing import Literal

import msgspec

from anchorline.cache.markers import Splice

Severity = Literal["error", "warning", "info", "hint"]


class Finding(msgspec.Struct, frozen=True):
    """`start:end` are bytes of the source. `fix` are splices that remove the cause; `fix_title` names them."""

    code: str
    message: str
    severity: Severity
    start: int
    end: int
    fix: tuple[Splice, ...] = ()
    fix_title: str = ""
