"""Filler: phrases that can go without changing what is asked, and what else they change in their sentence.

Kept out on purpose: "if possible", "maybe" on its own, "I want you to", "just" and whatever holds a negation
or a condition, because they say something.
"""

import re
from typing import NamedTuple

from anchorline.refine.mask import Masked

POLITE = r"(?:please|kindly|maybe|perhaps|possibly|just)"
YOU = r"(?:could|can|would|will) (?:you|u|we)"


class Filler(NamedTuple):
    """A phrase that may go. `request`: it made an instruction a question, so the question mark goes too."""

    start: int
    end: int
    request: bool


_STARTS = re.compile(
    r"[.!?;:][ \n]\s*+|\n[ \t]*+(?:[-*\u2022] |\d{1,3}[.)] )?|\A(?:[-*\u2022] |\d{1,3}[.)] )?"
)
"""What comes before a sentence or a list item, so that it begins at the end of the match."""
_REQUESTS = re.compile(
    r"(?:(?:so|ok|okay|and|well|hi|hello|hey)(?: there)?,? )?"
    r"(?:i(?: was|'m| am) (?:just )?wondering (?:if|whether) (?:you (?:could|can|would|might)|we could)"
    r"|i(?:'d| would) (?:really |greatly |very much )?appreciate it if you (?:could|would|can)"
    r"|it(?:'d| would) be (?:really |very |super )?(?:great|nice|awesome|helpful|good|cool"
    r"|lovely) if you (?:could|can|would)"
    rf"|please,? {YOU}|{YOU}(?= {POLITE} )|do you think you (?:could|can)"
    rf"|{POLITE}(?= {POLITE} ))"
    rf"(?: {POLITE})*+,? (?=[a-z\x00])(?!(?:not|never|be able|tell me if|only)\b)",
    re.IGNORECASE,
)
_OPENERS = re.compile(
    r"(?:(?:so |ok |okay |well,? )?(?:(?:basically|honestly|frankly|to be honest|u+m+|u+h+|uh+m+),? "
    r"|(?:i mean|you know),(?: like,)? |(?:ok |okay )?so like, )|(?:hi|hello|hey)(?: there| again"
    r"| everyone| all)?[,!.] +)(?=[A-Za-z\x00])",
    re.IGNORECASE,
)
_MIDDLES = re.compile(
    r"(?<=[a-z\x00]), (?:you know|i mean|u+m+|u+h+|to be honest|honestly|basically),(?= [a-z\x00])"
    r"|(?<=[a-z\x00,]) (?:u+m+|u+h+|like,? you know|basically)(?= [a-z\x00])"
    r"(?! (?:the same|identical|equivalent|no|not|never|every|all|none|nothing|any)\b)",
    re.IGNORECASE,
)
_THANKS = r"(?:many thanks|thanks|thank you|thx|cheers)(?: so much| a lot| very much| a bunch)?"
_CLOSERS = re.compile(
    rf"(?:(?<=[.!?])\s++|(?<! ),?+ ++)(?:{_THANKS}(?: in advance| for (?:your|the"
    rf"|any) help)?|(?:i )?hope (?:this|that|it) (?:makes sense|helps))[.!]*(?=\s*\Z)",
    re.IGNORECASE,
)
_SENSE = re.compile(r",? if (?:that|this|it) makes sense(?=[.!?]?(?:\s|\Z))", re.IGNORECASE)
REQUEST_SIGNS = (
    "wondering", "appreciate it if", "great if", "nice if", "awesome if", "helpful if", "good if", "cool if",
    "lovely if", "you please", "you kindly", "you maybe", "you perhaps", "you possibly", "you just",
    "u please", "we please", "please could", "please can", "please would", "please will", "please, ",
    "think you c", "please please", "please maybe", "please kindly", "please just", "maybe please",
    "kindly please", "just please",
)  # fmt: skip
ASIDES = "basically honestly honest frankly um umm ummm uh uhh uhm hi hello hey"
ASIDE_SIGNS = frozenset(word + mark for word in ASIDES.split() for mark in ("", ",", "!", ".")) | {
    "like,",
    "mean,",
    "know,",
}
CLOSER_SIGNS = ("thank", "thx", "cheers", "hope th", "hope it")
CLOSING = 100
"""Characters at the end in which thanks are looked for."""


def fillers(draft: Masked) -> list[Filler]:
    """Returns the filler in a draft's prose, in order, without overlap.

    The caller decides whether the passage is English. Substring tests come first: most drafts have no filler,
    and the patterns behind them are slower.
    """
    prose, low, tokens = draft.prose, draft.low, draft.tokens
    candidates: list[Filler] = []
    asked = any(sign in low for sign in REQUEST_SIGNS)
    aside = not ASIDE_SIGNS.isdisjoint(tokens)
    if asked or aside:
        for start in [match.end() for match in _STARTS.finditer(prose)]:
            if asked and (match := _REQUESTS.match(prose, start)):
                candidates.append(Filler(*match.span(), request=True))
            elif aside and (match := _OPENERS.match(prose, start)):
                candidates.append(Filler(*match.span(), request=False))
    if aside:
        candidates += [Filler(*match.span(), request=False) for match in _MIDDLES.finditer(prose)]
    closing = max(0, len(prose.rstrip()) - CLOSING)
    if any(sign in low[closing:] for sign in CLOSER_SIGNS) and (match := _CLOSERS.search(prose, closing)):
        candidates.append(Filler(*match.span(), request=False))
    if "makes sense" in low:
        candidates += [Filler(*match.span(), request=False) for match in _SENSE.finditer(prose)]
    candidates.sort()
    kept: list[Filler] = []
    for filler in candidates:
        if not kept or filler.start >= kept[-1].end:
            kept.append(filler)
    return kept
