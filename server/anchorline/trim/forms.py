"""The form in which a text of a tool result is sent, and the way back.

A trim is applied only where `restored` has just given the lines back from the text as it would be sent. Where it does
not, or where too little is saved, the text stays as it is.
"""

from collections.abc import Sequence

from anchorline.plan import TrimKind
from anchorline.trim.calls import Origin
from anchorline.trim.kinds import EqualLines, FoundLines, Kind, LineNumbers
from anchorline.trim.marks import Line, Literal, own, read, written
from anchorline.trim.terminal import rendered

KINDS: tuple[Kind, ...] = (LineNumbers(), EqualLines(), FoundLines())
"""The kinds that need nothing but the text, in the order in which they are applied."""
SAVED = 60
"""Characters that a change must save, to be worth it."""
SPACES = 200
"""Characters that it must save to leave out the spaces before line numbers, as those of some sixty lines."""


def shortened(text: str, kinds: Sequence[Kind], origin: Origin) -> tuple[str, tuple[TrimKind, ...]]:
    """Returns the text as it is sent, and which kinds of trims it took."""
    plain = own(text)
    lines, given, drawn = plain, list[Line](text.split("\n")), tuple[TrimKind, ...]()
    if kinds and ("\x1b" in text or "\r" in text) and (shown := rendered(text)) is not None and origin.drawn:
        lines = [shown[1], *own(shown[0])]
        given = [shown[1], *shown[0].split("\n")]
        drawn = ("terminal_rendering",)
    sent, used = _applied(lines, given, kinds, kinds, origin)
    if "line_numbers" in used:
        # Lines that were sent with their spaces are found again with them, and a few spaces are not worth it.
        others = [kind for kind in kinds if kind.name != "line_numbers"]
        other = _applied(lines, given, others, kinds, origin)
        if len(other[0]) < len(sent) + SPACES:
            sent, used = other
    return (sent, drawn + used) if len(text) - len(sent) >= SAVED else (written(plain), ())


def _applied(
    lines: list[Line], given: list[Line], some: Sequence[Kind], kinds: Sequence[Kind], origin: Origin
) -> tuple[str, tuple[TrimKind, ...]]:
    """Applies `some` of the kinds, each one that `kinds` restore `given` from."""
    used: list[TrimKind] = []
    sent = written(lines)
    for kind in some:
        made = kind.shorten(lines, origin)
        if made is lines or made == lines:
            continue
        shorter = written(made)
        if restored(read(shorter), kinds) == given:
            lines, sent = made, shorter
            used.append(kind.name)
    return sent, tuple(used)


def restored(lines: list[Line], kinds: Sequence[Kind]) -> list[Line]:
    """Returns the lines that a tool gave, from those that were sent.

    A mark that is left speaks of what can't be restored.
    """
    for kind in reversed(kinds):
        lines = kind.restore(lines)
    return [line for line in lines if not isinstance(line, Literal)]
