"""Open proposals for documents, and what becomes of each: kept, changed or undone.

A proposal counts as accepted when the document becomes exactly what it would make of it, whoever applied it. It is
decided when the document is saved, closed or refined again, or at once when it is as it was before. A decision
that the client reports itself counts instead.
"""

from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

import msgspec
from lsprotocol import types

from anchorline.lsp.documents import Document
from anchorline.outcome import Outcome

MOST_COMPARED = 20_000
"""Characters up to which texts are compared one by one."""


class Offer(msgspec.Struct):
    """A proposal for a document: what stands before and after the draft, the draft as it was and as proposed."""

    plan_id: str
    before: bytes
    after: bytes
    old: bytes
    new: bytes
    accepted: bool = False

    @property
    def original(self) -> bytes:
        """The document without the proposal."""
        return self.before + self.old + self.after

    @property
    def proposed(self) -> bytes:
        """The document with the proposal."""
        return self.before + self.new + self.after


class Proposals:
    """The open proposals by document. `decided` gets an outcome for each that was accepted."""

    def __init__(self, decided: Callable[[Outcome], None]) -> None:
        self._decided = decided
        self._offers: dict[str, Offer] = {}

    def offer(
        self, plan_id: str, document: Document, draft: tuple[int, int], edits: Sequence[types.TextEdit]
    ) -> None:
        """Watches a proposal: edits of the document as it stands now, within the bytes of its draft.

        The watch on an older proposal ends.
        """
        self.settle(document)
        self._offers.pop(document.uri, None)
        if edits:
            self._offers[document.uri] = _offer(plan_id, document, draft, edits)

    def changed(self, document: Document) -> None:
        """Looks at a document that has changed."""
        offer = self._offers.get(document.uri)
        if offer is None:
            return
        if document.data == offer.proposed:
            offer.accepted = True
        elif document.data == offer.original and offer.accepted:
            self.settle(document)

    def settle(self, document: Document) -> None:
        """Decides about a proposal that was accepted, by what the document holds now."""
        offer = self._offers.get(document.uri)
        if offer is None or not offer.accepted:
            return
        del self._offers[document.uri]
        kept = _kept(offer, document.data)
        if kept is None:
            return
        outcome = Outcome(offer.plan_id, decision="accepted", edit_distance=0, signals={"observed": True})
        if kept == offer.old:
            outcome = msgspec.structs.replace(outcome, decision="rejected", edit_distance=None)
        elif kept != offer.new:
            distance = edit_distance(offer.new.decode("utf-8", "replace"), kept.decode("utf-8", "replace"))
            outcome = msgspec.structs.replace(outcome, decision="modified", edit_distance=distance)
        self._decided(outcome)

    def drop(self, plan_id: str) -> None:
        """Stops watching a proposal whose decision the client has reported."""
        for uri, offer in list(self._offers.items()):
            if offer.plan_id == plan_id:
                del self._offers[uri]


def _offer(
    plan_id: str, document: Document, draft: tuple[int, int], edits: Sequence[types.TextEdit]
) -> Offer:
    spans = sorted(
        (document.offset(edit.range.start), document.offset(edit.range.end), edit.new_text.encode())
        for edit in edits
    )
    data, start, end = document.data, min(draft[0], spans[0][0]), max(draft[1], spans[-1][1])
    new, position = b"", start
    for low, high, text in spans:
        new += data[position:low] + text
        position = high
    return Offer(plan_id, data[:start], data[end:], data[start:end], new + data[position:end])


def _kept(offer: Offer, data: bytes) -> bytes | None:
    """Returns what stands where the draft stood, or None where too much has changed to say."""
    whole = len(data) >= len(offer.before) + len(offer.after)
    if whole and data.startswith(offer.before) and data.endswith(offer.after):
        return data[len(offer.before) : len(data) - len(offer.after)]
    return next((text for text in (offer.new, offer.old) if text and text in data), None)


def edit_distance(proposed: str, kept: str) -> int:
    """Returns how many characters were replaced, inserted or deleted; of long texts their length, at most."""
    if max(len(proposed), len(kept)) > MOST_COMPARED:
        return max(len(proposed), len(kept))
    matcher = SequenceMatcher(None, proposed, kept, autojunk=False)
    return sum(max(j - i, m - k) for tag, i, j, k, m in matcher.get_opcodes() if tag != "equal")
