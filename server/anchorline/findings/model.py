"""The overview: what was spent, the findings ranked by their cost, and one fix each with its worth.

Money is USD, days are UTC. docs/explain/findings.md says what each finding means and how its dollars are counted.
"""

from typing import Literal

import msgspec

from anchorline.replay.interval import Interval

Code = Literal[
    "expired",
    "history_changed",
    "model_switched",
    "tools_changed",
    "compacted_cold",
    "instructions_edited",
    "not_readable",
    "files_reread",
    "large_results",
    "subagent_starts",
    "media_resent",
    "no_commit",
]
"""The kinds of findings. ``no_commit`` is an observation: its dollars are in the other ones and the rest as well."""


class Example(msgspec.Struct, frozen=True):
    """Where a finding was worst: the dollars of one session on one day.

    `project` is the session's folder, None where it is not known or names are not kept (`store.names`). `session` is
    its key in the database.
    """

    project: str | None
    day: str
    usd: float
    session: str


class SettingChange(msgspec.Struct, frozen=True):
    """A value for a client's own settings file, at the path of `keys`.

    `client` is ``claude-code`` (settings.json), ``codex`` (config.toml) or ``gemini-cli`` (settings.json). `source` is
    where the client documents the setting.
    """

    client: str
    keys: tuple[str, ...]
    value: bool | int | str
    source: str


class Fix(msgspec.Struct, frozen=True):
    """What to do about a finding. `changes` are made by `anchorline fix`; where there are none, `title` is advice.

    `worth` is what exactly this would have saved on the user's own history, in USD, both sides simulated.
    """

    title: str
    worth: Interval
    changes: tuple[SettingChange, ...] = ()


class FindingTokens(msgspec.Struct, frozen=True):
    """Tokens of a model that need not have been sent so. `read` is below 0 where they should have been read."""

    model: str
    input: int
    read: int
    write_5m: int
    write_1h: int


class CostFinding(msgspec.Struct, frozen=True):
    """`requests` in which something cost `usd` that it need not have: `tokens`, by model.

    `count` is how often it occurred, in `unit` ("returns", "files", …). Of ``no_commit``, `usd` is all that its
    sessions cost: dollars that the other findings and the rest have already.
    """

    code: Code
    title: str
    count: int
    unit: str
    requests: int
    usd: float
    worst: Example | None = None
    fix: Fix | None = None
    tokens: tuple[FindingTokens, ...] = ()


class AgentUse(msgspec.Struct, frozen=True):
    """What one agent was used for. `agent` is ``gateway`` for what no session file has."""

    agent: str
    sessions: int
    requests: int
    usd: float


class Overview(msgspec.Struct, frozen=True):
    """What was spent and on what. `usd` is the sum of all `findings` and of `rest`, which is no finding's.

    `findings` are ranked by cost, `observations` are shown apart. Of `unpriced` requests no price is known. Times are
    epoch seconds, None where nothing is recorded. `days` are those with a request.
    """

    agents: tuple[AgentUse, ...]
    first_at: float | None
    last_at: float | None
    days: int
    sessions: int
    requests: int
    unpriced: int
    usd: float
    findings: tuple[CostFinding, ...]
    rest: float
    observations: tuple[CostFinding, ...] = ()
    schema: Literal[1] = 1
