"""The AL1xx hints: what is unclear in a draft. At most two are shown, and none that the editor can answer.

Only a draft that wants something done (edit, fix, test) gets one, and only if it is so short that the fact is
missing rather than said in another way.
"""

import msgspec

from anchorline.plan import Hint, Question
from anchorline.refine.analyse import Analysis, deictic
from anchorline.refine.specification import gap, unfinished
from anchorline.surroundings import Surroundings


class Rule(msgspec.Struct, frozen=True):
    """A hint code: its title, why it matters, a draft that gets it, and the question put to the developer."""

    code: str
    title: str
    explanation: str
    example: str
    slot: str
    question: str


RULES = (
    Rule(
        "AL101",
        "unclear reference",
        "The draft says \u201cthis\u201d or \u201cit\u201d, names nothing that it could mean, and no code "
        "is selected. "
        "The model has to guess from the conversation, or asks back.",
        "refactor this",
        "reference",
        "What does \u201c{word}\u201d refer to? Select the code, or name the symbol or file.",
    ),
    Rule(
        "AL102",
        "no target named",
        "The draft asks for a change but names no file, symbol or code to change, and the editor shows none.",
        "fix the bug",
        "target",
        "Where should this be done? Name the file or symbol, or select the code.",
    ),
    Rule(
        "AL103",
        "nothing said about what goes wrong",
        "A fix is asked for without an error message, a symptom or what should happen instead; the editor "
        "reports "
        "no problem there either. A stated symptom is the difference between a fix and a guess.",
        "fix `parse_config`",
        "symptom",
        "What happens now, and what should happen instead? Paste the error if there is one.",
    ),
    Rule(
        "AL104",
        "incomplete specification",
        "A function is to be completed from its docstring, and the docstring breaks off, does not say what "
        "the "
        "result is, or shows no input with its result. One example settles most readings of a sentence.",
        'def mean(numbers):\\n    """Return the mean."""',
        "specification",
        "{gap} What is the result for one concrete input?",
    ),
)
"""All hint codes, in the order in which they are considered."""

BY_SLOT = {rule.slot: rule for rule in RULES}


def hints(
    draft: str, prose: str, analysis: Analysis, surroundings: Surroundings, *, most: int, follow_up: bool
) -> tuple[tuple[Hint, ...], tuple[Question, ...]]:
    """Return at most `most` hints with one question each.

    `follow_up`: there are turns before this one, so that "it" and "the bug" may be clear from them; AL101,
    AL102 and AL103 stay silent then.
    """
    shown: list[Hint] = []
    asked: list[Question] = []
    place = surroundings.selection is not None or surroundings.symbol is not None
    for missing in analysis.missing:
        rule = BY_SLOT[missing]
        if len(shown) >= most or (follow_up and missing != "specification"):
            break
        if missing in ("reference", "target") and place:
            continue
        if missing == "target" and (surroundings.active_file is not None or surroundings.diagnostics):
            continue
        if missing == "symptom" and surroundings.diagnostics:
            continue
        start, end = _where(missing, draft, prose)
        question = _question(rule, draft[start:end])
        shown.append(Hint(rule.code, f"{rule.title}: {question}", start, end))
        asked.append(Question(rule.slot, question))
    return tuple(shown), tuple(asked)


GAPS = {
    "breaks off": "A sentence breaks off.",
    "no rule": "It does not say what the function does.",
    "no example": "It shows no example.",
}


def _question(rule: Rule, words: str) -> str:
    if rule.slot == "reference":
        return rule.question.format(word=words)
    if rule.slot == "specification":
        return rule.question.format(gap=GAPS[gap(words) or "no example"])
    return rule.question


def _where(missing: str, draft: str, prose: str) -> tuple[int, int]:
    if missing == "reference" and (match := deictic(prose)) is not None:
        return match.span()
    if missing == "specification" and (stub := unfinished(draft)) is not None:
        return stub.span("text")
    lead = len(draft) - len(draft.lstrip())
    return lead, max(lead, len(draft.rstrip()))
