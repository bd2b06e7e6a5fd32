"""Words that a draft speaks of instead of using them: they are its subject, and stay as they are written.

"Replace seperate with separate" asks about two spellings, "remove every basically" about a word, "the footer should
read: Thanks in advance!" about a text. Correcting, shortening or dropping them would change what is asked for
(linguistics calls it the use-mention distinction). What is in quotation marks or code is an entity already (`mask`);
here is the rest, told by what stands before it: a verb that takes words for its object, a noun that names one, a colon
before a text, an arrow. In doubt a word counts as mentioned: a slip that stays costs nothing, a changed subject does.
"""

import re
from collections import Counter

from anchorline.refine.mask import Masked
from anchorline.refine.spelling import correction
from anchorline.refine.words import common, known, misspellings

_TOPIC = (
    r"typos?|mis-?spel\w*|mis-?typed|spell(?:s|ed|ings?|check\w*|er)?|spelt|wording|phrasing|fillers?"
    r"|filler words?|proofread\w*"
    r"|copy-?edit\w*|grammar|grammatical|orthograph\w*|polite(?:ness|r|ly)?|pleasantries|tone of voice"
    r"|autocorrect\w*"
    r"|(?:double|repeated|duplicate)d? words?"
)
"""A draft with one of these is about how words are written: all of it stays."""

_EDIT = (
    r"replac(?:e[sd]?|ing)|renam(?:e[sd]?|ing)|remov(?:e[sd]?|ing)|delet(?:e[sd]?|ing)|strip(?:s|ped"
    r"|ping)?|drop(?:s|ped|ping)?"
    r"|omit(?:s|ted|ting)?|avoid(?:s|ed|ing)?|ban(?:s|ned|ning)?|forbid(?:s|ding)?|eras(?:e[sd]?|ing)"
    r"|filter(?:s|ed|ing)?(?: out)?"
    r"|flag(?:s|ged|ging)?|highlight(?:s|ed|ing)?|match(?:es|ed|ing)?|detect(?:s|ed|ing)?|count(?:s|ed"
    r"|ing)?|find(?:s|ing)?"
    r"|search(?:es|ed|ing)?(?: for)?|grep(?:s|ped|ping)?(?: for)?|look(?:s|ed|ing)? for"
    r"|substitut(?:e[sd]?|ing)"
    r"|swap(?:s|ped|ping)?|chang(?:e[sd]?|ing)|turn(?:s|ed|ing)?|convert(?:s|ed|ing)?|correct(?:s|ed"
    r"|ing)?|capitali[sz](?:e[sd]?|ing)"
    r"|translat(?:e[sd]?|ing)|quot(?:e[sd]?|ing)|mention(?:s|ed|ing)?|contain(?:s|ed|ing)?|output(?:s|ted"
    r"|ting)?|us(?:e[sd]?|ing)"
    r"|kee(?:ps?|ping)|leav(?:e|es|ing)|add(?:s|ed|ing)?|append(?:s|ed|ing)?|prepend(?:s|ed|ing)?"
    r"|insert(?:s|ed|ing)?"
    r"|writ(?:es?|ing|ten)|wrote|typ(?:es?|ed|ing)|print(?:s|ed|ing)?|display(?:s|ed|ing)?|show(?:s|ed|n"
    r"|ing)?|expect(?:s|ed|ing)?"
)
_SAY = (
    r"sa(?:y|ys|id|ying)|read(?:s|ing)?|spells?|call(?:s|ed|ing)?(?: it)?|named|entitled|titled|label+ed"
    r"|worded|known as|instead of"
    r"|rather than|as opposed to|vs\.?|versus|and not|but not|, not"
)
_WORD = (
    r"words?|terms?|phrases?|strings?|spelling|keywords?|adverbs?|expressions?|abbreviations?"
    r"|interjections?|texts?|labels?|captions?|titles?"
    r"|headings?|headlines?|subtitles?|slogans?|greetings?|tooltips?|placeholders?|translations?"
    r"|hashtags?|footers?|banners?|buttons?|signatures?"
)
_NAMED = (
    r"variable|function|method|class|column|field|key|flag|option|parameter|param|argument|property|attribute"
    r"|identifier|symbol|constant|enum|module|package|command|branch|tag|route|endpoint|table|header"
    r"|folder|channel"
)
_TEXT = (
    rf"{_WORD}|headers?|sentences?|paragraphs?|lines?|e-?mails?|mails?|letters?|(?<!error )messages?"
    rf"|repl(?:y|ies)|comments?|cop(?:y|ies)|wording"
    r"|snippets?|quotes?|excerpts?|posts?|tweets?|announcements?|entr(?:y|ies)|keys|names|says?|said"
    r"|reads?|saying|reading|writes?|prints?"
    r"|displays?|answers?|greets?|translate[sd]?|rewrit(?:e|ten)|rephrased?|shorten(?:ed)?"
    r"|summari[sz]e[sd]?|verbatim|literally"
)
_INTERJECTION = (
    r"basically|honestly|frankly|actually|just|maybe|perhaps|possibly|please|kindly|u+m+|u+h+|you know"
    r"|i mean|like|to be honest|(?:could|can|would) you"
    r"(?: please)?|sorry|simply|obviously|(?:hi|hello|hey)(?: there| all| everyone)?"
    r"|(?:many |so )?(?:thanks|thank you|thx|cheers)(?: so much| a lot| very much| a bunch| in advance"
    r"| for (?:your|the) help)?"
)
_DETERMINER = r"every|each|all|any|both|no|another|one|the|an?|this|that|these|those|its|my|our|your|extra"
_AFTER = (
    r"(?=[^\S\n]*(?:[.,;:!?)\n\x00]|\Z|->|=>|→)|[^\S\n]+(?:from|in|inside|within|with|to|by|into|for|at"
    r"|on|of|as|and|or|nor|but|not|is|was|are|were"
    r"|should|must|may|has|everywhere|anywhere|throughout|here|there|when|where|wherever|because|instead"
    r"|rather|than|out|before|after"
    r"|if|that|which|twice|again|appears?|stands?|occurs?|comes?|means?|looks?|counts?|also|too|anymore"
    r"|now|please|across|only)\b)"
)
"""What follows a mentioned word. One that is used is followed by what it belongs to: "remove seperate files"."""
_ONE = r"[^\s.,;:!?()\x00]{1,30}"
_FEW = rf"{_ONE}(?: {_ONE}){{0,5}}"
_OBJECT = rf"(?:{_INTERJECTION}|{_ONE}){_AFTER}"
_WORDS = rf"{_OBJECT}(?:(?:, ?(?:and |or )?| and | or |/| & ){_OBJECT}){{0,12}}"
ARROWS = ("->", "=>", "→", "⇒", "↦")
_ARROW = rf"(?:{'|'.join(ARROWS)})"
_ENDS = r"(?=[^\S\n]*[.,;!?)\n]|\Z)"


_IS_TOPIC = re.compile(rf"\b(?:{_TOPIC})\b", re.IGNORECASE)
_EVERY = r"(?:(?:every|each|all|any|both|no) (?:the )?)?"
_CHANGES = (
    r"(?:replac|renam|chang|turn|convert|substitut|swap|correct|updat|set|start|begin|open|end|finish|clos|sign"
    r"|greet|repl|answer|respond)"
)
_MENTIONS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?:{_EDIT}|{_SAY}) {_EVERY}({_WORDS})",
        rf"\b(?:occurr?ences?|instances?|uses?|hits|cases?) (?:of|for) ({_WORDS})",
        rf"\b(?:has|have|had|with|without|many|some|like) ((?:{_INTERJECTION})){_AFTER}",
        rf"\b{_CHANGES}\w{{0,4}} [^.!?\n]{{0,120}}?\b(?:with|by|to|into|as|for) ({_WORDS})",
        rf"\b(?:{_WORD})\b[^.!?\n]{{0,60}}? (?:with|by|to|into|as|be|is|says?|reads?|called|named) ({_FEW})",
        rf"\b(?:{_WORD}) ({_WORDS})",
        rf"\b(?:{_NAMED}) ({_ONE}){_AFTER}",
        rf"\b(?:{_DETERMINER}) ((?:{_INTERJECTION})){_AFTER}",
        rf"({_ONE})(?:,? (?:instead of|rather than|as opposed to|vs\.?|versus|and not|but not)|, not) {_ONE}",
        r"(?<![\w*_])((?:\*\*|__|[*_])[^\s*_][^*_\n]{0,60}(?:\*\*|__|[*_]))(?![\w*_])",
    )
)
"""Patterns whose group is what is mentioned. All are bounded."""
_ARROWS = re.compile(rf"({_FEW}) ?{_ARROW} ?{_FEW}{_ENDS}"), re.compile(rf"{_ARROW} ?({_FEW}){_ENDS}")
"""Patterns whose group stands before or after an arrow."""
_IS_INTERJECTION = re.compile(_INTERJECTION)
_INTRODUCED = re.compile(
    rf"\b(?:(?:{_TEXT})\b[^.!?:\n]{{0,60}}|(?:to|with|by|as|into|be|is)\s?):(?=[^\S\n]|\n|\Z)",
    re.IGNORECASE,
)
"""What announces a text or words: up to a colon."""
_KEY = r"[ \t]*(?:[-*+] )?[a-z]{}[\w.-]{{0,40}} ?[:=][^\S\n]+[^\n]+(?:\n|\Z)"
_KEYS = re.compile(rf"(?:^{_KEY.format('[a-z0-9]*[._-]')})|(?:^{_KEY.format('')}){{2,}}", re.MULTILINE)
"""Values of keys: below a dotted or hyphenated key, or two or more lines of lower-case keys."""


def mentioned(draft: Masked) -> list[tuple[int, int]]:
    """Returns where a draft speaks of words, as spans of characters in order, without overlap."""
    prose = draft.prose
    if _IS_TOPIC.search(prose):
        return [(0, len(prose))]
    patterns = _MENTIONS
    if any(arrow in prose for arrow in ARROWS):
        patterns += _ARROWS
    spans = [match.span(1) for pattern in patterns for match in pattern.finditer(prose)]
    spans += [match.span() for match in _KEYS.finditer(draft.text)]
    for match in _INTRODUCED.finditer(prose):
        end = prose.find("\n", match.end())
        alone = end < 0 or not prose[match.end() : end].strip()
        spans.append((match.end(), len(prose) if alone else end))
    spans += _both_spellings(draft)
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def covers(spans: list[tuple[int, int]], start: int, end: int) -> bool:
    """Says whether one span holds all of the characters `start:end`."""
    return any(low <= start and end <= high for low, high in spans)


def touches(spans: list[tuple[int, int]], start: int, end: int) -> bool:
    """Says whether a span holds some of the characters `start:end`."""
    return any(start < high and end > low for low, high in spans)


def _both_spellings(draft: Masked) -> list[tuple[int, int]]:
    """Finds words that stand in the draft rightly spelled as well: their spelling is what it is about."""
    words = {token.strip('.,;:!?()"*') for token in draft.tokens}
    odd = {
        word
        for word in words
        if word.isascii() and word.isalpha() and (word in misspellings() or word not in common())
    }
    twice = [
        word for word in odd if (right := correction(word)) is not None and len(right) > 3 and right in words
    ]
    return [
        match.span()
        for word in sorted(twice)
        for match in re.finditer(rf"\b{re.escape(word)}\b", draft.prose, re.IGNORECASE)
    ]


def words(draft: Masked) -> Counter[str]:
    """Counts the mentioned words that a correction could take for slips or filler, in lower case."""
    counts: Counter[str] = Counter()
    for start, end in mentioned(draft):
        for match in re.finditer(r"[^\W\d_]+", draft.prose[start:end]):
            word = match[0].lower()
            if word in misspellings() or not known(word) or _IS_INTERJECTION.fullmatch(word):
                counts[word] += 1
    return counts
