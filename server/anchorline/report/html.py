"""HTML elements whose text and attributes are escaped as they are made."""

from html import escape


class Html(str):
    """Markup: what `element` puts in as it is, where it escapes other text."""

    __slots__ = ()


def element(name: str, *children: object, **attributes: object) -> Html:
    """Returns an element. Children that are no `Html` are text; attributes of None are left out.

    An attribute that Python keeps for itself ends with an underscore (`class_`), a hyphen is written as one
    (`stroke_width`).
    """
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{words}>{join(children)}</{name}>")


def join(parts: "tuple[object, ...] | list[Html]") -> Html:
    """Returns parts one after the other, text escaped."""
    return Html("".join(part if isinstance(part, Html) else escape(str(part)) for part in parts))
