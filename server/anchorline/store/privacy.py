"""Keeps of a plan what the settings allow.

Prompt text stands in one table, `texts`, and only where `store.text` asks for it. Every other table holds
hashes, lengths, kinds, names of models, and numbers. `strip` makes it so by form: it keeps the fields that
can hold nothing else and empties the rest, whatever a later planner may write into its reasons.
"""

import re

import msgspec

from anchorline import redact
from anchorline.config import TextMode
from anchorline.plan import Plan, Refinement
from anchorline.store import tags

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}\Z")
_STAGE = re.compile(r"[a-z][a-z0-9_.]{0,31}\Z")
_POINTER = re.compile(r"(?:#\d{1,9}|(?:/(?:tools|system|messages|input|content|\d{1,9}))*)\Z")
_HASH = re.compile(r"(?:b2:|[a-z0-9]{2,8}:)?[0-9a-f]{8,128}\Z")
_CODE = re.compile(r"AL\d{3}\Z")
_ADDITION = re.compile(r"a\d{1,4}\Z")
_TTL = re.compile(r"\d{1,6}[smhd]?\Z|auto\Z")
_FAILURE = re.compile(r"[A-Za-z_]{1,48}(?:Error|Exception|Timeout)\b")


def name(text: str) -> str:
    """Returns `text` where it has the form of a name (of a model, an engine), else nothing."""
    return text if _NAME.match(text) and not redact.find(text) else ""


def plan_id(text: str) -> str:
    """Returns `text` where it has the form of a plan's id, else a hash of it."""
    return text if _ID.match(text) and not redact.find(text) else tags.tag(text)


def session(text: str) -> str:
    """Returns the hash that stands for a session: its own name may be a path."""
    return text if text.startswith("b2:") and _HASH.match(text) else tags.tag(text)


def _fits(form: re.Pattern[str], text: str) -> str:
    return text if form.match(text) else ""


def _hash(text: str) -> str:
    return text if _HASH.match(text) else tags.tag(text)


def strip(plan: Plan) -> Plan:
    """Returns `plan` without anything that could quote a prompt. Stripping twice changes nothing more.

    Numbers, positions, codes and statuses stay, and so do names of models and providers. Emptied: the refined
    text, the text and reason of each edit, messages of hints, questions, what additions name, and all reasons. Of a
    failure only the type of the error stays; the session becomes a hash.
    """
    replace = msgspec.structs.replace
    cache, route = plan.cache, plan.route
    failure = _FAILURE.match(plan.failure) if plan.failure else None
    return replace(
        plan,
        id=plan_id(plan.id),
        format=name(plan.format),
        draft_hash=_hash(plan.draft_hash) if plan.draft_hash is not None else None,
        prompt_hash=_hash(plan.prompt_hash),
        session=session(plan.session) if plan.session is not None else None,
        policy=replace(
            plan.policy,
            name=name(plan.policy.name),
            version=name(plan.policy.version),
            arm=name(plan.policy.arm),
            experiment=None if plan.policy.experiment is None else name(plan.policy.experiment),
            reason="",
        ),
        refinement=_strip_refinement(plan.refinement),
        trims=tuple(replace(trim, pointer=_fits(_POINTER, trim.pointer), reason="") for trim in plan.trims),
        cache=replace(
            cache,
            provider=name(cache.provider),
            anchors=tuple(
                replace(
                    anchor, pointer=_fits(_POINTER, anchor.pointer), ttl=_fits(_TTL, anchor.ttl), reason=""
                )
                for anchor in cache.anchors
            ),
            keepalive=replace(cache.keepalive, reason="") if cache.keepalive else None,
            miss_reasons=tuple(replace(miss, text="") for miss in cache.miss_reasons),
            reason="",
        ),
        route=replace(
            route,
            target=name(route.target),
            tier=name(route.tier),
            alternatives=tuple(
                replace(
                    option,
                    target=name(option.target),
                    tier=name(option.tier),
                    excluded=None if option.excluded is None else "",
                )
                for option in route.alternatives
            ),
            reason="",
        ),
        timing={stage: value for stage, value in plan.timing.items() if _STAGE.match(stage)},
        instructions=None
        if plan.instructions is None
        else replace(plan.instructions, model=name(plan.instructions.model)),
        failure=None if plan.failure is None else failure[0] if failure else "failed",
    )


def _strip_refinement(refinement: Refinement) -> Refinement:
    replace = msgspec.structs.replace
    return replace(
        refinement,
        reason="",
        text=None,
        edits=tuple(replace(edit, text="", reason="") for edit in refinement.edits),
        hints=tuple(replace(hint, code=_fits(_CODE, hint.code), message="") for hint in refinement.hints),
        questions=tuple(replace(question, slot="", text="") for question in refinement.questions),
        engine=name(refinement.engine),
        additions=tuple(
            replace(
                addition,
                id=_fits(_ADDITION, addition.id),
                text="",
                reason="",
                path=None,
                line=None,
                symbol=None,
            )
            for addition in refinement.additions
        ),
        structure=None,
    )


def texts(plan: Plan, draft: str | None, mode: TextMode) -> dict[str, str]:
    """Returns what `texts` keeps of a plan by kind: nothing, or draft, refined draft and the whole plan."""
    if mode == "off":
        return {}
    kept = {} if draft is None else {"draft": masked(draft, mode)}
    if plan.refinement.text is not None:
        kept["refined"] = masked(plan.refinement.text, mode)
    whole = msgspec.to_builtins(plan)
    kept["plan"] = msgspec.json.encode(_mask_all(whole, mode)).decode()
    return kept


def masked(text: str, mode: TextMode) -> str:
    """Returns `text` as `mode` keeps it, always valid UTF-8."""
    valid = text.encode("utf-8", "replace").decode()
    return valid if mode == "full" else redact.redact(valid)


def _mask_all(value: object, mode: TextMode) -> object:
    if isinstance(value, str):
        return masked(value, mode)
    if isinstance(value, dict):
        return {masked(key, mode): _mask_all(item, mode) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mask_all(item, mode) for item in value]
    return value
