"""The guard: the conditions that every candidate must meet, whoever wrote it.

A candidate may come from the rules or from a language model. It passes only if every entity survives, nothing
that the draft and its surroundings do not hold has been added, negations and modals stand, the language
stays, the length is plausible and it is a prompt, not an answer to one.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from anchorline.refine import mentions
from anchorline.refine.filler import fillers
from anchorline.refine.ground import facts
from anchorline.refine.language import english, language, script
from anchorline.refine.mask import ORDERED, Masked, view
from anchorline.refine.spelling import correction
from anchorline.refine.words import common, known, technologies
from anchorline.surroundings import NOTHING, Surroundings

LOW, HIGH = 0.5, 1.6
"""Length of a candidate relative to the draft's; filler, exact repetition and grounding aside."""
MOST_TOKENS = 200
"""Unknown words whose corrections are looked up."""
GLUE = 24
"""Characters of plain words that come with one grounded fact (\u201cthe code at\u201d, brackets)."""

NUMBER_WORDS = "two three four five six seven eight nine ten eleven twelve twenty hundred thousand half"


class Verdict(msgspec.Struct, frozen=True):
    """Whether a candidate may be shown; `reasons` say for a developer what is wrong with it."""

    ok: bool
    reasons: tuple[str, ...] = ()


_OBLIGATIONS = re.compile(
    r"\b(?:not|never|no|none|nothing|nobody|neither|nor|cannot|only|must|without|except|unless|should"
    r"|shall|always"
    r"|at least|at most|exactly|avoid|don['\u2019]?t)\b|n['\u2019]t\b|\b(?:does|did|is|should|would"
    r"|could|must)nt\b",
    re.IGNORECASE,
)
_SENTENCES = re.compile(r"(?<=[.!?])\s|\n")
_ANSWERS = re.compile(
    r"\s*(?:sure|certainly|of course|absolutely|here(?: is|'s|\u2019s| are)|i(?:'ll| will|'ve| have"
    r"| can(?:not|'t)?|'m sorry| apologi[sz]e)\b"
    r"|as an ai|to (?:fix|solve|do) this|you (?:can|should|could)\b|the (?:refined|rewritten"
    r"|improved) (?:prompt|version))",
    re.IGNORECASE,
)
_NUMBER_WORDS = frozenset(NUMBER_WORDS.split())


def check(
    original: str | Masked,
    candidate: str,
    surroundings: Surroundings = NOTHING,
    *,
    allowed: Iterable[str] = (),
) -> Verdict:
    """Says whether `candidate` may stand in for `original`.

    `allowed` are further texts that a candidate may name: attached documents, symbols that the workspace has.
    A text that is one of them, or stands in one of them, is no invention.
    """
    draft = original if isinstance(original, Masked) else Masked(original)
    if candidate == draft.text:
        return Verdict(True)
    new = Masked(candidate)
    context = (*facts(surroundings), *allowed)
    added = _added(draft, new)
    reasons = [
        *_entities(draft, new, added, context),
        *_obligation(draft, new),
        *_mentioned(draft, new),
        *_words(draft, new, context),
        *_languages(draft, new),
        *_length(draft, new, added, context),
        *_answer(draft.text, candidate),
    ]
    return Verdict(not reasons, tuple(reasons))


def _added(draft: Masked, new: Masked) -> Counter[str]:
    return _texts(new) - _texts(draft)


def _texts(draft: Masked) -> Counter[str]:
    """Counts the entities; an acronym or the like counts once, however often it stands."""
    counts = Counter([entity.text for entity in draft.entities if entity.kind != "term"])
    for entity in draft.entities:
        if entity.kind == "term":
            counts[entity.text] = max(1, counts[entity.text])
    return counts


def _entities(draft: Masked, new: Masked, added: Counter[str], context: tuple[str, ...]) -> Iterator[str]:
    lost = _texts(draft) - _texts(new)
    for text in lost:
        yield f"loses {_shown(text)}"
    for text in added:
        if not _grounded(text, context):
            yield f"adds {_shown(text)}, which is neither in the draft nor in what the editor shows"
    before = [entity.text for entity in draft.entities if entity.kind in ORDERED]
    after = [entity.text for entity in new.entities if entity.kind in ORDERED]
    if not lost and before != after:
        yield "changes or reorders a block of code, a quotation or pasted text"


def _grounded(text: str, context: tuple[str, ...]) -> bool:
    bare = text.strip("`\"'“”()[]{}.,;:")
    return bool(bare) and any(bare == fact or (len(bare) > 2 and bare in fact) for fact in context)


def _mentioned(draft: Masked, new: Masked) -> Iterator[str]:
    for word in sorted(mentions.words(draft) - Counter(token.lower() for token in _tokens(new.prose))):
        yield f"changes “{word}”, which the draft speaks of"


def _obligation(draft: Masked, new: Masked) -> Iterator[str]:
    before, after = _obliging(draft), _obliging(new)
    for word in sorted(before - after):
        yield f"drops “{word}”"
    added = after - before
    for word in sorted(added.keys() - (_corrections(draft) if added else frozenset())):
        yield f"adds “{word}”"


def _corrections(draft: Masked) -> frozenset[str]:
    """Returns what the draft's misspelt words are meant to be: words that a candidate may have."""
    tokens = {token.strip('.,;:!?()"*') for token in draft.tokens} - common()
    corrections = [
        correction(token) for token in sorted(tokens)[:MOST_TOKENS] if token.isalpha() and token.isascii()
    ]
    return frozenset(word for word in corrections if word is not None)


def _obliging(subject: Masked) -> Counter[str]:
    """Counts negations and modals; one in a name (`not-found.tsx`) is none, and stands as long as the name does."""
    words = []
    names = [entity for entity in subject.entities if entity.kind in ("code", "path")]
    for match in _OBLIGATIONS.finditer(view(subject.text, names)):
        word = match[0].lower()
        words.append("not" if word.endswith(("n't", "n\u2019t", "nt")) or word == "cannot" else word)
    return Counter(words)


def _words(draft: Masked, new: Masked, context: tuple[str, ...]) -> Iterator[str]:
    """Finds plain words that bring in a name, a technology or a count; the draft's own words are free."""
    before = set(_tokens(draft.text))
    fresh = [word for word in _tokens(new.prose) if word not in before]
    lowered = {word.lower() for word in before}
    context_text = " ".join(context).lower()
    meant = _corrections(draft) if fresh else frozenset()
    for word in dict.fromkeys(fresh):
        low = word.lower()
        if low in lowered or low in context_text or low in meant:
            continue
        if low in technologies():
            yield f"brings in {word}, which the draft does not mention"
        elif low in _NUMBER_WORDS:
            yield f"brings in a number: “{word}”"
        elif word.isascii() and word.isalpha() and len(word) > 3 and not known(low):
            yield f"brings in “{word}”, which is no word of the draft or the dictionary"


def _tokens(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text)


def _languages(draft: Masked, new: Masked) -> Iterator[str]:
    """Compares scripts and languages passage by passage.

    Short passages are often too short to tell. So a candidate most of whose words are the draft's own, corrected or
    not, can't be a translation, and where either side can't be told the dictionary decides: it may not become English.
    """
    if _scripts(draft.prose) != _scripts(new.prose):
        yield "changes the script of a passage"
        return
    words, before = _tokens(new.prose), {*_tokens(draft.text.lower()), *_corrections(draft)}
    if sum(word.lower() in before for word in words) * 5 >= len(words) * 4:
        return
    spoken, after = _spoken(draft.prose), _spoken(new.prose)
    if spoken and after:
        if spoken != after:
            yield "changes the language of a passage"
    elif english(draft.prose) != english(new.prose):
        yield "changes the language"


def _paragraphs(prose: str) -> list[str]:
    return [part for part in prose.split("\n\n") if any(map(str.isalpha, part))]


def _scripts(prose: str) -> list[str]:
    """Returns the scripts of the paragraphs in order, neighbours of one script counted once."""
    if prose.isascii():
        return ["latin"] if any(map(str.isalpha, prose)) else []
    return _runs(script(part) for part in _paragraphs(prose))


def _spoken(prose: str) -> list[str]:
    """Returns the languages of the paragraphs in order; paragraphs too short to tell don't count."""
    return _runs(language(part) for part in _paragraphs(prose))


def _runs(names: Iterable[str | None]) -> list[str]:
    runs: list[str] = []
    for name in names:
        if name is not None and (not runs or runs[-1] != name):
            runs.append(name)
    return runs


def _length(draft: Masked, new: Masked, added: Counter[str], context: tuple[str, ...]) -> Iterator[str]:
    filler = sum(end - start for start, end, _ in fillers(draft))
    grounded = sum((len(text) + GLUE) * times for text, times in added.items() if _grounded(text, context))
    before = max(1, len(draft.text.strip()))
    distinct = sum(map(len, set(_SENTENCES.split(draft.text))))
    after = len(new.text.strip())
    if after < LOW * (min(before, distinct) - filler):
        yield f"is much shorter ({after} characters instead of {before})"
    elif after - grounded > HIGH * before:
        yield f"is much longer ({after} characters instead of {before})"


def _answer(original: str, candidate: str) -> Iterator[str]:
    match = _ANSWERS.match(candidate)
    if match is not None and _ANSWERS.match(original) is None:
        yield f"answers instead of asking (it begins “{match[0].strip()}”)"


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return f"“{line[:60]}…”" if len(line) > 60 else f"“{line}”"
