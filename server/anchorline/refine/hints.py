"""The AL1xx hints, of what is unclear in a draft. At most two are shown, and none that the editor can answer.

Only a draft that wants something done (edit, fix, test) gets one, and only if it is so short that the fact is
missing rather than said in another way.
"""

from collections.abc import Iterator
from itertools import islice

import msgspec

from anchorline.plan import Hint, Question
from anchorline.refine import names
from anchorline.refine.analyse import Analysis, deictic
from anchorline.refine.ground import usable
from anchorline.refine.mask import Masked
from anchorline.refine.specification import Sign, SignKind, unfinished
from anchorline.surroundings import Surroundings


class HintRule(msgspec.Struct, frozen=True):
    """A hint code: its title, why it matters, a draft that gets it, and the question put to the developer."""

    code: str
    title: str
    explanation: str
    example: str
    slot: str
    question: str


RULES = (
    HintRule(
        "AL101",
        "Unclear reference",
        "The draft says \u201cthis\u201d or \u201cit\u201d, names nothing that it could mean, and no code "
        "is selected. "
        "The model has to guess from the conversation, or asks back.",
        "refactor this",
        "reference",
        "What does \u201c{word}\u201d refer to? Select the code, or name the symbol or file.",
    ),
    HintRule(
        "AL102",
        "No target named",
        "The draft asks for a change but names no file, symbol or code to change, and the editor shows none.",
        "fix the bug",
        "target",
        "Where should this be done? Name the file or symbol, or select the code.",
    ),
    HintRule(
        "AL103",
        "Nothing said about what goes wrong",
        "A fix is asked for without an error message, a symptom or what should happen instead; the editor "
        "reports "
        "no problem there either. A stated symptom is the difference between a fix and a guess.",
        "fix `parse_config`",
        "symptom",
        "What happens now, and what should happen instead? Paste the error if there is one.",
    ),
    HintRule(
        "AL104",
        "Incomplete specification",
        "A function is to be completed from its docstring, and the docstring breaks off, does not say what the "
        "result is, shows no input with its result, or leaves a choice open. One example settles most readings.",
        'def mean(numbers):\\n    """Return the mean."""',
        "specification",
        "{gap} What is the result for one concrete input?",
    ),
    HintRule(
        "AL106",
        "No such file",
        "The draft names a file that is not in the workspace. The model would search for it, or create it.",
        "fix the typo in `src/confg.py`",
        "file",
        "`{path}` is not in the workspace. {meant}",
    ),
)
"""All hint codes, in the order in which they are considered."""

BY_SLOT = {rule.slot: rule for rule in RULES}


def hints(
    draft: Masked, analysis: Analysis, surroundings: Surroundings, *, most: int, follow_up: bool
) -> tuple[tuple[Hint, ...], tuple[Question, ...]]:
    """Returns at most `most` hints with one question each.

    `follow_up`: there are turns before this one, so that "it" and "the bug" may be clear from them; of the hints
    about what the draft itself leaves out only AL104 is left then.
    """
    text = draft.text
    shown: list[Hint] = []
    questions: list[Question] = []
    has_target = surroundings.selection is not None or surroundings.symbol is not None
    for missing in analysis.missing:
        rule = BY_SLOT[missing]
        if len(shown) >= most or (follow_up and missing != "specification"):
            break
        if missing in ("reference", "target") and has_target:
            continue
        if missing == "target" and (surroundings.active_file is not None or surroundings.diagnostics):
            continue
        if missing == "symptom" and surroundings.diagnostics:
            continue
        start, end = _where(missing, draft)
        question = _question(rule, text[start:end], analysis)
        shown.append(Hint(rule.code, f"{rule.title}: {question}", start, end))
        questions.append(Question(rule.slot, question))
    for hint, about in islice(_absent(draft, surroundings), most - len(shown)):
        shown.append(hint)
        questions.append(about)
    return tuple(shown), tuple(questions)


def _absent(draft: Masked, surroundings: Surroundings) -> Iterator[tuple[Hint, Question]]:
    rule = BY_SLOT["file"]
    similar = {absent.path: absent.similar for absent in surroundings.absent}
    for name, entity in names.files(draft) if similar else ():
        if name in similar and usable(name):
            near = similar.pop(name)
            meant = f"Is `{near}` meant?" if near is not None and usable(near) else "Which file is meant?"
            question = rule.question.format(path=name, meant=meant)
            yield (
                Hint(rule.code, f"{rule.title}: {question}", entity.start, entity.end),
                Question(rule.slot, question),
            )


GAPS: dict[SignKind, str] = {
    "breaks off": "A sentence breaks off.",
    "no rule": "It does not say what the function does.",
    "no example": "It shows no example.",
    "choice": "\u201c{words}\u201d leaves a choice open.",
    "unspecific": "\u201c{words}\u201d does not say which.",
    "undefined": "\u201c{words}\u201d is not introduced.",
}


def _question(rule: HintRule, words: str, analysis: Analysis) -> str:
    if rule.slot == "reference":
        return rule.question.format(word=words)
    if rule.slot == "specification":
        return rule.question.format(gap=_gap(words, analysis.signs))
    return rule.question


def _gap(text: str, signs: tuple[Sign, ...]) -> str:
    gravest = max((sign for sign in signs if sign.kind in GAPS), key=lambda sign: sign.weight)
    return GAPS[gravest.kind].format(words=" ".join(text[gravest.start : gravest.end].split()))


def _where(missing: str, draft: Masked) -> tuple[int, int]:
    text = draft.text
    if missing == "reference" and (match := deictic(draft.prose)) is not None:
        return match.span()
    if missing == "specification" and (stub := unfinished(text)) is not None:
        return stub.span("text")
    lead = len(text) - len(text.lstrip())
    return lead, max(lead, len(text.rstrip()))
