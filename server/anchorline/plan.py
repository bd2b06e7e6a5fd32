"""The Plan: everything Anchorline decides about one prompt, as one versioned value.

The same type is sent over LSP, printed by ``anchorline plan --json``, spliced by the gateway and written to
the store. `schema()` is the JSON Schema of it, kept in ``docs/reference/plan.schema.json`` by a test.

Tokens are provider tokens (estimated unless said otherwise), money is USD, times are seconds unless the name
ends in ``_ms``. Positions in a draft are characters; positions in a source are bytes.
"""

import inspect
from typing import Any, Literal

import msgspec

SCHEMA_VERSION: Literal[1] = 1

RefinementStatus = Literal["proposed", "unchanged", "refused", "unavailable"]
MissCode = Literal[
    "never_sent",
    "expired",
    "model_changed",
    "compacted",
    "prefix_edited",
    "thinking_stripped",
    "below_minimum",
    "no_anchor",
    "no_cache",
]
LOST: frozenset[MissCode] = frozenset(
    ("expired", "model_changed", "compacted", "prefix_edited", "thinking_stripped")
)
"""Of a prefix that was there before: with the other codes there was nothing to read."""


class Policy(msgspec.Struct, frozen=True):
    """Who decided. `propensity` is the probability with which this arm was chosen (1 outside experiments).

    `experiment` is the id of the experiment that the arm belongs to. `reason` says why another policy than the one in
    force decided, where that is so.
    """

    name: str = "heuristic"
    version: str = "1"
    arm: str = "default"
    propensity: float = 1.0
    experiment: str | None = None
    reason: str = ""


class Edit(msgspec.Struct, frozen=True):
    """Replace the draft's characters `start:end` by `text`, because of `reason`."""

    start: int
    end: int
    text: str
    reason: str


class Hint(msgspec.Struct, frozen=True):
    """One thing that is unclear in the draft's characters `start:end`; `code` is a rule such as AL101."""

    code: str
    message: str
    start: int
    end: int


class Question(msgspec.Struct, frozen=True):
    """A fact that only the developer can supply. It is asked, never invented."""

    slot: str
    text: str


class Addition(msgspec.Struct, frozen=True):
    """A fact of the workspace that could stand in the draft, accepted or rejected by itself.

    `text` is the line as it would stand at the draft's end: a file, a symbol with its definition, or the command that
    runs the tests of what is proposed. `probability` is calibrated: for a file, that it is among those that the
    task will edit. `path` is relative to the workspace, with slashes; `line` counts from 1. A command has neither.
    `id` is unique within a plan.
    """

    id: str
    kind: Literal["file", "symbol", "command"]
    text: str
    reason: str
    probability: float
    path: str | None = None
    line: int | None = None
    symbol: str | None = None


class Refinement(msgspec.Struct, frozen=True):
    """A proposed rewrite of the draft: never applied without the developer's consent.

    `text` is the whole refined draft, and is present only when `status` is ``proposed``. Applying `edits`
    to the draft gives `text`. With any other status `reason` says why nothing is proposed. Neither has `additions`,
    which are proposed apart, whatever `status` is, most probable first of each kind. `structure` is an alternative to
    all of them: the draft's own sentences, ordered under headings.
    """

    status: RefinementStatus
    reason: str
    text: str | None = None
    edits: tuple[Edit, ...] = ()
    hints: tuple[Hint, ...] = ()
    questions: tuple[Question, ...] = ()
    engine: str = "rules"
    additions: tuple[Addition, ...] = ()
    structure: Edit | None = None


TrimKind = Literal["line_numbers", "equal_lines", "found_path", "earlier_lines", "terminal_rendering"]


class Trim(msgspec.Struct, frozen=True):
    """A saving: what the gateway's mode ``trim`` sends shorter, or in a document a block that stands there twice.

    ``shorten``: the tool result `segment` is sent with marks in the place of what is left out, by `kinds`;
    `restorable` says whether every byte can be restored from what is sent, as for every kind but
    ``terminal_rendering``. ``reference``: the block can be replaced by a reference to segment `original`.
    """

    segment: int
    pointer: str
    action: Literal["reference", "shorten"]
    original: int
    tokens_saved: int
    reason: str
    kinds: tuple[TrimKind, ...] = ()
    restorable: bool = True


class Anchor(msgspec.Struct, frozen=True):
    """A cache breakpoint at the end of `segment`: the provider keeps the `prefix_tokens` before it for `ttl`.

    `origin` tells the client's own markers from the ones that the plan adds.
    """

    segment: int
    pointer: str
    prefix_tokens: int
    ttl: str
    reason: str
    origin: Literal["client", "plan"] = "plan"


class Miss(msgspec.Struct, frozen=True):
    """Why the cache would not hit. `tokens` were warm and have expired, where that is the reason."""

    code: MissCode
    text: str
    tokens: int = 0


class Keepalive(msgspec.Struct, frozen=True):
    """Pings that keep a prefix warm: `pings` of them, one every `every_s` seconds."""

    pings: int
    every_s: int
    reason: str


class CachePlan(msgspec.Struct, frozen=True):
    """What the provider's prompt cache holds now, and what to ask it to hold.

    `p_hit` is the probability that at least 90 % of the prefix believed warm is read from the cache.
    `warm_tokens` are believed warm now, `expires_in_s` says for how long.
    """

    provider: str
    mode: Literal["explicit", "automatic", "local", "none"]
    anchors: tuple[Anchor, ...]
    p_hit: float
    warm_tokens: int
    expires_in_s: int | None
    expected_read_tokens: int
    expected_write_tokens: int
    keepalive: Keepalive | None = None
    miss_reasons: tuple[Miss, ...] = ()
    reason: str = ""

    @property
    def lost(self) -> Miss | None:
        """Why a prefix that was there before would not be read; None where there was none, or it would."""
        return next((miss for miss in self.miss_reasons if miss.code in LOST), None)


class Alternative(msgspec.Struct, frozen=True):
    """One model that was considered: what it would probably do, cost and take."""

    target: str
    tier: str
    p_success: float
    cost_usd: float
    latency_ms: int
    score: float
    excluded: str | None = None


class Route(msgspec.Struct, frozen=True):
    """The model to send to. `sticky`: kept because the session already runs on it."""

    target: str
    tier: str
    alternatives: tuple[Alternative, ...]
    sticky: bool
    reason: str


class Tokens(msgspec.Struct, frozen=True):
    """Input tokens of the whole prompt with a 90 % interval."""

    estimate: int
    low: int
    high: int


class Cost(msgspec.Struct, frozen=True):
    """Expected USD of this request's input and of reading its prefix again in the next one.

    The next request is part of it because that is where an anchor's write premium comes back; docs/explain/cost.md
    derives it. `without_plan_usd` is the same sum for the prompt exactly as the client would send it.
    `request_usd` is this request's own input and output alone; an answer of average length is assumed. `model_usd` is
    the part of `usd` that another model than the request's own costs more (below 0: less), with either planned.
    What depends on a price that is not known is None.
    """

    usd: float | None
    without_plan_usd: float | None
    request_usd: float | None
    low_usd: float | None
    high_usd: float | None
    model_usd: float | None = None


class InstructionCost(msgspec.Struct, frozen=True):
    """What a file of standing instructions (CLAUDE.md, AGENTS.md, …) costs with each request that has it.

    `model` is the one it is priced for, `context` how many tokens that takes (None: not known). Its tokens cost
    `warm_usd` where they are read from the cache, and `cold_usd` where they are written to it. `prefixes` are the warm
    prefixes that have it in them: an edit of its beginning has `edit_tokens` of them written again, which costs
    `edit_usd` more than reading them, and nothing from `edit_free_at` (epoch seconds) on.
    """

    model: str
    context: int | None
    warm_usd: float | None
    cold_usd: float | None
    prefixes: int = 0
    edit_tokens: int = 0
    edit_usd: float | None = 0.0
    edit_free_at: float | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One decision about one prompt. `failure` is set when Anchorline failed open: nothing is changed then.

    An instruction file is no request: it has `instructions`, and neither alternatives, anchors nor a cost of its own.
    """

    id: str
    created_at: float
    schema: Literal[1] = SCHEMA_VERSION
    format: str
    draft_hash: str | None
    prompt_hash: str
    session: str | None
    policy: Policy
    refinement: Refinement
    trims: tuple[Trim, ...]
    cache: CachePlan
    route: Route
    tokens: Tokens
    cost: Cost
    timing: dict[str, float]
    failure: str | None = None
    instructions: InstructionCost | None = None


def schema() -> dict[str, Any]:
    """Returns the JSON Schema (2020-12) of a Plan, the same with each version of msgspec."""
    generated = msgspec.json.schema(Plan)
    _make_canonical(generated)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Anchorline plan",
        **generated,
    }


def _make_canonical(node: object) -> None:
    """Takes the indentation out of docstrings and puts `null` last: versions of msgspec differ in both."""
    if isinstance(node, dict):
        if isinstance(node.get("description"), str):
            node["description"] = inspect.cleandoc(node["description"])
        if "anyOf" in node:
            node["anyOf"].sort(key=lambda option: option.get("type") == "null")
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _make_canonical(inner)
