"""What each tool takes and answers, with JSON Schemas. An agent pays for each token, so all of it is bounded."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from anchorline.billed.budgets import BudgetUse
from anchorline.limits.budgets import WindowBudget
from anchorline.limits.model import WindowState
from anchorline.plan import Addition, Plan
from anchorline.report.model import Grouping, GroupKind

MOST_ROWS = 20
"""Rows of a list, items of a plan; what is left out is said."""
LONGEST = 4_000
"""Characters of a refined draft: of a longer one only the edits are answered."""


class PlanArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to plan: `text`, `file` or `body`, one of them."""

    text: Annotated[str, Meta(description="A prompt or instructions, in Markdown.")] | UnsetType = UNSET
    file: (
        Annotated[str, Meta(description="A prompt document or request body in the workspace: its path.")]
        | UnsetType
    ) = UNSET
    body: (
        Annotated[
            dict[str, Any],
            Meta(
                description="A request body: Anthropic Messages, OpenAI chat or Responses, Gemini generateContent."
            ),
        ]
        | UnsetType
    ) = UNSET
    model: (
        Annotated[str, Meta(description="The model that the prompt is set to go to.", max_length=128)]
        | UnsetType
    ) = UNSET


class WarmArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing."""


class CostArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By what to divide the bill, and since when."""

    by: Annotated[
        GroupKind,
        Meta(
            description="By what to divide the bill; block is five hours, pr a pull request.",
            extra_json_schema={"type": "string"},  # which Gemini asks for beside an enum
        ),
    ] = "project"
    since: Annotated[
        str, Meta(description="An age (12h, 30d, 2w) or a date (2026-11-23).", max_length=40)
    ] = "7d"


class GroundArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to look up."""

    text: Annotated[
        str, Meta(description="A task or question about the code, as it was asked.", max_length=65_536)
    ]


class Facts(msgspec.Struct, frozen=True):
    """What in the folder `root` a text is about: files, symbols and the command that runs their tests."""

    root: str
    facts: tuple[Addition, ...]


class WarmConversation(msgspec.Struct, frozen=True):
    """The longest prefix of a conversation that a provider holds for a model.

    It has `tokens`, lives `left_s` seconds more (until `until`, UTC), and writing it again costs `usd` more than
    reading it (null: no price is known). `of_window` is what that takes of a plan's window, empty where that is not
    known.
    """

    model: str
    provider: str
    tokens: int
    ttl: str
    left_s: int
    until: str
    usd: float | None
    of_window: str = ""


class WarmAnswer(msgspec.Struct, frozen=True):
    """What is warm, the one that expires first in front; `tokens` and `usd` are of all, also of `others` left out."""

    warm: tuple[WarmConversation, ...]
    tokens: int
    usd: float | None
    others: int = 0


class CostAnswer(msgspec.Struct, frozen=True):
    """What was billed since then, and what is used of budgets and limits.

    Money is USD, dates are UTC, times of limits epoch seconds. `limits` are the windows of a plan, in per cent,
    `limit_budgets` what you allow of them.
    """

    since: str
    bill: Grouping
    budgets: tuple[BudgetUse, ...]
    limits: tuple[WindowState, ...]
    limit_budgets: tuple[WindowBudget, ...]


def bounded(plan: Plan) -> tuple[Plan, tuple[str, ...]]:
    """Returns a plan that is no longer than an answer may be, and what was left out of it."""
    left_out = []
    refinement, cache, route = plan.refinement, plan.cache, plan.route
    if refinement.text is not None and len(refinement.text) > LONGEST:
        left_out.append(f"the refined text of {len(refinement.text):,} characters")
        refinement = msgspec.structs.replace(refinement, text=None)
    if refinement.structure is not None and len(refinement.structure.text) > LONGEST:
        left_out.append(f"the structured text of {len(refinement.structure.text):,} characters")
        refinement = msgspec.structs.replace(refinement, structure=None)
    if len(refinement.edits) > MOST_ROWS:
        left_out.append(f"{len(refinement.edits) - MOST_ROWS:,} edits")
    if len(plan.trims) > MOST_ROWS:
        left_out.append(f"{len(plan.trims) - MOST_ROWS:,} trims")
    refinement = msgspec.structs.replace(
        refinement, edits=refinement.edits[:MOST_ROWS], questions=refinement.questions[:MOST_ROWS]
    )
    return msgspec.structs.replace(
        plan,
        refinement=refinement,
        trims=plan.trims[:MOST_ROWS],
        cache=msgspec.structs.replace(
            cache, anchors=cache.anchors[:MOST_ROWS], miss_reasons=cache.miss_reasons[:MOST_ROWS]
        ),
        route=msgspec.structs.replace(route, alternatives=route.alternatives[:MOST_ROWS]),
        timing={},
    ), tuple(left_out)


def schema(kind: type) -> dict[str, Any]:
    """Returns the JSON Schema of a value, an object at its root as MCP before 2026-07-28 requires."""
    generated = msgspec.json.schema(kind)
    definitions = generated["$defs"]
    root = definitions.pop(generated["$ref"].rpartition("/")[2])
    return {**root, "$defs": definitions} if definitions else root
