"""What to do about each finding, and what that would have saved: the replay of exactly that change.

A fix sets a value in the client's own settings where it has one for it, and is advice in one sentence elsewhere. The
settings, by their documentation (November 2026):

- `promptCacheTtl` is the lifetime of what the main conversation writes, `5m` or `1h`; on a plan 1 h is the default, on
  credits 5 min. `subagentPromptCacheTtl` is that of sub-agents, 5 min by default everywhere (PROMPT_CACHING).
- `bashOutputMaxChars` is how many characters of a command's output are sent, 30 000 by default; of a longer one a
  preview is, and the path of a file that has all of it (SETTINGS; since 2.1.261).
- `CLAUDE_CODE_FILE_READ_MAX_OUTPUT_TOKENS` is the most that reading a file returns, 25 000 by default; of a longer one
  the agent gets the beginning, and reads on where it needs to (ENV_VARS).
- `MAX_MCP_OUTPUT_TOKENS` is the longest result of an MCP server's tool, 25 000 by default; from 10 000 on the client
  warns (MCP).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from anchorline.findings.attribution import LARGE_TOKENS, Avoidable
from anchorline.findings.evidence import CLAUDE_CODE, ClaudeCodeEvidence, Evidence
from anchorline.findings.model import Code, Fix, SettingChange
from anchorline.replay.changes import (
    Change,
    ChosenLifetimes,
    Lifetimes,
    OneModel,
    Shorter,
    Unbroken,
    WarmCompactions,
)
from anchorline.replay.interval import Interval

PROMPT_CACHING = "https://code.claude.com/docs/en/prompt-caching"
SETTINGS = "https://code.claude.com/docs/en/settings"
ENV_VARS = "https://code.claude.com/docs/en/env-vars"
MCP = "https://code.claude.com/docs/en/mcp"

CHARACTERS = 4
"""Of a token, in output of commands: the client's limit is in characters."""
READ_TOKENS = 10_000
"""Where Claude Code warns of an MCP tool's result, and 1000 lines of code for a file."""
SCALED = 0.75
"""The share of an image's tokens that are saved by half its width: they grow with its area."""
MANY = 10.0
"""So many times as much has advice to save as a setting, to be offered instead."""

Worth = Callable[[Change], Interval]


class Option(NamedTuple):
    """A fix that may pay."""

    title: str
    change: Change
    settings: tuple[SettingChange, ...] = ()


def best(code: Code, evidence: Evidence, own: ClaudeCodeEvidence, worth: Worth) -> Fix | None:
    """Returns what to do about a finding, None where nothing surely saves: the setting that saves most, else advice.

    `evidence` is that of all sessions, `own` that of Claude Code's: the settings are its own. A setting does what it
    says, and an agent may not: so advice comes first only where it saves many times as much.
    """
    settings: list[Fix] = []
    advice: list[Fix] = []
    for option in _options(code, evidence, own):
        saved = worth(option.change)
        if saved.low > 0:
            (settings if option.settings else advice).append(Fix(option.title, saved, option.settings))
    setting = max(settings, key=_saved, default=None)
    sentence = max(advice, key=_saved, default=None)
    if setting is None or (sentence is not None and _saved(sentence) > MANY * _saved(setting)):
        return sentence
    return setting


def _saved(fix: Fix) -> float:
    return fix.worth.value


def _options(code: Code, evidence: Evidence, own: ClaudeCodeEvidence) -> Iterator[Option]:
    """Yields what may pay."""
    if code == "expired":
        yield Option(
            "Keep the cache of main conversations for an hour",
            Lifetimes(main="1h", sessions=frozenset(own.sessions)),
            (_claude("promptCacheTtl", value="1h", source=PROMPT_CACHING),),
        )
        yield Option(
            "Let the gateway choose each lifetime: set `gateway.mode` to `anchors`, then "
            "`anchorline connect claude-code`",
            ChosenLifetimes(frozenset(own.sessions)),
        )
    elif code == "subagent_starts":
        yield Option(
            "Keep the cache of sub-agents for an hour",
            Lifetimes(subagents="1h", sessions=frozenset(own.sessions)),
            (_claude("subagentPromptCacheTtl", value="1h", source=PROMPT_CACHING),),
        )
    elif code == "model_switched":
        yield Option("Choose the model before the first message, and switch between sessions", OneModel())
    elif code == "compacted_cold":
        yield Option("Run /compact before a break, while the cache is warm", WarmCompactions())
    elif code in _UNBROKEN:
        yield Option(_UNBROKEN[code], Unbroken(frozenset(evidence.missed.get(code, ()))))
    elif code == "large_results":
        yield from _capped(evidence.brought.get(code, []), own.evidence.brought.get(code, []))
    elif code == "files_reread":
        yield Option(
            "Tell the agent in CLAUDE.md or AGENTS.md not to read a file again that it has read",
            Shorter(_cuts((request, part.tokens) for request, part in evidence.brought.get(code, []))),
        )
    elif code == "media_resent":
        yield Option(
            "Scale screenshots to half their width before you paste them",
            Shorter(
                _cuts(
                    (request, int(SCALED * part.tokens))
                    for request, part in evidence.brought.get(code, [])
                    if part.kind == "image" and not part.tool
                )
            ),
        )


_UNBROKEN: dict[Code, str] = {
    "history_changed": "Leave thinking and effort as they are in a session, and start a new one instead of going back",
    "tools_changed": "Connect MCP servers and change tools between sessions, not within one",
    "instructions_edited": "Edit CLAUDE.md and AGENTS.md between sessions",
    "not_readable": "Wait for the first answer before you send parallel requests",
}


class _Limit(NamedTuple):
    """A setting that limits what some tools, named by the beginning of their name, return."""

    tools: str
    tokens: int
    words: str
    setting: SettingChange


def _limits() -> Iterator[_Limit]:
    characters = CHARACTERS * LARGE_TOKENS
    yield _Limit(
        "Bash",
        LARGE_TOKENS,
        f"{characters:,} characters of a command's output",
        _claude("bashOutputMaxChars", value=characters, source=SETTINGS),
    )
    yield _Limit(
        "Read",
        READ_TOKENS,
        f"{READ_TOKENS:,} tokens of a file",
        _claude("env", "CLAUDE_CODE_FILE_READ_MAX_OUTPUT_TOKENS", value=str(READ_TOKENS), source=ENV_VARS),
    )
    yield _Limit(
        "mcp__",
        READ_TOKENS,
        f"{READ_TOKENS:,} tokens of an MCP tool's result",
        _claude("env", "MAX_MCP_OUTPUT_TOKENS", value=str(READ_TOKENS), source=MCP),
    )


def _capped(
    brought: Sequence[tuple[str, Avoidable]], own: Sequence[tuple[str, Avoidable]]
) -> Iterator[Option]:
    """Yields the limits that would have cut something of Claude Code's `own`, together, and the advice for all."""
    words: list[str] = []
    settings: list[SettingChange] = []
    cuts: list[tuple[str, int]] = []
    for limit in _limits():
        over = [
            (request, part.whole - limit.tokens)
            for request, part in own
            if part.tool.startswith(limit.tools) and part.whole > limit.tokens
        ]
        if over:
            words.append(limit.words)
            settings.append(limit.setting)
            cuts += over
    if cuts:
        listed = " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
        yield Option(f"Send at most {listed}", Shorter(_cuts(cuts)), tuple(settings))
    yield Option(
        "Have the agent search and read the lines it needs, not whole files and logs",
        Shorter(_cuts((request, part.tokens) for request, part in brought)),
    )


def _cuts(parts: Iterable[tuple[str, int]]) -> dict[str, int]:
    cuts: defaultdict[str, int] = defaultdict(int)
    for request, tokens in parts:
        if tokens > 0:
            cuts[request] += tokens
    return cuts


def _claude(*keys: str, value: bool | int | str, source: str) -> SettingChange:
    return SettingChange(CLAUDE_CODE, keys, value, source)
