"""Moments in a text: a date with a time of day, or the present time as the text states it.

They change from one request to the next. A date alone does not, unless it is said to be today's; a moment that stands
there as an example, or says when something was done, does not either.
"""

import re

_MONTH = (
    rb"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|"
    rb"Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_DAY = rb"[0-3]?\d(?:st|nd|rd|th)?"
_CLOCK = rb"[0-2]?\d:[0-5]\d(?::[0-5]\d(?:[.,]\d{1,9})?)?"
_ZONE = rb"(?:Z\b| ?[+-][01]\d:?[0-5]\d\b| ?[AaPp]\.?[Mm]\b\.?)?(?: (?:UTC|GMT|[A-Z]{1,4}[SD]?T)\b)?"
_BETWEEN = rb"(?:,? at |,? )"

# Compiled by `re` when one is first needed, and kept there: a start would wait for them.
_ISO = rb"20\d\d[-/][01]\d[-/][0-3]\d(?:[Tt]| |, )" + _CLOCK + _ZONE
_NAMED = rb"\b%b(?: %b,? 20\d\d%b%b%b| +%b %b%b 20\d\d| 20\d\d%b%b%b)" % (
    _MONTH,
    _DAY,
    _BETWEEN,
    _CLOCK,
    _ZONE,
    _DAY,
    _CLOCK,
    _ZONE,
    _BETWEEN,
    _CLOCK,
    _ZONE,
)
_SLASHED = rb"/20\d\d,? " + _CLOCK + _ZONE
_BEFORE_SLASH = re.compile(rb"\b[0-3]?\d/[0-3]?\d\Z")
_DATE = rb"(?:20\d\d[-/][01]\d[-/][0-3]\d|[0-3]?\d[/.][0-3]?\d[/.]20\d\d|%b %b(?:,? 20\d\d)?|%b %b(?:,? 20\d\d)?)" % (
    _MONTH, _DAY, _DAY, _MONTH)  # fmt: skip
_EPOCH = rb"1[6-9]\d{8}(?:\d{3})?(?:\.\d+)?\b"
_PRESENT = (
    rb"(?:(?i:today(?:'s date)?(?: is|:)"
    rb"|(?:current|present)[ _-](?:date|time|timestamp)(?:[ _]?(?:and |/)?time)?(?: is|:|>|=)"
    rb"|the (?:date|time) is|it is now))[^\n\\\"]{0,30}?"
)
_NOW = _PRESENT + rb"(%b|%b)" % (_EPOCH, _CLOCK + _ZONE)
_TODAY = _PRESENT + rb"((?i:%b))" % _DATE
_SAYS = (b"today", b"current", b"present", b"the date is", b"the time is", b"it is now")
_TIME = re.compile(rb":[0-5]\d")
_WEEKDAY = re.compile(rb"(?:\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? )?(?:\b[0-3]?\d )?\Z")
_STANDS = re.compile(
    rb"(?:\x60|e\.g\.|example|such as|like|format|created|updated|modified|released|since|until|\bon)[^\n]{0,20}\Z",
    re.IGNORECASE,
)


def times(text: bytes) -> list[tuple[int, int]]:
    """Returns where a text tells a moment, in order: each stamp as a whole, without what it is called."""
    stamps = _stamps(text)
    told = [span for span in stamps if not _STANDS.search(text, max(span[0] - 40, 0), span[0])]
    return sorted({*told, *(_whole(span, stamps) for span in _said(_NOW, text))})


def days(text: bytes) -> list[tuple[int, int]]:
    """Returns where a text says what day it is, in order: the day, with the time where that follows on it."""
    said = _said(_TODAY, text)
    stamps = _stamps(text) if said else []
    return [_whole(_with_day(text, *span), stamps) for span in said]


def _stamps(text: bytes) -> list[tuple[int, int]]:
    """Returns where a date with a time of day stands, whatever is said of it."""
    if not _TIME.search(text):  # most texts have none, and this is a fast search
        return []
    spans = [match.span() for match in re.finditer(_ISO, text)]
    spans += [_with_day(text, *match.span()) for match in re.finditer(_NAMED, text)]
    for match in re.finditer(_SLASHED, text):
        before = _BEFORE_SLASH.search(text, max(match.start() - 6, 0), match.start())
        if before is not None:
            spans.append((before.start(), match.end()))
    return spans


def _said(pattern: bytes, text: bytes) -> list[tuple[int, int]]:
    lowered = text.lower()
    if not any(words in lowered for words in _SAYS):
        return []
    return [match.span(1) for match in re.finditer(pattern, text)]


def _whole(span: tuple[int, int], stamps: list[tuple[int, int]]) -> tuple[int, int]:
    """Returns a span with the stamp that it is a part of."""
    parts = [span, *(stamp for stamp in stamps if stamp[0] < span[1] and span[0] < stamp[1])]
    return min(start for start, _ in parts), max(end for _, end in parts)


def _with_day(text: bytes, start: int, end: int) -> tuple[int, int]:
    """Returns the span with the day and the weekday before a month's name."""
    match = _WEEKDAY.search(text, max(start - 14, 0), start)
    return (match.start() if match is not None else start), end
