"""Open proposals for documents, and what becomes of each: kept, changed or undone.

A proposal counts as accepted when the document becomes exactly what it would make of it, whoever applied it. It is
decided when the document is saved or closed, or at once when it is as it was before. One that was not taken is not
decided: nobody has rejected it. A decision that the client reports itself counts instead.
"""

import json
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from operator import itemgetter

import msgspec
from lsprotocol import types

from anchorline.lsp.documents import Document
from anchorline.outcome import Decision, Outcome
from anchorline.plan import Addition

MOST_COMPARED = 20_000
"""Characters up to which texts are compared one by one."""
MOST_ACCEPTED = 32
"""Accepted proposals of one document that wait for their decision."""


class Offer(msgspec.Struct, frozen=True):
    """A proposal for a document: what stands before and after the draft, the draft as it was and as proposed.

    `additions` are those of the plan's that it adds; without them it is the plan's refinement, or its structure.
    """

    plan_id: str
    before: bytes
    after: bytes
    old: bytes
    new: bytes
    additions: tuple[Addition, ...] = ()
    is_structure: bool = False

    def is_original(self, data: bytes) -> bool:
        """Whether this is the document without the proposal."""
        return self._holds(data, self.old)

    def is_proposed(self, data: bytes) -> bool:
        """Whether this is the document with the proposal."""
        return self._holds(data, self.new)

    def _holds(self, data: bytes, draft: bytes) -> bool:
        length = len(self.before) + len(draft) + len(self.after)
        return len(data) == length and data == self.before + draft + self.after


class Accepted(msgspec.Struct):
    """A proposal that the document has taken in. `data` is the document as it was before the next one was accepted."""

    offer: Offer
    data: bytes | None = None


class Watched(msgspec.Struct):
    """The proposals for a document: those that can be accepted, and those that were, the last one at the end."""

    offers: list[Offer] = []
    accepted: list[Accepted] = []


class Proposals:
    """The open proposals by document. `decided` gets an outcome for each that was accepted."""

    def __init__(self, decided: Callable[[Outcome], None]) -> None:
        self._decided = decided
        self._documents: dict[str, Watched] = {}

    def offer(
        self,
        plan_id: str,
        document: Document,
        draft: tuple[int, int],
        edits: Sequence[types.TextEdit],
        additions: tuple[Addition, ...] = (),
        *,
        is_structure: bool = False,
    ) -> None:
        """Watches a proposal: edits of the document as it stands now, within the bytes of its draft.

        The proposals for an older text are no longer watched, unless they were accepted.
        """
        if not edits:
            return
        watched = self._documents.setdefault(document.uri, Watched())
        offer = Offer(plan_id, *_proposed(document, draft, edits), additions, is_structure)
        watched.offers = [
            other
            for other in watched.offers
            if other.is_original(document.data) and (other.new != offer.new or other.before != offer.before)
        ]
        watched.offers.append(offer)

    def changed(self, document: Document) -> None:
        """Looks at a document that has changed."""
        watched = self._documents.get(document.uri)
        if watched is None:
            return
        if watched.accepted and watched.accepted[-1].offer.is_original(document.data):
            self._decide(watched.accepted.pop().offer, document.data)
            if watched.accepted:
                watched.accepted[-1].data = None
            return
        offer = next((offer for offer in watched.offers if offer.is_proposed(document.data)), None)
        if offer is None or (watched.accepted and watched.accepted[-1].offer is offer):
            return
        if watched.accepted:
            watched.accepted[-1].data = offer.before + offer.old + offer.after
        watched.accepted = [*watched.accepted[1 - MOST_ACCEPTED :], Accepted(offer)]

    def settle(self, document: Document) -> None:
        """Decides about the proposals that were accepted, by what the document holds now."""
        watched = self._documents.get(document.uri)
        if watched is None:
            return
        accepted, watched.accepted = watched.accepted, []
        for each in accepted:
            self._decide(each.offer, document.data if each.data is None else each.data)

    def close(self, document: Document) -> None:
        """Decides about the proposals that were accepted, and forgets the others."""
        self.settle(document)
        self._documents.pop(document.uri, None)

    def drop(self, outcome: Outcome) -> None:
        """Stops watching the proposals whose decision the client has reported."""

        def is_reported(offer: Offer) -> bool:
            if offer.plan_id != outcome.plan_id:
                return False
            if offer.additions:
                return any(addition.id in outcome.additions for addition in offer.additions)
            return outcome.decision is not None

        for watched in self._documents.values():
            watched.offers = [offer for offer in watched.offers if not is_reported(offer)]
            watched.accepted = [each for each in watched.accepted if not is_reported(each.offer)]

    def _decide(self, offer: Offer, data: bytes) -> None:
        outcome = _of_additions(offer, data) if offer.additions else _of_refinement(offer, data)
        if outcome is not None:
            signals = {"observed": True, **({"structure": True} if offer.is_structure else {})}
            self._decided(msgspec.structs.replace(outcome, signals=signals))


def _proposed(
    document: Document, draft: tuple[int, int], edits: Sequence[types.TextEdit]
) -> tuple[bytes, bytes, bytes, bytes]:
    """Returns what stands before and after the draft, the draft, and what the edits make of it."""
    spans = [
        (document.offset(edit.range.start), document.offset(edit.range.end), edit.new_text.encode())
        for edit in edits
    ]
    spans.sort(key=itemgetter(0, 1))
    data, start, end = document.data, min(draft[0], spans[0][0]), max(draft[1], spans[-1][1])
    new, position = b"", start
    for low, high, text in spans:
        new += data[position:low] + text
        position = high
    return data[:start], data[end:], data[start:end], new + data[position:end]


def _of_refinement(offer: Offer, data: bytes) -> Outcome | None:
    """Returns what became of a refinement that was accepted; None where too much has changed to say."""
    kept = _kept(offer, data)
    if kept is None:
        return None
    if kept == offer.old:
        return Outcome(offer.plan_id, decision="rejected")
    if kept == offer.new:
        return Outcome(offer.plan_id, decision="accepted", edit_distance=0)
    distance = edit_distance(offer.new.decode("utf-8", "replace"), kept.decode("utf-8", "replace"))
    return Outcome(offer.plan_id, decision="modified", edit_distance=distance)


def _kept(offer: Offer, data: bytes) -> bytes | None:
    """Returns what stands where the draft stood, or None where too much has changed to say."""
    whole = len(data) >= len(offer.before) + len(offer.after)
    if whole and data.startswith(offer.before) and data.endswith(offer.after):
        return data[len(offer.before) : len(data) - len(offer.after)]
    return next((text for text in (offer.new, offer.old) if text and text in data), None)


def _of_additions(offer: Offer, data: bytes) -> Outcome:
    """Returns what became of additions that were accepted: each stands as it was proposed, another way, or no more."""
    kept = _kept(offer, data)
    text = (data if kept is None else kept).decode("utf-8", "replace")

    def stands(fact: str | None) -> bool:
        return fact is not None and (fact in text or json.dumps(fact)[1:-1] in text)  # a body's are escaped

    decisions: dict[str, Decision] = {
        addition.id: "accepted"
        if stands(addition.text)
        else "modified"
        if stands(addition.path)
        else "rejected"
        for addition in offer.additions
    }
    return Outcome(offer.plan_id, additions=decisions)


def edit_distance(proposed: str, kept: str) -> int:
    """Returns how many characters were replaced, inserted or deleted; of long texts their length, at most."""
    if max(len(proposed), len(kept)) > MOST_COMPARED:
        return max(len(proposed), len(kept))
    matcher = SequenceMatcher(None, proposed, kept, autojunk=False)
    return sum(max(j - i, m - k) for tag, i, j, k, m in matcher.get_opcodes() if tag != "equal")
