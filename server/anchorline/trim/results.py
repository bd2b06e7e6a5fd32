"""Tool results made shorter, losslessly: which bytes of a prompt are replaced by which.

Only what is new is touched: bytes that the provider holds already cost a tenth. What a tool result was sent as, it is
sent as again in every later request of its conversation, or all that follows would be paid anew (`Shortened.known`).
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import msgspec
from xxhash import xxh3_64_digest

from anchorline.prompt import layout
from anchorline.prompt.model import Prompt, Segment
from anchorline.trim.repeats import Repeats
from anchorline.trim.terminal import shown

WORTH_BYTES = 200
"""Tool results of fewer bytes are left alone."""
SAVED_BYTES = 60
"""What a change must save, to be worth it."""
FLOOR_TOKENS = 8192
"""Shorter prompts are left alone: made shorter still, they might fall below what a provider caches at all."""
REMEMBERED = 4096
CONVERSATIONS = 8


class Piece(msgspec.Struct, frozen=True, gc=False):
    """The bytes `start:end` of a segment, counted from its start, are sent as `text`: a JSON string."""

    start: int
    end: int
    text: bytes


class Trimmed(msgspec.Struct, frozen=True):
    """A tool result that is sent shorter: segment `segment` in `pieces`. `new`: for the first time."""

    segment: int
    pieces: tuple[Piece, ...]
    new: bool

    @property
    def saved(self) -> int:
        """How many bytes are saved."""
        return sum(piece.end - piece.start - len(piece.text) for piece in self.pieces)


class Shortened:
    """Shortens the tool results of conversations, the same way for ever. Used in one thread at a time.

    `known` are the changes that earlier processes made: the prefix hash up to a tool result → the digest of what it was
    sent as.
    """

    def __init__(self, known: Mapping[bytes, bytes] | None = None) -> None:
        self._known = dict(known or {})
        self._pieces: OrderedDict[bytes, tuple[Piece, ...]] = OrderedDict()
        self._repeats: OrderedDict[bytes, Repeats] = OrderedDict()

    def shorten(self, prompt: Prompt, warm: int) -> list[Trimmed]:
        """Return the tool results of `prompt` that are sent shorter.

        Those up to segment `warm` are if they were before; the provider holds no later ones, so these may be.
        """
        segments = prompt.segments
        results = [i for i, segment in enumerate(segments) if segment.kind == "tool_result"]
        small = prompt.tokens < FLOOR_TOKENS
        for number, index in enumerate(results):
            prefix = segments[index].prefix
            undecided = prefix in self._known or (index > warm and not small)
            if undecided and prefix not in self._pieces:
                self._decide(prompt, results, number, warm)
                break
        found = []
        for index in results:
            prefix = segments[index].prefix
            pieces = self._pieces.get(prefix)
            if pieces:
                self._pieces.move_to_end(prefix)
                found.append(Trimmed(index, pieces, new=self._known.get(prefix) != digest(pieces)))
        return found

    def keep(self, prompt: Prompt, trimmed: Sequence[Trimmed]) -> dict[bytes, bytes]:
        """Note what is sent from now on; return what is new of it, as `known` takes it."""
        made = {prompt.segments[one.segment].prefix: digest(one.pieces) for one in trimmed if one.new}
        self._known.update(made)
        return made

    def _decide(self, prompt: Prompt, results: Sequence[int], first: int, warm: int) -> None:
        """Decide on the tool results from the one of number `first` on.

        What a later result points to are lines of an earlier one as it is sent, so that all after it are decided anew;
        the provider holds none of them either.
        """
        segments = prompt.segments
        upto = next((n for n in range(first - 1, -1, -1) if segments[results[n]].prefix in self._repeats), -1)
        repeats = self._repeats.pop(segments[results[upto]].prefix) if upto >= 0 else Repeats()
        for number, index in enumerate(results[upto + 1 :], upto + 1):
            segment = segments[index]
            content = prompt.load(segment.start, segment.end)
            texts = [(start, end, _decoded(content[start:end])) for start, end in literals(content)]
            if number >= first:
                made = self._made(segment, texts, repeats, fresh=index > warm)
                if made is not None:
                    self._pieces[segment.prefix] = made
                    self._pieces.move_to_end(segment.prefix)
            sent = {piece.start: piece.text for piece in self._pieces.get(segment.prefix, ())}
            repeats.add([_decoded(sent[start]) if start in sent else text for start, _, text in texts])
        self._repeats[segments[results[-1]].prefix] = repeats
        for memory, most in ((self._pieces, REMEMBERED), (self._repeats, CONVERSATIONS)):
            while len(memory) > most:
                memory.popitem(last=False)

    def _made(
        self, segment: Segment, texts: Sequence[tuple[int, int, str]], repeats: Repeats, *, fresh: bool
    ) -> tuple[Piece, ...] | None:
        """Return the form in which a tool result is sent; None where it is left as it is because it was sent so."""
        known = self._known.get(segment.prefix)
        if known is None and not fresh:
            return None
        pieces = []
        for start, end, text in texts if segment.size >= WORTH_BYTES else ():
            encoded = msgspec.json.encode(repeats.without(shown(text)))
            if end - start - len(encoded) >= SAVED_BYTES:
                pieces.append(Piece(start, end, encoded))
        made = tuple(pieces)
        return made if fresh or known == digest(made) else ()


def digest(pieces: Sequence[Piece]) -> bytes:
    """Return what identifies the form in which a tool result is sent."""
    return xxh3_64_digest(b"".join(b"%d:%b" % (piece.start, piece.text) for piece in pieces))


def literals(content: bytes) -> list[tuple[int, int]]:
    """Return where the texts of a tool result stand: JSON strings of Anthropic's and OpenAI's forms of it."""
    found: list[tuple[int, int]] = []
    for member in layout.members(content, 0):
        if member.key not in (b'"content"', b'"output"'):
            continue
        first = content[member.start : member.start + 1]
        if first == b'"':
            found = [(member.start, member.end)]
        elif first == b"[":
            found = [
                text for start, _ in layout.elements(content, member.start) for text in _text(content, start)
            ]
    return found


def _text(content: bytes, start: int) -> list[tuple[int, int]]:
    if content[start : start + 1] != b"{":
        return []
    return [
        (member.start, member.end)
        for member in layout.members(content, start)
        if member.key == b'"text"' and content[member.start : member.start + 1] == b'"'
    ]


def _decoded(literal: bytes) -> str:
    """Return a JSON string's text; an empty one where it has half a surrogate pair, so that it is left as it is."""
    try:
        return msgspec.json.decode(literal, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
