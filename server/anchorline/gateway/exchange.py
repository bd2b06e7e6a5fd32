"""One request with a prompt: what came, what was sent for it, and how it was answered."""

import re
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from urllib.parse import unquote

import aiohttp
import msgspec

from anchorline.gateway.credential import Credential
from anchorline.gateway.refusals import REFUSING, REFUSING_MODEL, Change, Conversation, Refusal
from anchorline.gateway.splice import ChangedBody
from anchorline.gateway.usage import Meter
from anchorline.plan import CachePlan, Plan
from anchorline.prompt.model import Format, Prompt
from anchorline.route.choose import Course
from anchorline.trim.results import Trimmed

ADOPTED = b"the answer names this model, and a client may go on with it, as claude --continue does"
"""Said with a route: what is sent is not the client's choice, but what comes back may become it."""

OK = 200
_GEMINI = re.compile(r"/(?:models|tunedModels)/([^/:]+):(?:generateContent|streamGenerateContent)\Z")
"""Where Gemini takes prompts (ai.google.dev/api/generate-content). Vertex AI has more before it, and the same end."""
Send = Callable[[bytes], AbstractAsyncContextManager[aiohttp.ClientResponse]]


def format_of(upstream: str, path: str) -> Format | None:
    """Returns the format of the bodies that are sent to a path, or None where they are no prompts."""
    path = path.partition("?")[0].rstrip("/")
    if upstream == "anthropic":
        return "anthropic" if path.endswith("/v1/messages") else None
    if upstream == "gemini" and _GEMINI.search(path):
        return "gemini"
    if path.endswith("/chat/completions"):
        return "openai-chat"
    return "openai-responses" if path.endswith("/responses") else None


def counted(upstream: str, path: str) -> Format | None:
    """Returns the format of the bodies whose tokens are counted at a path, or None where none are."""
    path, _, last = path.partition("?")[0].rstrip("/").rpartition("/")
    endings = {"anthropic": "count_tokens", "openai": "input_tokens"}
    return format_of(upstream, path) if last == endings.get(upstream) else None


def model_of(path: str) -> str | None:
    """Returns the model that a path names, as Gemini's do; None where the body does."""
    match = _GEMINI.search(path.partition("?")[0].rstrip("/"))
    return unquote(match[1]) if match else None


class Sender(msgspec.Struct, frozen=True):
    """Who sends a request: its `client` (User-Agent), the `session` that its headers name, its kind of credential.

    `model` is what it asks for, where its path says that.
    `run` is the id of the run of `anchorline run` that it is of, empty where it is of none.
    """

    client: str = ""
    session: str | None = None
    credential: Credential = "none"
    model: str | None = None
    run: str = ""


class PlannedRequest(msgspec.Struct, frozen=True):
    """A request's prompt and plan, and what is sent in its place.

    `route` is the model, where it is another one; `local` says that it is one of the local tier. `cache` is what is to
    be expected of the cache by what is sent, `untouched` by what the client has sent, where that is. `course` is how a
    conversation goes on that may be routed.
    """

    prompt: Prompt
    plan: Plan
    changed: ChangedBody
    trims: tuple[Trimmed, ...] = ()
    warning: str = ""
    route: str = ""
    local: bool = False
    cache: CachePlan | None = None
    untouched: CachePlan | None = None
    course: Course | None = None


class Exchange:
    """One request with a prompt, on its way. Used on the event loop only; `at` is its start in epoch seconds.

    `may` are the kinds of change that may be made; `held` says why there are none, where nothing else is done with it
    either. `planned` is what it is sent by, None where it is sent as it came, and `reason` says why. `refusal` is the
    answer to a changed request that was not taken, with what it was sent by. `send` sends another body where it went,
    with its headers.
    """

    def __init__(
        self,
        body_format: Format,
        body: bytes,
        at: float,
        sender: Sender,
        may: frozenset[Change] = frozenset(),
        held: str = "",
    ) -> None:
        self.format: Format = body_format
        self.body = body
        self.at = at
        self.sender = sender
        self.may = may
        self.status = 0
        self.request_id = ""
        self.first_byte_s: float | None = None
        self.seconds = 0.0
        self.meter: Meter | None = None
        self.planned: PlannedRequest | None = None
        self.reason = held
        self.refusal: tuple[PlannedRequest, Refusal] | None = None
        self.send: Send | None = None
        self._clock = time.perf_counter()

    @property
    def route(self) -> str:
        """The model that the request was sent to in the place of its own, empty where it was not."""
        return self.planned.route if self.planned is not None else ""

    @property
    def local(self) -> bool:
        """Whether it is sent to a model of the local tier in the place of its own."""
        return self.planned is not None and self.planned.local

    @property
    def sent_body(self) -> bytes:
        """The body to send: the client's own, or what the plan makes of it."""
        changed = self.planned.changed if self.planned is not None else None
        return changed.body if changed is not None and changed.splices else self.body

    @property
    def ok(self) -> bool:
        """Whether the answer began without an error."""
        return self.status == OK

    def conversation(self, prompt: Prompt) -> Conversation:
        """Returns whose request this is; `prompt` is the one in its body."""
        return Conversation(self.sender.client, prompt.conversation, prompt.model)

    def refusable(self, status: int) -> bool:
        """Returns whether an answer may be a refusal of what was changed."""
        kinds = self.planned.changed.kinds if self.planned is not None else ()
        return bool(kinds) and status in (REFUSING_MODEL if "route" in kinds else REFUSING)

    def refused(self, refusal: Refusal) -> None:
        """Notes that the changed request was not taken; the original is sent now."""
        if self.planned is not None:
            self.refusal = self.planned, refusal
        self.planned, self.reason = None, "the provider refuses this request, changed or not"

    def unanswered(self) -> None:
        """Notes that the local model that it was routed to has no answer; the original is sent now."""
        self.planned, self.reason = None, "the local model did not answer"

    def begin_answer(self, status: int, meter: Meter, request_id: str) -> None:
        """Notes that the answer begins; `meter` will read its usage."""
        self.status = status
        self.request_id = request_id
        self.meter = meter
        self.first_byte_s = time.perf_counter() - self._clock

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Returns the headers for the client that say what was done with the request."""
        if self.planned is None and not self.reason:
            return []
        headers = []
        if self.planned is not None and self.planned.warning:
            headers.append((b"anchorline-warning", self.planned.warning.encode("ascii", "replace")))
        if self.planned is None or not self.planned.changed.splices:
            return [*headers, (b"anchorline-unchanged", self.reason.encode("ascii", "replace"))]
        if self.route:
            headers.append((b"anchorline-route", self.route.encode("ascii", "replace")))
            headers.append((b"anchorline-route-note", ADOPTED))
        return [*headers, (b"anchorline-plan", self.planned.plan.id.encode())]

    def end_answer(self) -> None:
        """Notes that the answer has ended, complete or not."""
        self.seconds = time.perf_counter() - self._clock

    def release(self) -> None:
        """Lets the bodies go."""
        self.body, self.planned, self.send = b"", None, None
