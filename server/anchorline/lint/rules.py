"""The catalogue of rules and their meaning. `anchorline rules --markdown` makes docs/reference/rules.md of it."""

import msgspec

from anchorline.lint.finding import Severity
from anchorline.refine.hints import RULES as CLARITY

DOCS = "https://github.com/anchorline/anchorline/blob/main/docs/reference/rules.md"


class Rule(msgspec.Struct, frozen=True):
    """One rule. `example` is a prompt (or part of one) that it fires on."""

    code: str
    title: str
    severity: Severity
    explanation: str
    example: str

    @property
    def link(self) -> str:
        """Where the rule is documented."""
        return f"{DOCS}#{self.code.lower()}"


_CLARITY = tuple(Rule(hint.code, hint.title, "hint", hint.explanation, hint.example) for hint in CLARITY)

RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in (
        *_CLARITY,
        Rule(
            "AL201",
            "Volatile text before stable text",
            "warning",
            "A date, time or random id near the top changes from one request to the next, and with it every byte that "
            "follows: nothing after it is read from the cache. Put it at the end, or into the newest message. The "
            "quick fix moves a line that says nothing else; from a line with other content it removes only the stamp "
            "and what it is called (“Current date: …”). Where the stamp is a part of what the line says (“deploy at "
            "…”), there is none.",
            "Current time: 2026-11-23T09:41:07Z",
        ),
        Rule(
            "AL202",
            "Prefix too short to be cached",
            "info",
            "The provider ignores a breakpoint whose prefix is below the model's minimum, silently.",
            '"cache_control": {"type": "ephemeral"} on a system prompt of 200 tokens',
        ),
        Rule(
            "AL203",
            "Too many breakpoints",
            "error",
            "The provider refuses a request with more breakpoints than it takes. Those within tool results and "
            "documents count, and so does the automatic one (`cache_control` at the top of the body).",
            'five blocks with "cache_control"',
        ),
        Rule(
            "AL204",
            "Short lifetime before a long one",
            "error",
            "Breakpoints with a longer lifetime must come before those with a shorter one. The automatic one is the "
            "last, and a breakpoint of one's own on its block needs the same lifetime.",
            'a block with a "5m" marker followed by one with "ttl": "1h"',
        ),
        Rule(
            "AL205",
            "Large duplicate",
            "info",
            "The same block stands here a second time. A reference to the first one says the same in fewer tokens.",
            "a file that was read twice without a change in between",
        ),
        Rule(
            "AL206",
            "Breakpoint on an empty block",
            "error",
            "The provider refuses a breakpoint on a text block that holds only white space, also in a tool's result.",
            '{"type": "text", "text": " ", "cache_control": {"type": "ephemeral"}}',
        ),
        Rule(
            "AL207",
            "Nothing is cached",
            "info",
            "This provider caches only up to a breakpoint, and the request has none.",
            "an Anthropic request of 5 000 tokens without cache_control",
        ),
        Rule(
            "AL208",
            "Sent into an expired cache",
            "warning",
            "A large prefix was warm and has expired: sending now pays for all of it again. It is also the moment at "
            "which trimming old context or switching the model costs nothing extra.",
            "the next request of a long conversation, after a break longer than the breakpoint's lifetime",
        ),
        Rule(
            "AL209",
            "Edit of instructions that are warm",
            "warning",
            "The file is part of prefixes that a provider still holds, and differs from what they hold: from the first "
            "changed line on they no longer fit, and are written again at the full price. Tokens and dollars are those "
            "of all conversations that take the edit up. Claude Code reads CLAUDE.md when a conversation begins or is "
            "resumed, and Codex AGENTS.md when a session begins: what runs goes on with the old text. The warning goes "
            "when you undo the edit or the prefixes have expired. Without a record of the file there is none: see "
            "importing.md.",
            "a line changed in a CLAUDE.md with which a conversation began ten minutes ago",
        ),
        Rule(
            "AL210",
            "Breakpoint on a deferred tool",
            "error",
            "A tool with `defer_loading` is not sent to the model before it is found, and the provider refuses a "
            "breakpoint on it. The last tool without it is the place.",
            '{"name": "lookup", "defer_loading": true, "cache_control": {"type": "ephemeral"}}',
        ),
        Rule(
            "AL211",
            "Breakpoint where none is taken",
            "error",
            "The provider refuses a breakpoint on thinking, and on the calls of tools that code made, with their "
            "results; one that knows no `cache_control` refuses it anywhere. The block before is the place.",
            '{"type": "thinking", "thinking": "…", "signature": "…", "cache_control": {"type": "ephemeral"}}',
        ),
        Rule(
            "AL301",
            "Secret in the prompt",
            "warning",
            "This looks like a key or a password. Whatever is sent to a model leaves the machine. Placeholders and "
            "keys that documentation prints (`AKIA…EXAMPLE`, jwt.io's token) are nobody's and not reported.",
            "export API_KEY=… followed by a real key",
        ),
        Rule(
            "AL302",
            "Larger than the model's context",
            "error",
            "The prompt has more tokens than the model takes.",
            "a prompt of 300 000 tokens for a model of 200 000",
        ),
        Rule(
            "AL401",
            "Not readable",
            "error",
            "The document is neither a prompt nor a request body that is known. Nothing is planned for it.",
            '{"messages": 3}',
        ),
        Rule(
            "AL402",
            "Fence that is never closed",
            "warning",
            "A fence without an end takes the rest of the prompt with it.",
            "```python\ndef main(): …",
        ),
    )
}
