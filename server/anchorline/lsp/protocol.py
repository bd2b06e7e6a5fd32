"""The requests that are Anchorline's own: `anchorline/plan` and its kin, and the commands that mirror them.

Names are camelCase on the wire. Parameters are checked strictly (a number is no string) and unknown fields
are ignored, so that newer clients can talk to older servers. docs/reference/protocol.md has an example of each.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from anchorline.generation import State
from anchorline.outcome import Feedback, Outcome
from anchorline.prompt.model import Format

PLAN = "anchorline/plan"
REFINE = "anchorline/refine"
PREVIEW = "anchorline/preview"
OUTCOME = "anchorline/outcome"
FEEDBACK = "anchorline/feedback"
EXPLAIN = "anchorline/explain"
STATUS = "anchorline/status"
REPORT = "anchorline/report"

PREVIEW_SCHEME = "anchorline"
"""Of the URIs of previews, which a client asks for with `workspace/textDocumentContent`."""

JSON = Any
"""A decoded JSON value."""

Line = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Token = int | str
ShortText = Annotated[str, Meta(max_length=10_000)]


class Position(msgspec.Struct, frozen=True, rename="camel"):
    """A place in a document, both counted from 0; `character` in the negotiated position encoding."""

    line: Line
    character: Line


class Range(msgspec.Struct, frozen=True, rename="camel"):
    """The text from `start` up to `end`."""

    start: Position
    end: Position


class TextDocument(msgspec.Struct, frozen=True, rename="camel"):
    """An open document. With a `version`, the request is refused (ContentModified) for any other."""

    uri: str
    version: int | None = None


class PromptBody(msgspec.Struct, frozen=True, rename="camel"):
    """A prompt that is not a document: `body` is its text, or a request body as a JSON object."""

    body: str | dict[str, Any]
    format: Format | None = None


class Selection(msgspec.Struct, frozen=True, rename="camel"):
    """What is selected in the editor."""

    uri: str
    range: Range
    text: str = ""


class EditorDiagnostic(msgspec.Struct, frozen=True, rename="camel"):
    """One of the editor's own diagnostics, as the Language Server Protocol has it, and its document."""

    uri: str
    range: Range
    message: ShortText
    severity: Literal[1, 2, 3, 4] = 1


class Surroundings(msgspec.Struct, frozen=True, rename="camel"):
    """What the editor knows around the draft. Files are URIs or paths."""

    active_file: str | None = None
    selection: Selection | None = None
    symbol: ShortText | None = None
    diagnostics: Annotated[tuple[EditorDiagnostic, ...], Meta(max_length=1000)] = ()
    open_files: Annotated[tuple[str, ...], Meta(max_length=1000)] = ()
    recent_edits: Annotated[tuple[str, ...], Meta(max_length=1000)] = ()


class PlanParams(msgspec.Struct, frozen=True, rename="camel"):
    """The prompt to plan: a document, a range of one (any text), or a body; one of them is needed."""

    text_document: TextDocument | None = None
    range: Range | None = None
    prompt: PromptBody | None = None
    surroundings: Surroundings = Surroundings()
    target: Annotated[str, Meta(max_length=128)] | None = None


class RefineParams(PlanParams, frozen=True, rename="camel"):
    """As for a plan, and the tokens under which to report progress, and to stream what the local model writes."""

    partial_result_token: Token | None = None
    work_done_token: Token | None = None


class ExplainParams(msgspec.Struct, frozen=True, rename="camel"):
    """The plan to explain: one by its id, or the newest of an open prompt; the last one where neither is named.

    `plain` asks for plain text as well.
    """

    plan_id: str | None = None
    text_document: TextDocument | None = None
    plain: bool = False


class StatusParams(msgspec.Struct, frozen=True, rename="camel"):
    """Nothing."""


class ReportParams(msgspec.Struct, frozen=True, rename="camel"):
    """What was recorded in the last `days`; all of it where they are not given."""

    days: Annotated[float, Meta(gt=0, le=36_500)] | None = None


class RefineResult(msgspec.Struct, frozen=True, rename="camel"):
    """The proposed refinement (as in a plan) and, where the prompt is a document, the edits for it.

    `context` has a change for each of the refinement's additions, to be made with `edit` or alone.
    """

    plan_id: str
    refinement: dict[str, Any]
    edit: dict[str, Any] | None
    context: dict[str, Any] | None = None


class Recorded(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Whether it is on disk; the `reason` says why not (recording is off)."""

    recorded: bool
    reason: str | None = None


RECORDING_OFF = Recorded(recorded=False, reason="recording is off (store.enabled)")


class Explanation(msgspec.Struct, frozen=True, rename="camel"):
    """A plan in words, and the plan itself. `text` are the words without markup, where they were asked for."""

    markdown: str
    plan: dict[str, Any]
    text: str | None = None


class Proposal(msgspec.Struct, frozen=True, rename="camel"):
    """What streams of a refinement: the rules' proposal at once, which stands unless a better one comes."""

    refinement: dict[str, Any]
    kind: Literal["proposal"] = "proposal"


class Preview(msgspec.Struct, frozen=True, rename="camel"):
    """A refinement in words, and where the client can show it as a document."""

    plan_id: str
    markdown: str
    uri: str | None = None


class Engine(msgspec.Struct, frozen=True, rename="camel"):
    """The local language model that helps to refine drafts, and where it stands; `reason` says why it is not ready.

    Without it the rules refine alone.
    """

    name: str
    state: State | Literal["off"]
    reason: str = ""
    device: str = ""


class StoreState(msgspec.Struct, frozen=True, rename="camel"):
    """Whether outcomes are recorded, what text is kept, and what is wrong if anything is."""

    recording: bool
    text: Literal["off", "redacted", "full"]
    problem: str | None = None


class PolicyState(msgspec.Struct, frozen=True, rename="camel"):
    """What decides. `note` says what is on trial, and what can't be used and why."""

    name: str
    version: str
    note: str = ""


class Warm(msgspec.Struct, frozen=True, rename="camel"):
    """A prefix that a provider is believed to hold now."""

    provider: str
    model: str
    tokens: int
    ttl: str
    expires_in_s: int


class Gateway(msgspec.Struct, frozen=True, rename="camel"):
    """The gateway that runs with the server (`gateway.start`), and the base URLs for clients while it runs.

    `reason` says why it does not.
    """

    state: Literal["off", "starting", "running", "failed"]
    reason: str = ""
    anthropic: str | None = None
    openai: str | None = None
    gemini: str | None = None


class PlanWindow(msgspec.Struct, frozen=True, rename="camel"):
    """A window of the developer's plan: `used` per cent, its reset in epoch seconds, and a `text` with the forecast."""

    name: str
    used: float
    resets_at: float | None
    text: str


class Index(msgspec.Struct, frozen=True, rename="camel"):
    """The index of the first folder, and where it stands; `reason` says why it is not ready. Additions come from it."""

    state: Literal["off", "indexing", "ready", "failed"]
    reason: str = ""
    files: int = 0


class Status(msgspec.Struct, frozen=True, rename="camel"):
    """The state of the server."""

    version: str
    engine: Engine
    store: StoreState
    policy: PolicyState
    warm: tuple[Warm, ...]
    gateway: Gateway
    windows: tuple[PlanWindow, ...] = ()
    index: Index = Index("off")


class ReportPage(msgspec.Struct, frozen=True, rename="camel"):
    """The dashboard: a page that holds all it needs. The command writes it to the file `uri`."""

    html: str = ""
    uri: str | None = None


PARAMS: dict[str, type[Any]] = {
    PLAN: PlanParams,
    REFINE: RefineParams,
    PREVIEW: RefineParams,
    OUTCOME: Outcome,
    FEEDBACK: Feedback,
    EXPLAIN: ExplainParams,
    STATUS: StatusParams,
    REPORT: ReportParams,
}


def command(method: str) -> str:
    """Returns the name of the command that mirrors a request."""
    return method.replace("/", ".")


COMMANDS: dict[str, type[Any]] = {command(method): kind for method, kind in PARAMS.items()}
