"""The plan in words: what a developer reads in a hover, in the command line and in a status line."""

import re
import time
from collections.abc import Iterator
from difflib import unified_diff

from anchorline.cache.miss_causes import shortfall
from anchorline.cache.quote import OUTPUT_TOKENS
from anchorline.figures import count, likely, share, span, usd
from anchorline.outcome import Outcome
from anchorline.plan import Cost, InstructionCost, Plan, Policy, Refinement, Route, Tokens
from anchorline.prompt.model import Prompt, Segment


def line(plan: Plan, taken: str = "") -> str:
    """Returns the plan in one line. `taken` says what the request takes of a window of the developer's plan."""
    if plan.failure is not None:
        return f"Anchorline: no plan ({plan.failure})"
    if plan.instructions is not None:
        return _instructions_line(plan.tokens, plan.instructions)
    cache = plan.cache
    warm = f", expires in {span(cache.expires_in_s)}" if cache.expires_in_s is not None else ""
    hit = f"P(hit) {likely(cache.p_hit)}{warm}" if cache.mode != "none" else "not cached"
    anchors = f"{len(cache.anchors)} anchor{'s' * (len(cache.anchors) != 1)}"
    own = _replaced(plan.route)
    model = f"{plan.route.target} instead of {own}" if own else plan.route.target
    price = "price not known" if plan.cost.request_usd is None else usd(plan.cost.request_usd)
    of_plan = f" · {taken}" if taken else ""
    return f"{model} · {count(plan.tokens.estimate)} tokens · {hit} · {anchors} · {price}{of_plan}"


def nothing(prompt: Prompt) -> str:
    """Returns why a prompt without a segment gets no plan."""
    what = "file" if prompt.format == "markdown" else "request"
    return f"Nothing to plan: the {what} is empty"


_KINDS = {"fence": "Code block", "tool_use": "Tool call", "text": "Text"}
"""Kinds of segments whose name does not say it to a reader."""
LEAST_USD = 0.00005
"""What is saved below this is not shown."""
SHOWN = 60
"""Characters of an edit that a line shows."""


def summary(refinement: Refinement, draft: str) -> str:
    """Returns a refinement in a few plain lines: what is proposed, why, and what is asked."""
    if refinement.text is None:
        lines = [f"Nothing to refine: {refinement.reason}."]
    else:
        changes = len(refinement.edits)
        lines = [f"{changes} change{'s' * (changes != 1)} ({refinement.reason}):"]
        lines += [f"- {change}" for change in _changes(refinement, draft)]
    lines += [f"? {question.text}" for question in refinement.questions]
    return "\n".join(lines)


def refined(refinement: Refinement, draft: str) -> str:
    """Returns a refinement as a Markdown document: the text, the difference, the reasons, what is asked."""
    lines = ["# Refined prompt", ""]
    if refinement.text is None:
        lines += [f"Nothing is proposed: {refinement.reason}.", ""]
    else:
        old, new = draft.splitlines(), refinement.text.splitlines()
        difference = "\n".join(list(unified_diff(old, new, lineterm="", n=1))[2:])
        lines += ["This is a proposal: nothing is changed.", "", *_fenced("text", refinement.text)]
        lines += ["## Difference", "", *_fenced("diff", difference)]
        lines += ["## Reasons", "", *(harmless(f"- {change}") for change in _changes(refinement, draft)), ""]
    if refinement.hints:
        lines += [
            "## Unclear",
            "",
            *(harmless(f"- {hint.code}: {hint.message}") for hint in refinement.hints),
            "",
        ]
    if refinement.questions:
        lines += ["## Questions", ""]
        lines += [harmless(f"- {question.slot}: {question.text}") for question in refinement.questions]
        lines.append("")
    return "\n".join(lines)


def _changes(refinement: Refinement, draft: str) -> Iterator[str]:
    for edit in refinement.edits:
        old, new = _short(draft[edit.start : edit.end]), _short(edit.text)
        what = f"“{old}” → “{new}”" if old and new else f"without “{old}”" if old else f"with “{new}”"
        yield f"{what}: {edit.reason}" if old or new else edit.reason


def _short(text: str) -> str:
    single_line = " ".join(text.split())
    return single_line if len(single_line) <= SHOWN else single_line[: SHOWN - 1] + "…"


def _fenced(kind: str, text: str) -> list[str]:
    """Returns a fence that no fence of the text ends."""
    longest = max((len(match[0]) for match in re.finditer(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return [f"{fence}{kind}", text, fence, ""]


_CODE = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)")
_ACTIVE = re.compile(r"(?<!\\)((?:\\\\)*)(!(?=\[)|\](?=[(\[:])|<(?=[A-Za-z/!?]))")


def harmless(text: str) -> str:
    """Returns a line of Markdown in which no link, image or HTML is active: names and texts in it are others'.

    What stands in code spans, as CommonMark finds them, is shown as it is in any case.
    """
    text = " ".join(text.splitlines()).replace("\\`", "\\ `")  # so that every backtick counts
    parts: list[str] = []
    position = 0
    for code in _CODE.finditer(text):
        parts += (_ACTIVE.sub(r"\1\\\2", text[position : code.start()]), code[0])
        position = code.end()
    parts.append(_ACTIVE.sub(r"\1\\\2", text[position:]))
    return "".join(parts)


def markdown(plan: Plan, prompt: Prompt | None = None, taken: str = "") -> str:
    """Returns the whole plan with its reasons, as Markdown. `prompt` adds where each anchor stands.

    `taken` says what the request takes of a window of the developer's plan.
    """
    if plan.failure is not None:
        return f"**No plan.** {plan.failure} The prompt is sent as it is.\n"
    if plan.instructions is not None:
        return _instructions(plan.tokens, plan.instructions)
    tokens, cache, route, cost = plan.tokens, plan.cache, plan.route, plan.cost
    lines = [
        *_policy(plan.policy),
        f"**Model** {route.reason}{_OPEN if plan.refinement.questions and route.alternatives else ''}",
        "",
        f"**Tokens** {count(tokens.estimate)} ({count(tokens.low)} to {count(tokens.high)})",
        "",
        *_cost(cost, route, taken),
        "",
    ]
    if cache.mode != "none":
        expires = f", expires in {span(cache.expires_in_s)}" if cache.expires_in_s is not None else ""
        tokens_read = count(cache.expected_read_tokens)
        written = count(cache.expected_write_tokens)
        lines += [
            f"**Cache** P(hit) {likely(cache.p_hit)}{expires}. Reads {tokens_read} tokens, writes {written}",
            "",
        ]
        lines += [f"- not cached: {miss.text}" for miss in cache.miss_reasons]
        for anchor in cache.anchors:
            lines.append(
                f"- breakpoint `{anchor.pointer}`{_where(prompt, anchor.segment)} for {anchor.ttl}, "
                f"{count(anchor.prefix_tokens)} tokens: {anchor.reason}"
            )
        lines.append("")
    else:
        lines += [f"**Cache** {cache.reason}", ""]
    lines += [f"**Refinement** {_refinement(plan.refinement)}", ""]
    reasons = dict.fromkeys(edit.reason for edit in plan.refinement.edits)
    lines += [f"- {reason}" for reason in reasons if reason not in plan.refinement.reason]
    lines += [f"- {hint.code}: {hint.message}" for hint in plan.refinement.hints]
    hinted = " ".join(hint.message for hint in plan.refinement.hints)
    lines += [
        f"- question: {question.text}"
        for question in plan.refinement.questions
        if question.text not in hinted
    ]
    lines += _offers(plan.refinement)
    if plan.trims:
        by = " in the gateway's mode `trim`" if any(trim.action == "shorten" for trim in plan.trims) else ""
        lines += ["", f"**Trims** {count(sum(trim.tokens_saved for trim in plan.trims))} tokens{by}"]
        lines += [f"- `{trim.pointer}`: {trim.reason}" for trim in plan.trims]
    if len(route.alternatives) > 1:
        lines += ["", *_models(route)]
    text = "\n".join(map(harmless, lines)).rstrip() + "\n"
    return text.replace("\n\n\n", "\n\n")


def _offers(refinement: Refinement) -> list[str]:
    """Returns what is proposed apart from the edits: facts of the workspace, and the draft in order."""
    lines = []
    if refinement.additions:
        lines += ["", "**Additions** facts of the workspace, each accepted by itself"]
        lines += [
            f"- {addition.text} ({likely(addition.probability)}): {addition.reason}"
            for addition in refinement.additions
        ]
    if refinement.structure is not None:
        lines += ["", f"**Structure** {refinement.structure.reason}"]
    return lines


def _models(route: Route) -> list[str]:
    """Returns the table of models, the chosen one first; aligned, since not every client renders Markdown's tables."""
    rows = [("model", "success", "cost", "latency", "")]
    for option in sorted(route.alternatives, key=lambda option: option.target != route.target):
        note = "chosen" if option.target == route.target else option.excluded or ""
        latency = f"{option.latency_ms / 1000:.1f} s"
        rows.append((option.target, f"{option.p_success:.0%}", usd(option.cost_usd), latency, note))
    first, *middle, last = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = [
        f"| {name:<{first}} | "
        + " | ".join(f"{cell:>{width}}" for cell, width in zip(cells, middle, strict=True))
        + f" | {note:<{last}} |"
        for name, *cells, note in rows
    ]
    rule = "|".join(("-" * (first + 2), *("-" * (width + 1) + ":" for width in middle), "-" * (last + 2)))
    return [lines[0], f"|{rule}|", *lines[1:]]


def _instructions_line(tokens: Tokens, cost: InstructionCost) -> str:
    parts = [f"{count(tokens.estimate)} tokens"]
    if cost.context:
        parts.append(f"{share(tokens.estimate / cost.context)} of the context")
    if cost.warm_usd is not None:
        parts.append(f"{usd(cost.warm_usd)} a request cached, {usd(cost.cold_usd)} not")
    if cost.prefixes:
        parts.append(f"an edit costs {usd(cost.edit_usd)}")
    return " · ".join(parts)


def _instructions(tokens: Tokens, cost: InstructionCost) -> str:
    """Returns what an instruction file costs, as Markdown."""
    context = (
        f", {share(tokens.estimate / cost.context)} of the context of {cost.model} ({count(cost.context)})"
        if cost.context
        else ""
    )
    lines = [
        "**Instructions** Your agent sends this file with each request, so no model is chosen and nothing refined.",
        f"**Tokens** {count(tokens.estimate)} ({count(tokens.low)} to {count(tokens.high)}){context}",
    ]
    if cost.warm_usd is None:
        lines.append(f"**Cost** not known: {_UNPRICED}")
    else:
        lines.append(
            f"**Cost of each request** About {usd(cost.warm_usd)} where the cache has it, {usd(cost.cold_usd)} where "
            "it has to be written to the cache."
        )
    lines.append(f"**Cost of an edit** {_edit(cost)}")
    return "\n\n".join(map(harmless, lines)) + "\n"


def _edit(cost: InstructionCost) -> str:
    if not cost.prefixes or cost.edit_free_at is None:
        return "Nothing now: no warm prefix is known to have it."
    free = time.strftime("%H:%M", time.localtime(cost.edit_free_at + 60))
    prefixes = f"{cost.prefixes} warm prefix{'es' * (cost.prefixes != 1)}"
    price = f"about {usd(cost.edit_usd)}" if cost.edit_usd is not None else "an amount that is not known"
    return (
        f"Up to {price}: it is in {prefixes}, and {count(cost.edit_tokens)} tokens would be written anew. "
        f"Free from {free} on."
    )


_UNPRICED = "the model catalogue has no price of it (`files.models` can name one)"


def _cost(cost: Cost, route: Route, taken: str) -> list[str]:
    of_plan = [f"- of your plan: {taken}"] if taken else []
    if cost.usd is None or cost.request_usd is None:
        return [f"**Cost** not known: {_UNPRICED}", *([""] if taken else []), *of_plan]
    lines = [
        "**Cost**",
        "",
        f"- this request: {_about(cost.request_usd)}, with an answer of {OUTPUT_TOKENS} tokens",
        *of_plan,
        f"- re-sending it with your next message: {_about(cost.usd - cost.request_usd)}",
    ]
    if cost.model_usd is None or cost.without_plan_usd is None:
        return lines
    saved = cost.without_plan_usd - (cost.usd - cost.model_usd)
    if abs(saved) >= LEAST_USD:
        lines.append(f"- caching as planned {'saves' if saved > 0 else 'costs'} {usd(abs(saved))} of both")
    if own := _replaced(route):
        more = "more" if cost.model_usd > 0 else "less"
        lines.append(f"- {route.target} instead of {own}: {usd(abs(cost.model_usd))} {more} for both")
    return lines


_OPEN = " The estimates take the questions below as answered."


def _about(amount: float) -> str:
    text = usd(amount)
    return f"less than {text[1:]}" if text.startswith("<") else f"about {text}"


def _replaced(route: Route) -> str | None:
    """Returns the model that the request is set to use, where the plan names another."""
    own = route.alternatives[0].target if route.alternatives else route.target
    return None if route.sticky or own == route.target else own


def _refinement(refinement: Refinement) -> str:
    if refinement.status == "proposed":
        return f"Suggested: {refinement.reason}"
    return f"{_sentence(refinement.reason).removesuffix('.')}." if refinement.reason else refinement.status


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _policy(policy: Policy) -> list[str]:
    """Returns what a reader should know about who decided: nothing, where it is the heuristic as ever."""
    if policy.reason:
        return [f"**Policy** {policy.name}, because {policy.reason}", ""]
    return [] if policy.name == "heuristic" else [f"**Policy** {policy.name} {policy.version}", ""]


def happened(plan: Plan, outcome: Outcome) -> str:
    """Returns what became of a plan: the decision, what was billed, and why less was read than was believed warm."""
    words: list[str] = [outcome.decision or "sent"]
    usage = outcome.usage
    if usage is not None:
        words.append(
            f"{count(usage.read)} tokens read from the cache, {count(usage.write)} written, "
            f"{count(usage.input)} at full price"
        )
    if outcome.latency_ms is not None:
        words.append(f"{outcome.latency_ms / 1000:.1f} s")
    text = f"Last outcome: {', '.join(words)}."
    cache = plan.cache
    if usage is not None and cache.p_hit >= 0.5:
        ends = [anchor.prefix_tokens for anchor in cache.anchors if anchor.prefix_tokens < cache.warm_tokens]
        less = shortfall(usage.read, cache.warm_tokens, ends)
        if less is not None:
            text += f" The cache missed: {less.text}."
    return text


def segment(part: Segment, up_to: int) -> str:
    """Returns what a segment is and how many tokens it has; `up_to` is how many the prompt has up to its end."""
    kind = _KINDS.get(part.kind, part.kind.replace("_", " ").capitalize())
    return f"{kind}: about {count(part.tokens)} tokens ({count(up_to)} from the start of the prompt)."


def _where(prompt: Prompt | None, segment: int) -> str:
    if prompt is None or not 0 <= segment < len(prompt.segments):
        return ""
    return f" ({prompt.segments[segment].kind.replace('_', ' ')})"
