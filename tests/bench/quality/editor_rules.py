"""Where editors place cache breakpoints, as of docs/research/placement.md. No bench: `placement` compares with them.

Each rule takes a prompt and returns (segment, lifetime) pairs, at most four, in order.
"""

from collections.abc import Callable, Iterable

from anchorline.cache.markers import markable
from anchorline.prompt.model import Prompt

Marks = list[tuple[int, str]]
Rule = Callable[[Prompt], Marks]
LARGE = 500
"""Tokens from which Continue's `optimized` takes a message to be worth a breakpoint."""


def _last(prompt: Prompt, segments: Iterable[int]) -> list[int]:
    """Return the last of the segments that may carry a marker, in a list; an empty one where none may."""
    found = [index for index in segments if markable(prompt, index)]
    return found[-1:]


def _section(prompt: Prompt, name: str) -> list[int]:
    return _last(prompt, (i for i, one in enumerate(prompt.segments) if one.section == name))


def _messages(prompt: Prompt) -> list[list[int]]:
    """Return the segments of each message."""
    found: dict[int, list[int]] = {}
    for index, segment in enumerate(prompt.segments):
        if segment.section == "messages":
            found.setdefault(segment.message, []).append(index)
    return [found[number] for number in sorted(found)]


def _ends(prompt: Prompt, messages: Iterable[list[int]]) -> list[int]:
    return [index for message in messages for index in _last(prompt, message)]


def _users(prompt: Prompt) -> list[list[int]]:
    return [one for one in _messages(prompt) if prompt.segments[one[-1]].role in ("user", "tool")]


def _short(segments: Iterable[int]) -> Marks:
    return [(segment, "5m") for segment in sorted(set(segments))][:4]


def zed(prompt: Prompt) -> Marks:
    """Last tool and system for an hour, the tail for five minutes."""
    head = [*_section(prompt, "tools"), *_section(prompt, "system")]
    return [(one, "1h") for one in head] + _short(_ends(prompt, _messages(prompt)[-1:]))


def claude_code(prompt: Prompt) -> Marks:
    """System and the last two user messages, for an hour: the main conversation on a plan.

    On API credits and in sub-agents it takes five minutes, which is `cline`'s rule
    (code.claude.com/docs/en/prompt-caching, Claude Code 2.1.332).
    """
    return [(segment, "1h") for segment, _ in cline(prompt)]


def cline(prompt: Prompt) -> Marks:
    """System and the last two user messages (Roo as well)."""
    return _short([*_section(prompt, "system"), *_ends(prompt, _users(prompt)[-2:])])


def opencode(prompt: Prompt) -> Marks:
    """The first two system blocks and the last two other messages."""
    system = [i for i, one in enumerate(prompt.segments) if one.section == "system"][:2]
    return _short([*system, *_ends(prompt, _messages(prompt)[-2:])])


def continue_system(prompt: Prompt) -> Marks:
    """`systemOnly`."""
    return _short(_section(prompt, "system"))


def continue_tools(prompt: Prompt) -> Marks:
    """`systemAndTools`, with the last two user messages."""
    head = [*_section(prompt, "tools"), *_section(prompt, "system")]
    return _short([*head, *_ends(prompt, _users(prompt)[-2:])])


def continue_optimized(prompt: Prompt) -> Marks:
    """System, last tool, the first messages over 500 tokens."""
    head = [*_section(prompt, "tools"), *_section(prompt, "system")]
    large = [one for one in _messages(prompt) if sum(prompt.segments[i].tokens for i in one) > LARGE]
    return _short([*head, *_ends(prompt, large[:2])])


def aider(prompt: Prompt) -> Marks:
    """The ends of system prompt, files (the first message here), history, and the newest message."""
    messages = _messages(prompt)
    return _short([*_section(prompt, "system"), *_ends(prompt, [*messages[:1], *messages[-2:]])])


def litellm(prompt: Prompt) -> Marks:
    """What its documentation shows: the role system and the message at index -1."""
    return _short([*_section(prompt, "system"), *_ends(prompt, _messages(prompt)[-1:])])


def copilot(prompt: Prompt) -> Marks:
    """The last tool result of the round and the newest message; tools and system take spare slots."""
    results = [
        i for i, one in enumerate(prompt.segments) if one.kind == "tool_result" and markable(prompt, i)
    ]
    typed = [one for one in _users(prompt) if prompt.segments[one[-1]].kind == "text"]
    wanted = {*results[-1:], *_ends(prompt, typed[-1:])}
    for spare in (*_section(prompt, "tools"), *_section(prompt, "system")):
        if len(wanted) < 4:
            wanted.add(spare)
    return _short(wanted)


def swe_agent(prompt: Prompt) -> Marks:
    """The last two user messages."""
    return _short(_ends(prompt, _users(prompt)[-2:]))


RULES: dict[str, Rule] = {
    "claude-code": claude_code,
    "zed": zed,
    "cline": cline,
    "opencode": opencode,
    "continue-system": continue_system,
    "continue-tools": continue_tools,
    "continue-optimized": continue_optimized,
    "aider": aider,
    "litellm": litellm,
    "copilot": copilot,
    "openhands": litellm,
    "swe-agent": swe_agent,
}
