"""The response cache: which requests may be answered by what was answered before, and when two are the same.

A request may where it has no tools and asks for temperature 0, so that the same answer would do, or where its client
says so by the header ``anchorline-cache: on``. Two are equal where everything is that can change the answer: upstream,
path, key and other headers, every member of the body but those that only label it (of the system prompt, what is
rendered of it). Two are near where all that holds but for the spaces and known misspellings of the newest instruction
(`normal`).
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import blake2b
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

import msgspec

from anchorline import config
from anchorline.gateway.upstream import CONNECTION, MARK, Upstream
from anchorline.gateway.usage import Meter, header
from anchorline.prompt import formats, half_pairs
from anchorline.prompt.formats import Memory
from anchorline.prompt.model import Format, PromptError
from anchorline.prompt.unrendered import system
from anchorline.refine.mask import entities
from anchorline.refine.words import misspellings
from anchorline.store import answers
from anchorline.store.answers import AnswerFile, Kept, KeptAnswer, QuestionHashes
from anchorline.store.database import StoreError

Done = TypeVar("Done")
Buffer = bytes | memoryview
DRAFT_CHARS = 4000
"""A longer instruction is only equal to itself."""
BODY_BYTES = 4 << 20
"""A larger request is not looked at, and a larger answer not kept."""

_LABELS = frozenset(
    {"metadata", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier"}
)
"""Members of a body that name, bill or place a request, and don't change its answer."""
_TOOLS = ("tools", "functions", "web_search_options", "mcp_servers", "container")
_STATEFUL = ("background", "conversation")
"""Members whose requests do more at the provider than answer."""
_OWN_HEADERS = CONNECTION | {
    b"host",
    b"content-length",
    b"expect",
    b"user-agent",
    b"traceparent",
    b"tracestate",
    b"baggage",
    b"x-request-id",
    b"x-client-request-id",
    b"x-claude-code-session-id",
    b"idempotency-key",
    MARK,
}
"""Headers that tell requests apart and not what they ask. Every other one counts, the key's among them."""
_LIBRARY = b"x-stainless-"
_KEYS = (b"authorization", b"x-api-key", b"x-goog-api-key")
_EMPTY = (b"null", b"[]", b"{}", b"false")
_LEFT_OUT = (b"date", b"set-cookie", b"content-length")
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_SPACES = re.compile(r"(?<![ \t\n])[ \t]{2,}(?![ \t\n])|(?<![ \t\n])\t")
_LONG_WORD = re.compile(r"(?<![\w'-])[a-z]{8,}(?![\w'-])")
_ABOUT_SPELLING = re.compile(r"spel|typo|word|letter|liter|written|verbatim|exact|string", re.IGNORECASE)

log = logging.getLogger(__name__)


class ResponseCache:
    """The answers that are kept. Used on the event loop; whatever fails here, the provider is asked.

    `report` tells the developer once where the file can't be used.
    """

    def __init__(self, settings: config.Answers, path: Path, report: Callable[[str], None]) -> None:
        self._bounds = answers.Bounds(settings.entries, settings.megabytes << 20, settings.hours * 3600)
        self._near = settings.reuse == "near"
        self._report = report
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="answers")
        self._file: AnswerFile | None = None
        self._path = path
        self._memory = Memory()
        self._told = False

    async def start(self) -> None:
        """Opens the file."""
        self._file = await self._in_thread(lambda: AnswerFile(self._path))
        if self._near:  # what it compiles, no request has to wait for
            await self._in_thread(lambda: normal("Please look at it."))

    async def find(
        self,
        upstream: Upstream,
        path: str,
        body_format: Format,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes,
        now: float,
    ) -> tuple[QuestionHashes, Kept | None, str] | None:
        """Returns what was asked, the answer that is kept to it, and how it was found (`exact`, `near`).

        None where the request has to be answered by the provider and its answer is not to be kept.
        """
        file = self._file
        members = asked(headers, body) if file is not None else None
        if file is None or members is None:
            return None

        def find() -> tuple[QuestionHashes, Kept | None, str]:
            oldest = now - self._bounds.seconds
            asks = RequestKey(file.key, upstream, path, headers, members)
            kept = file.find("exact", asks.exact, oldest)
            if kept is not None or not self._near:
                return QuestionHashes(asks.exact), kept, "exact"
            near = asks.near(body, body_format, self._memory)
            kept = file.find("near", near, oldest) if near is not None else None
            return QuestionHashes(asks.exact, near), kept, "near"

        return await self._in_thread(find)

    def used(self, kept: Kept) -> None:
        """Counts that an answer was given again. Nobody waits for that."""
        if self._file is not None:
            self._pool.submit(self._tried, partial(self._file.used, kept.exact))

    def keep(self, keeping: "AnswerCopy", headers: Iterable[tuple[bytes, bytes]], meter: Meter) -> None:
        """Keeps an answer that has ended, if it is complete. Nobody waits for that."""
        made = keeping.complete(headers, meter)
        if self._file is not None and made is not None:
            self._pool.submit(
                self._tried, partial(self._file.keep, keeping.question, *made, bounds=self._bounds)
            )

    async def end(self) -> None:
        """Closes the file once everything is written."""
        if self._file is not None:
            file, self._file = self._file, None
            await self._in_thread(file.close)
        self._pool.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], Done]) -> Done | None:
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(self._tried, work))

    def _tried(self, work: Callable[[], Done]) -> Done | None:
        try:
            return work()
        except StoreError as error:
            if not self._told:
                self._told = True
                self._report(f"the response cache can't be used, requests go to the provider: {error}")
        except Exception as error:  # noqa: BLE001  (fail open: the provider can still be asked)
            log.warning("the response cache failed (%s)", type(error).__name__)
        return None


class AnswerCopy:
    """An answer on its way to its client, taken along to be kept if it turns out complete."""

    def __init__(self, question: QuestionHashes) -> None:
        self.question = question
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Takes in bytes of the answer."""
        self._size += len(chunk)
        if self._size <= BODY_BYTES:
            self._parts.append(chunk)
        else:
            self._parts.clear()

    def complete(
        self, headers: Iterable[tuple[bytes, bytes]], meter: Meter
    ) -> tuple[KeptAnswer, bytes] | None:
        """Returns the answer, None where it is not one to give again: broken off, an error in a stream, too large."""
        if not meter.complete or not self._parts:
            return None
        billed = meter.billed
        kept = tuple((name, value) for name, value in headers if name.lower() not in _LEFT_OUT)
        return KeptAnswer(kept, billed.model, billed.usage), b"".join(self._parts)


def asked(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> dict[str, msgspec.Raw] | None:
    """Returns the members of a request that may be answered from the cache, None for any other."""
    mark = header(headers, MARK)
    if mark == "off" or len(body) > BODY_BYTES:
        return None
    try:
        members = half_pairs.decoded(_members, body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if any(_says(members, name) for name in _STATEFUL):
        return None
    if mark != "on" and (
        any(_says(members, name) for name in _TOOLS) or not _zero(bytes(members.get("temperature", b"1")))
    ):
        return None
    return members


def _says(members: Mapping[str, msgspec.Raw], name: str) -> bool:
    return name in members and bytes(members[name]).strip() not in _EMPTY


def _zero(number: bytes) -> bool:
    try:
        return float(number) == 0.0
    except ValueError:
        return False


class RequestKey:
    """The hashes of what a request asks. With `key`, who has the file can't confirm a guess at a provider's key."""

    def __init__(
        self,
        key: bytes,
        upstream: Upstream,
        path: str,
        headers: Iterable[tuple[bytes, bytes]],
        members: Mapping[str, msgspec.Raw],
    ) -> None:
        self._key = key
        self._common = [
            upstream.base.encode(),
            (upstream.key or "").encode(),
            path.encode(),
            *_counting(headers),
        ]
        self._parts: dict[str, Buffer] = {
            name: b"\n".join(system(value)) if name == "system" else memoryview(value)
            for name, value in sorted(members.items())
            if name not in _LABELS
        }
        self.exact = _hash(key, [b"exact", *self._common, *_flat(self._parts)])

    def near(self, body: bytes, body_format: Format, memory: Memory) -> bytes | None:
        """Returns the hash of the context and of the draft's normal form, None where there is no (short) draft."""
        try:
            draft = formats.read(body, format=body_format, memory=memory).draft
        except PromptError:
            return None
        if draft is None or len(draft.text) > DRAFT_CHARS:
            return None
        for name in ("messages", "input"):
            turns = bytes(self._parts.get(name, b""))
            start = body.find(turns) if turns else -1
            if start >= 0 and start <= draft.start and draft.end <= start + len(turns):
                before, after = body[start : draft.start], body[draft.end : start + len(turns)]
                context = _flat(self._parts | {name: b"", "before": before, "after": after})
                instruction = normal(draft.text).encode("utf-8", "surrogatepass")
                return _hash(self._key, [b"near", *self._common, *context, instruction])
        return None


def _counting(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    # By name alone: of a header that is sent twice the first value counts somewhere, and the last elsewhere.
    pairs = sorted(((name.lower(), value) for name, value in headers), key=itemgetter(0))
    # Who sends a key is known by it: the cookies are those of a network in front of the provider, and change.
    ignored = _OWN_HEADERS | ({b"cookie"} if any(name in _KEYS for name, _ in pairs) else set())
    for name, value in pairs:
        if name not in ignored and not name.startswith(_LIBRARY):
            yield from (name, value)


def normal(text: str) -> str:
    """Returns an instruction's normal form: two with the same one ask for the same.

    Runs of spaces inside a line count as one, and a frequent misspelling of a long word is the word, unless spelling is
    what the text is about. Code, paths, names and quotes stay as they are. Case, punctuation and politeness count:
    "Polish" and "polish" are two questions, and so are "just the word Please" and "just the word".
    """
    text = text.strip(" \t\r\n")
    correcting = _ABOUT_SPELLING.search(text) is None
    parts: list[str] = []
    position = 0
    for entity in entities(text):
        parts += (_prose(text[position : entity.start], correcting=correcting), entity.text)
        position = entity.end
    parts.append(_prose(text[position:], correcting=correcting))
    return "".join(parts)


def _prose(text: str, *, correcting: bool) -> str:
    text = _SPACES.sub(" ", text)
    return _LONG_WORD.sub(lambda word: misspellings().get(word[0], word[0]), text) if correcting else text


def _flat(parts: Mapping[str, Buffer]) -> list[Buffer]:
    return [
        piece for name, value in parts.items() for piece in (name.encode("utf-8", "surrogatepass"), value)
    ]


def _hash(key: bytes, parts: Iterable[Buffer]) -> bytes:
    made = blake2b(digest_size=32, key=key)
    for part in parts:
        made.update(len(part).to_bytes(8, "big"))
        made.update(part)
    return made.digest()
