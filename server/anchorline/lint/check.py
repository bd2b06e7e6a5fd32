"""Runs every rule over a prompt and its plan."""

from anchorline.lint import cache, format, safety  # noqa: A004  (named after the rules' group)
from anchorline.lint.finding import Finding
from anchorline.plan import Plan
from anchorline.prompt.model import Prompt, PromptError
from anchorline.refine.hints import RULES as CLARITY
from anchorline.route.target import Target

_SHOWN = 100
"""Findings of one document, at most: an editor drowns in more."""

_CLARITY = {hint.code for hint in CLARITY}


def check(
    prompt: Prompt, plan: Plan, target: Target, share: cache.Share = cache.unknown_share
) -> tuple[Finding, ...]:
    """Returns what the rules find, in the order of the text. `target` is the model that the request is set to use.

    `share` tells what a write takes of a plan's window.
    """
    findings = [
        *clarity(prompt, plan),
        *cache.check(prompt, plan, target),
        *cache.expired(prompt, plan, target, share),
        *safety.check(prompt, plan, target),
        *format.check(prompt),
    ]
    findings.sort(key=lambda finding: (finding.start, finding.code))
    return tuple(findings[:_SHOWN])


def clarity(prompt: Prompt, plan: Plan) -> list[Finding]:
    """Turns the plan's hints into findings. In a JSON body they mark the whole draft: its text is escaped there."""
    draft = prompt.draft
    if draft is None:
        return []
    findings = []
    for hint in plan.refinement.hints:
        if hint.code not in _CLARITY:
            continue
        start, end = draft.start, draft.end
        if not draft.encoded:
            end = start + len(draft.text[: hint.end].encode())
            start += len(draft.text[: hint.start].encode())
        findings.append(Finding(hint.code, hint.message, "hint", start, end))
    return findings


def unreadable(error: PromptError, size: int) -> Finding:
    """Returns the finding for a document that could not be read."""
    start = min(error.offset or 0, max(size - 1, 0))
    return Finding("AL401", str(error), "error", start, min(start + 1, size))
