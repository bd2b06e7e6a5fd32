"""What is changed in a request: byte splices of its body, never a serialisation of it."""

import msgspec

from anchorline.cache import markers
from anchorline.cache.markers import Splice, UnmarkableError
from anchorline.cache.place import clients
from anchorline.cache.predict import cumulative
from anchorline.cache.rules import Rules
from anchorline.plan import Anchor, Plan
from anchorline.prompt.model import Prompt


class Changed(msgspec.Struct, frozen=True):
    """A request as it is sent. `splices` taken out of `body` give the client's bytes; `anchors` are all it carries.

    Where nothing is changed, `reason` says why.
    """

    body: bytes
    splices: tuple[Splice, ...]
    anchors: tuple[Anchor, ...]
    reason: str = ""


def as_sent(prompt: Prompt) -> tuple[Anchor, ...]:
    """Return the breakpoints that a request carries as its client sends it."""
    return clients(prompt, cumulative(prompt))


def anchored(body: bytes, prompt: Prompt, plan: Plan, rules: Rules) -> Changed:
    """Return the body with the plan's breakpoints in the place of the client's. Never raises."""
    if plan.failure is not None:
        return Changed(body, (), as_sent(prompt), plan.failure)
    if not _marks(prompt, plan, rules):
        reason = f"{plan.cache.provider} takes no breakpoints in {prompt.format} requests"
        return Changed(body, (), as_sent(prompt), reason)
    try:
        splices = markers.splices(prompt, plan.cache.anchors)
        changed = markers.apply(body, splices)
    except (UnmarkableError, ValueError) as error:
        return Changed(
            body, (), as_sent(prompt), f"the breakpoints can't be written ({type(error).__name__})"
        )
    return Changed(changed, splices, plan.cache.anchors, "" if splices else plan.cache.reason)


def _marks(prompt: Prompt, plan: Plan, rules: Rules) -> bool:
    """Tell whether the marker of the body's format is the one that the model's provider knows."""
    known = rules.provider(plan.cache.provider).marker
    member = "cache_control" if prompt.format == "anthropic" else "prompt_cache_breakpoint"
    return plan.cache.mode == "explicit" and known is not None and known.member == member
