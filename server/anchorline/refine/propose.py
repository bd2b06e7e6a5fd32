"""The way from a draft to a proposal: analyse, ground, rewrite, guard. Synchronous, deterministic, never raises."""

import msgspec

from anchorline.plan import Edit, Hint, Question, Refinement
from anchorline.refine import guard
from anchorline.refine.analyse import analyse
from anchorline.refine.ground import ground, locate
from anchorline.refine.hints import hints
from anchorline.refine.mask import TARGETS, Masked
from anchorline.refine.rewrite import Change, apply, rewrite, settle
from anchorline.refine.structure import structure
from anchorline.surroundings import NOTHING, Surroundings

LONGEST = 65_536
"""Characters up to which a draft is looked at: longer ones are pasted material."""
PASSES = 4
"""Passes until nothing more is found; a draft that needs more is left alone."""


def propose(
    draft: str, surroundings: Surroundings = NOTHING, *, max_hints: int = 2, follow_up: bool = False
) -> Refinement:
    """Returns a refined draft with the reason for every edit, or the reason why there is none.

    `follow_up`: the draft continues a conversation, so that references in it may be clear from earlier turns.
    Refining the proposed text again proposes nothing. Whatever fails, the answer is "unavailable" and the
    draft stands.
    """
    try:
        return _propose(draft, surroundings, max_hints, follow_up)
    except Exception as error:  # noqa: BLE001  (fail open: no defect here may stop a prompt)
        return Refinement(
            "unavailable", f"refinement failed ({type(error).__name__}); the draft stands as it is"
        )


def _propose(draft: str, surroundings: Surroundings, max_hints: int, follow_up: bool) -> Refinement:
    if not draft.strip():
        return Refinement("unchanged", "the draft is empty")
    if len(draft) > LONGEST:
        return Refinement(
            "refused", f"the draft has {len(draft)} characters; refinement looks at {LONGEST} at most"
        )
    subject = Masked(draft)
    analysis = analyse(subject)
    changes, questions = _changes(subject, surroundings)
    kept, dropped = _guarded(subject, changes, surroundings) if changes else ([], ())
    if dropped and not _final(subject, kept, surroundings):
        kept = []
    shown, asked = hints(subject, analysis, surroundings, most=max_hints, follow_up=follow_up)
    questions = (*questions, *asked)
    if kept:
        refinement = _proposed(draft, kept, dropped, shown, questions)
    elif dropped:
        refinement = Refinement("refused", _because(dropped), hints=shown, questions=questions)
    else:
        reason = "no changes suggested" + ("; something is unclear" if shown else "")
        refinement = Refinement("unchanged", reason, hints=shown, questions=questions)
    ordered = structure(subject)
    return refinement if ordered is None else msgspec.structs.replace(refinement, structure=ordered)


def _proposed(
    draft: str,
    kept: list[Change],
    dropped: tuple[str, ...],
    shown: tuple[Hint, ...],
    asked: tuple[Question, ...],
) -> Refinement:
    edits = tuple([Edit(change.start, change.end, change.text, change.reason) for change in kept])
    reasons = list(dict.fromkeys(change.reason for change in kept))
    reason = "; ".join(reasons[:4]) + (f"; {len(reasons) - 4} more" if len(reasons) > 4 else "")
    if dropped:
        reason += ". " + _because(dropped)
    return Refinement("proposed", reason, apply(draft, kept), edits, shown, asked)


def _because(dropped: tuple[str, ...]) -> str:
    return "Left out by the guard: " + "; ".join(dropped)


def _once(subject: Masked, surroundings: Surroundings) -> tuple[list[Change], tuple[Question, ...]]:
    grounding: list[Change] = []
    questions: tuple[Question, ...] = ()
    if surroundings is not NOTHING:
        named = any(entity.kind in TARGETS for entity in subject.entities)
        grounding, questions = ground(subject.prose, named, surroundings)
        if not grounding and not questions:
            grounding, questions = locate(subject, surroundings)
    changes = rewrite(subject)
    return (settle([*grounding, *changes]) if grounding else changes), questions


def _changes(subject: Masked, surroundings: Surroundings) -> tuple[list[Change], tuple[Question, ...]]:
    """Returns the changes of all passes as changes of the draft itself."""
    changes, questions = _once(subject, surroundings)
    if not changes:
        return [], questions
    for _ in range(PASSES - 1):
        more, _ = _once(Masked(apply(subject.text, changes)), surroundings)
        if not more:
            return changes, questions
        changes = compose(subject.text, changes, more)
    return [], questions


def compose(text: str, first: list[Change], second: list[Change]) -> list[Change]:
    """Returns changes of `text` that do what `first`, and then `second` on its result, would do."""
    pieces: list[Change] = []
    shift = 0
    spans: list[tuple[int, int, Change]] = []
    for change in first:
        start = change.start + shift
        spans.append((start, start + len(change.text), change))
        shift += len(change.text) - (change.end - change.start)
    after = apply(text, first)
    index = 0
    shift = 0
    for change in second:
        while index < len(spans) and spans[index][1] < change.start:
            pieces.append(spans[index][2])
            shift += len(spans[index][2].text) - (spans[index][2].end - spans[index][2].start)
            index += 1
        start, end = change.start - shift, change.end
        low, high = change.start, change.end
        reasons, kind = [change.reason], change.kind
        while index < len(spans) and spans[index][0] <= high:
            span_start, span_end, earlier = spans[index]
            start = min(start, earlier.start)
            low, high = min(low, span_start), max(high, span_end)
            shift += len(earlier.text) - (earlier.end - earlier.start)
            reasons.insert(0, earlier.reason)
            kind = earlier.kind
            index += 1
        end = high - shift
        merged = after[low : change.start] + change.text + after[change.end : high]
        pieces.append(Change(start, end, merged, "; ".join(dict.fromkeys(reasons)), kind))
    pieces += [span[2] for span in spans[index:]]
    return pieces


def _final(subject: Masked, kept: list[Change], surroundings: Surroundings) -> bool:
    """Says whether the draft with the changes that are kept would be left as it is.

    What the guard left out of a draft it may let pass once the rest is changed: that would be proposed next.
    """
    refined = Masked(apply(subject.text, kept))
    further, _ = _changes(refined, surroundings)
    return not further or not _guarded(refined, further, surroundings)[0]


def _guarded(
    subject: Masked, changes: list[Change], surroundings: Surroundings
) -> tuple[list[Change], tuple[str, ...]]:
    """Returns the changes that pass the guard: all, else the kinds that pass alone and together, else none."""
    verdict = guard.check(subject, apply(subject.text, changes), surroundings)
    if verdict.ok:
        return changes, ()
    kept: list[Change] = []
    dropped: list[str] = []
    for kind in dict.fromkeys(change.kind for change in changes):
        tried = [change for change in changes if change in kept or change.kind == kind]
        alone = guard.check(subject, apply(subject.text, tried), surroundings)
        if alone.ok:
            kept = tried
        else:
            dropped.append(f"{kind} ({alone.reasons[0]})")
    return kept, tuple(dropped)
