"""Changes a request by byte splices of its body, never by serialising it."""

from collections.abc import Iterable, Sequence

import msgspec

from anchorline.cache import markers
from anchorline.cache.breakpoints import clients
from anchorline.cache.markers import Splice, UnmarkableError
from anchorline.cache.predict import counted
from anchorline.gateway.refusals import Change
from anchorline.plan import Anchor, Plan
from anchorline.prompt import half_pairs, layout
from anchorline.prompt.model import Prompt
from anchorline.route.target import Targets
from anchorline.trim.results import Trimmed


class ChangedBody(msgspec.Struct, frozen=True):
    """A request as it is sent. `splices` taken out of `body` give the client's bytes; `anchors` are all it carries.

    `kinds` of change they are; where nothing is changed, `reason` says why.
    """

    body: bytes
    splices: tuple[Splice, ...]
    anchors: tuple[Anchor, ...]
    reason: str = ""
    kinds: frozenset[Change] = frozenset()


def as_sent(prompt: Prompt) -> tuple[Anchor, ...]:
    """Returns the breakpoints that a request carries as its client sends it."""
    return clients(prompt, counted(prompt)[0])


def shortened(prompt: Prompt, trims: Sequence[Trimmed]) -> list[Splice]:
    """Returns the splices that send tool results as they were trimmed."""
    splices = []
    for trim in trims:
        start = prompt.segments[trim.segment].start
        for piece in trim.pieces:
            removed = prompt.load(start + piece.start, start + piece.end)
            splices.append(Splice(start + piece.start, removed, piece.text))
    return splices


def routed(body: bytes, model: str) -> list[Splice]:
    """Returns the splice that names another model; none where the body has no such member, or has it twice."""
    for member in layout.members(body, layout.space(body, 0)):
        if member.key == b'"model"':
            name = msgspec.json.encode(model)
            change = Splice(member.start, body[member.start : member.end], name)
            named = half_pairs.decoded(_named, markers.apply(body, [change])).model
            return [change] if named == model else []
    return []


def prewarming(body: bytes) -> bytes | None:
    """Returns the request that reads the same prefix and has nothing generated; None where its provider refuses that.

    For Anthropic's rule (``max_tokens`` of 0). What else a request asks for stays: it is part of what is cached.
    """
    splices: list[Splice] = []
    for member in layout.members(body, layout.space(body, 0)):
        value = body[member.start : member.end]
        if member.key == b'"max_tokens"':
            splices.append(Splice(member.start, value, b"0"))
        elif member.key == b'"stream"':
            splices.append(Splice(member.start, value, b"false"))
        elif member.key == b'"thinking"' and b"budget_tokens" in value:
            return None  # a budget has to be below max_tokens
    return markers.apply(body, splices) if splices else None


class _Named(msgspec.Struct):
    model: str


_named = msgspec.json.Decoder(_Named).decode


def planned(
    body: bytes,
    prompt: Prompt,
    plan: Plan,
    targets: Targets,
    trims: Sequence[Trimmed] = (),
    route: Sequence[Splice] = (),
    *,
    marked: bool = True,
) -> ChangedBody:
    """Returns the body with `trims` and `route` made, and where it is to be `marked` the plan's breakpoints set.

    These take the place of the client's. Never raises.
    """
    shorter = [*shortened(prompt, trims), *route]
    kinds: set[Change] = set()
    if trims:
        kinds.add("trims")
    if route:
        kinds.add("route")
    if not marked:
        return _made(body, shorter, as_sent(prompt), "", kinds)
    if plan.failure is not None or not _marks(prompt, plan, targets):
        taker = "the model" if plan.cache.provider == "none" else plan.cache.provider
        reason = plan.failure or f"{taker} takes no breakpoints in {prompt.format} requests"
        return _made(body, shorter, as_sent(prompt), reason, kinds)
    try:
        marks = markers.splices(prompt, plan.cache.anchors)
        if marks:
            kinds.add("anchors")
        return _made(body, [*marks, *shorter], plan.cache.anchors, plan.cache.reason, kinds)
    except (UnmarkableError, ValueError) as error:
        reason = f"the breakpoints can't be written ({type(error).__name__})"
        return _made(body, shorter, as_sent(prompt), reason, kinds - {"anchors"})


def _made(
    body: bytes, splices: Sequence[Splice], anchors: tuple[Anchor, ...], reason: str, kinds: Iterable[Change]
) -> ChangedBody:
    ordered = tuple(sorted(splices, key=lambda splice: (splice.offset, len(splice.removed))))
    changed = markers.apply(body, ordered)
    return ChangedBody(changed, ordered, anchors, "" if ordered else reason, frozenset(kinds))


def _marks(prompt: Prompt, plan: Plan, targets: Targets) -> bool:
    """Returns whether the request takes the markers of the provider that it is planned for."""
    provider = targets.rules.provider(plan.cache.provider)
    if provider.passthrough:
        provider = targets.find(prompt.model or plan.route.target).provider
    return markers.accepted(prompt, provider)
