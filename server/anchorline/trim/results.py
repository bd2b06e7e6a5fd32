"""Tool results made shorter, losslessly: which bytes of a prompt are replaced by which, and how to restore them.

Only what is new is touched: bytes that the provider holds already cost a tenth. What a tool result was sent as, it is
sent as again in every later request of its conversation, or all that follows would be paid anew (`Shortened.keep`).
"""

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import Any

import msgspec
from xxhash import xxh3_64_digest

from anchorline.plan import TrimKind
from anchorline.prompt import layout
from anchorline.prompt.model import Prompt, Segment
from anchorline.trim.calls import Origin
from anchorline.trim.forms import KINDS, restored, shortened
from anchorline.trim.kinds import Kind
from anchorline.trim.marks import BEGINNING, read, written
from anchorline.trim.repeats import EarlierLines

WORTH_BYTES = 200
"""Tool results of fewer bytes are left alone."""
FLOOR_TOKENS = 8192
"""Shorter prompts are left alone: made shorter still, they might fall below what a provider caches at all."""
REMEMBERED = 4096
CONVERSATIONS = 8
_DELETABLE = b'"cache_reference"'
"""By this member of a tool result a client may have it deleted from the cache later."""
_STORED = re.compile(rb'"type"\s*:\s*"(?:compaction|item_reference)')
"""Items of the Responses API."""


class Piece(msgspec.Struct, frozen=True, gc=False):
    """The bytes `start:end` of a segment, counted from its start, are sent as `text`: a JSON string."""

    start: int
    end: int
    text: bytes


class Trimmed(msgspec.Struct, frozen=True):
    """A tool result that is sent shorter: segment `segment` in `pieces`. `new`: for the first time in this form."""

    segment: int
    pieces: tuple[Piece, ...]
    kinds: tuple[TrimKind, ...]
    digest: bytes
    new: bool

    @property
    def saved(self) -> int:
        """The bytes that are saved."""
        return sum(piece.end - piece.start - len(piece.text) for piece in self.pieces)


class _SentText(msgspec.Struct, frozen=True, gc=False):
    """Text `number` of a tool result, a JSON string with the digest `was`, is sent as `piece`.

    Where it stands may differ from request to request, since clients put a cache marker before it.
    """

    number: int
    was: bytes
    piece: Piece


class _Form(msgspec.Struct, frozen=True, gc=False):
    """The form in which a tool result is sent. No texts: as it came."""

    texts: tuple[_SentText, ...]
    kinds: tuple[TrimKind, ...]
    digest: bytes

    def placed(self, content: bytes) -> tuple[Piece, ...] | None:
        """Returns where to replace what in a tool result; None where it holds something else."""
        spans: list[tuple[int, int]] | None = None
        pieces = []
        for text in self.texts:
            piece = text.piece
            if xxh3_64_digest(content[piece.start : piece.end]) != text.was:
                spans = literals(content) if spans is None else spans
                start, end = spans[text.number] if text.number < len(spans) else (0, 0)
                if xxh3_64_digest(content[start:end]) != text.was:
                    return None
                piece = Piece(start, end, piece.text)
            pieces.append(piece)
        return tuple(pieces)


class Shortened:
    """Shortens the tool results of conversations, the same way for ever.

    `digests` are the forms that earlier processes sent: the prefix hash up to a tool result → the digest of its form.
    May be used in any thread.
    """

    def __init__(self, digests: Mapping[bytes, bytes] | None = None) -> None:
        self._digests = dict(digests or {})
        self._forms: OrderedDict[tuple[bytes, bytes], _Form] = OrderedDict()
        self._earlier: OrderedDict[tuple[bytes, bytes], EarlierLines] = OrderedDict()
        self._lock = Lock()

    def shorten(self, prompt: Prompt, warm: int) -> list[Trimmed]:
        """Returns the tool results of `prompt` that are sent shorter.

        Those up to segment `warm` are if they were sent so (`keep`); the provider holds no later ones, so these may be.
        Nothing is kept of it but what makes the next request of the conversation faster.
        """
        with self._lock:
            return list(_Shortening(prompt, warm, self._digests, self._forms, self._earlier).trimmed())

    def learn(self, digests: Mapping[bytes, bytes]) -> bool:
        """Takes in the forms that another process has sent; returns whether there are new ones."""
        with self._lock:
            new = any(self._digests.get(prefix) != form for prefix, form in digests.items())
            self._digests.update(digests)
        return new

    def keep(self, prompt: Prompt, trimmed: Sequence[Trimmed]) -> dict[bytes, bytes]:
        """Notes what is sent from now on; returns what is new of it, as `digests` takes it."""
        made = {prompt.segments[result.segment].prefix: result.digest for result in trimmed if result.new}
        with self._lock:
            self._digests.update(made)
        return made


class _Shortening:
    """One request on its way through `Shortened`.

    What a tool result is sent as follows from the prompt up to it and from what the earlier results are sent as, which
    a running digest stands for: `_sent`.
    """

    def __init__(
        self,
        prompt: Prompt,
        warm: int,
        digests: Mapping[bytes, bytes],
        forms: OrderedDict[tuple[bytes, bytes], _Form],
        memory: OrderedDict[tuple[bytes, bytes], EarlierLines],
    ) -> None:
        self._prompt = prompt
        self._digests = digests
        self._forms = forms
        self._memory = memory
        self._warm = warm
        self._small = prompt.tokens < FLOOR_TOKENS
        self._results = [i for i, segment in enumerate(prompt.segments) if segment.kind == "tool_result"]
        self._applied: list[_Form | None] = []
        self._states: list[tuple[bytes, bytes]] = []
        self._whole = prompt.self_contained and not any(
            _stored(prompt, segment) for segment in prompt.segments
        )
        """Whether a result may point to another one: the model gets all of them."""
        self._sent = b"" if self._whole else b"alone"
        self._earlier: EarlierLines | None = None
        self._taken = 0
        """How many results are in `_earlier`."""

    def trimmed(self) -> Iterator[Trimmed]:
        """Yields the results that are sent shorter, in order."""
        prompt = self._prompt
        for index in self._results:
            segment = prompt.segments[index]
            digest = self._digests.get(segment.prefix)
            form = pieces = None
            if digest is not None or index > self._warm:
                form = self._form(index, segment, digest)
                if index <= self._warm and digest != form.digest:
                    # What the provider holds can't be sent again, so nothing from here on is held.
                    self._warm = index - 1
                pieces = form.placed(self._load(segment.start, segment.end)) if form.texts else None
            if form is not None and pieces:
                self._sent = xxh3_64_digest(self._sent + form.digest)
                yield Trimmed(index, pieces, form.kinds, form.digest, new=digest != form.digest)
            self._applied.append(form if pieces else None)
            self._states.append((segment.prefix, self._sent))
        if self._earlier is not None and self._taken:
            self._memory[self._states[self._taken - 1]] = self._earlier
            _bound(self._memory, CONVERSATIONS)

    @cached_property
    def _load(self) -> Callable[[int, int], bytes]:
        """The function that returns bytes of the results.

        A session file is opened once for all of them: it may be compressed.
        """
        load, segments = self._prompt.load, [self._prompt.segments[index] for index in self._results]
        if self._prompt.format not in ("claude-code", "codex"):
            return load
        first = min(segment.start for segment in segments)
        source = load(first, max(segment.end for segment in segments))
        return lambda start, end: source[start - first : end - first]

    def _form(self, index: int, segment: Segment, digest: bytes | None) -> _Form:
        """Returns the form of the next result, decided now or before."""
        state = segment.prefix, self._sent
        form = self._forms.get(state)
        if form is not None:
            self._forms.move_to_end(state)
            return form
        content = self._load(segment.start, segment.end)
        if self._small and digest is None:
            return (
                _made(content, (), Origin(self._prompt, index))
                if BEGINNING.encode() in content
                else AS_IT_CAME
            )
        kinds: tuple[Kind, ...] = KINDS
        if self._whole:
            self._take(len(self._applied))
            kinds = (*KINDS, self._earlier) if self._earlier is not None else KINDS
        form = _made(content, kinds, Origin(self._prompt, index))
        self._forms[state] = form
        _bound(self._forms, REMEMBERED)
        return form

    def _take(self, count: int) -> None:
        """Takes the first `count` results, as they are sent, into what a later one may point to."""
        if self._earlier is None:
            self._taken = next((n for n in range(count, 0, -1) if self._states[n - 1] in self._memory), 0)
            state = self._states[self._taken - 1] if self._taken else None
            self._earlier = self._memory.pop(state) if state is not None else EarlierLines()
        for number in range(self._taken, count):
            segment = self._prompt.segments[self._results[number]]
            content = self._load(segment.start, segment.end)
            form = self._applied[number]
            sent = {text.number: text.piece.text for text in form.texts} if form is not None else {}
            texts = [sent.get(n, content[start:end]) for n, (start, end) in enumerate(literals(content))]
            self._earlier.add([read(decoded(text)) for text in texts], stays=_DELETABLE not in content)
        self._taken = count


def _stored(prompt: Prompt, segment: Segment) -> bool:
    """Says whether a segment stands for items that the provider keeps, how many nobody here knows."""
    if prompt.format != "openai-responses" or segment.kind != "other":
        return False
    return _STORED.search(prompt.load(segment.start, segment.end)) is not None


AS_IT_CAME = _Form((), (), b"")


def restored_texts(prompt: Prompt) -> dict[int, list[str]]:
    """Returns what the tools gave, from a prompt as it was sent: the texts of each tool result, by its segment.

    What was rendered as a terminal shows it comes with the mark that says so, since that can't be undone.
    """
    earlier = EarlierLines()
    kinds = (*KINDS, earlier)
    texts = {}
    for index, segment in enumerate(prompt.segments):
        if segment.kind == "tool_result":
            content = prompt.load(segment.start, segment.end)
            sent = [read(decoded(content[start:end])) for start, end in literals(content)]
            texts[index] = [written(restored(lines, kinds)) for lines in sent]
            earlier.add(sent)
    return texts


def _made(content: bytes, kinds: Sequence[Kind], origin: Origin) -> _Form:
    """Decides on the form of a tool result."""
    texts: list[_SentText] = []
    used: dict[TrimKind, None] = {}
    for number, (start, end) in enumerate(literals(content)):
        literal = content[start:end]
        try:
            text = msgspec.json.decode(literal, type=str)
        except (
            msgspec.MsgspecError,
            UnicodeDecodeError,
        ):  # half a surrogate pair, which can't be written again
            continue
        sent, by = shortened(text, kinds if len(content) >= WORTH_BYTES else (), origin)
        if sent != text:
            texts.append(
                _SentText(number, xxh3_64_digest(literal), Piece(start, end, msgspec.json.encode(sent)))
            )
            used |= dict.fromkeys(by)
    if not texts:
        return AS_IT_CAME
    digest = xxh3_64_digest(b"".join(b"%d:%b" % (text.number, text.piece.text) for text in texts))
    return _Form(tuple(texts), tuple(used), digest)


def _bound(memory: OrderedDict[tuple[bytes, bytes], Any], most: int) -> None:
    while len(memory) > most:
        memory.popitem(last=False)


def literals(content: bytes) -> list[tuple[int, int]]:
    """Returns where the texts of a tool result stand: JSON strings of Anthropic's and OpenAI's forms of it.

    None of those that the provider's own tools gave, which it may compare with what it has sent.
    """
    spans: list[tuple[int, int]] = []
    for member in layout.members(content, 0):
        if member.key == b'"type"' and content[member.start : member.end].endswith(b'_tool_result"'):
            return []
        if member.key not in (b'"content"', b'"output"'):
            continue
        first = content[member.start : member.start + 1]
        if first == b'"':
            spans = [(member.start, member.end)]
        elif first == b"[":
            spans = [
                text for start, _ in layout.elements(content, member.start) for text in _text(content, start)
            ]
    return spans


def _text(content: bytes, start: int) -> list[tuple[int, int]]:
    if content[start : start + 1] != b"{":
        return []
    return [
        (member.start, member.end)
        for member in layout.members(content, start)
        if member.key == b'"text"' and content[member.start : member.start + 1] == b'"'
    ]


def decoded(literal: bytes) -> str:
    """Returns a JSON string's text. It may have half a surrogate pair, as JavaScript lets pass."""
    try:
        return msgspec.json.decode(literal, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return str(json.loads(literal))
