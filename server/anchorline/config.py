"""Settings: one `anchorline.toml` for the user, one for the project, and the same keys from the editor.

A value that does not fit is reported with its key and file and its default is used instead: a typo never
stops a plan. A project comes from strangers, so it may only make less of something: stricter, smaller, off
(`_SIZES`). It chooses no model, lifetime or price, and names no files outside itself (`USER_ONLY`).
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from anchorline import files

FILE_NAME = "anchorline.toml"
TextMode = Literal["off", "redacted", "full"]
Mode = Literal["observe", "anchors", "trim", "route"]
Plans = Literal["observe", "change"]
KeySource = Literal["client", "environment", "keyring"]
STRICTNESS: tuple[TextMode, ...] = get_args(TextMode)


class Refine(msgspec.Struct, frozen=True):
    """Refinement of the draft."""

    enabled: Annotated[bool, Meta(description="Suggest a clearer version of the prompt.")] = True
    max_hints: Annotated[
        int, Meta(ge=0, le=2, description="Maximum number of clarity hints shown per prompt.")
    ] = 2
    model_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=120,
            description="Seconds that a requested refinement waits for the local model. 0 never asks it.",
        ),
    ] = 10.0


class Ground(msgspec.Struct, frozen=True):
    """Files and symbols of the workspace that a draft is about."""

    enabled: Annotated[
        bool,
        Meta(
            description="Index the workspace and propose files, symbols and the test command that a prompt is about."
        ),
    ] = True


class Cache(msgspec.Struct, frozen=True):
    """Prompt-cache anchors."""

    anchors: Annotated[
        Literal["respect", "extend", "replace"],
        Meta(
            description="How to treat breakpoints that the client has set: keep them and add none (`respect`), add "
            "to them (`extend`), or set new ones (`replace`)."
        ),
    ] = "replace"
    ttl: Annotated[
        Literal["auto", "5m", "1h"],
        Meta(description="TTL of planned breakpoints. `auto` picks the cheapest."),
    ] = "auto"
    account: Annotated[
        str,
        Meta(
            max_length=64,
            description="Name of the provider account whose cache is used. Accounts don't share a cache.",
        ),
    ] = "default"


class Route(msgspec.Struct, frozen=True):
    """Choice of the model."""

    enabled: Annotated[
        bool, Meta(description="Suggest a model. When off, the request's own model is kept.")
    ] = True
    model: Annotated[str, Meta(max_length=128, description="Default model, for prompts that name none.")] = (
        "claude-sonnet-5"
    )
    allow: Annotated[
        tuple[str, ...],
        Meta(description="Models that may be suggested. Empty allows all models of the same provider."),
    ] = ()
    pin: Annotated[
        str, Meta(max_length=128, description="Always use this model. Empty lets Anchorline choose.")
    ] = ""
    success_usd: Annotated[
        float,
        Meta(
            ge=0,
            le=1000,
            description="How much a successful answer is worth to you, in USD. Higher values favor stronger models.",
        ),
    ] = 0.5
    sticky: Annotated[
        bool, Meta(description="Stay with a session's model unless switching pays for the lost cache.")
    ] = True


class Store(msgspec.Struct, frozen=True):
    """What is recorded, on this machine only."""

    enabled: Annotated[bool, Meta(description="Record plans and outcomes.")] = True
    text: Annotated[
        TextMode,
        Meta(
            description="Prompt text in the database: none (`off`), with secrets masked (`redacted`), or unchanged "
            "(`full`)."
        ),
    ] = "off"
    features: Annotated[
        bool,
        Meta(description="Record features for training: hashed word pieces and counts, no text."),
    ] = True
    names: Annotated[
        bool,
        Meta(
            description="Keep the names of projects, git branches, pull requests and sub-agents, for costs by them. An "
            "import reads them in session files."
        ),
    ] = True
    path: Annotated[str, Meta(description="Database file. Empty uses the platform's data folder.")] = ""


class Editor(msgspec.Struct, frozen=True):
    """What the language server shows."""

    diagnostics: Annotated[bool, Meta(description="Show diagnostics.")] = True
    hover: Annotated[
        bool,
        Meta(
            description="Show the plan on hover: on the first line, anchors and findings; elsewhere the segment."
        ),
    ] = True
    inlay_hints: Annotated[bool, Meta(description="Show token counts and breakpoints as inlay hints.")] = True
    code_lens: Annotated[bool, Meta(description="Show a one-line plan above the prompt.")] = False
    chat: Annotated[bool, Meta(description="Plan and refine drafts in VS Code's chat input too.")] = False


class Engine(msgspec.Struct, frozen=True):
    """The local language model that refinement may ask."""

    enabled: Annotated[bool, Meta(description="Use the local language model if one is installed.")] = True
    model: Annotated[
        str,
        Meta(
            max_length=64,
            description="Name of the installed model. Empty uses this machine's default. Set by `anchorline model "
            "use`.",
        ),
    ] = ""
    idle_seconds: Annotated[
        int,
        Meta(
            ge=0, le=86_400, description="Unload the model after this many idle seconds. 0 keeps it loaded."
        ),
    ] = 300
    deadline_seconds: Annotated[
        float,
        Meta(
            gt=0,
            le=600,
            description="Time limit for one request to the model, including loading it, in seconds.",
        ),
    ] = 30.0
    conversation_megabytes: Annotated[
        int,
        Meta(
            ge=0,
            le=65_536,
            description="Memory for the model's cache of recent conversations, so that the next turn only processes "
            "new text. 0 turns it off.",
        ),
    ] = 512


class Gateway(msgspec.Struct, frozen=True):
    """The loopback gateway, `anchorline gateway`."""

    mode: Annotated[
        Mode,
        Meta(
            description="What the gateway may change: `observe` records only, `anchors` sets breakpoints and TTLs, "
            "`trim` also shortens tool results, `route` also chooses the model."
        ),
    ] = "observe"
    plans: Annotated[
        Plans,
        Meta(
            description="Requests made on a subscription (a Claude plan, a ChatGPT login): `observe` never changes, "
            "reroutes or pings them, whatever the mode; `change` treats them like requests with an API "
            "key. Read the risks first: docs/how-to/gateway.md, On a plan."
        ),
    ] = "observe"
    port: Annotated[int, Meta(ge=1, le=65535, description="Port on 127.0.0.1.")] = 8917
    start: Annotated[
        bool,
        Meta(
            description="Start the gateway automatically with the editor; it stops when the last editor closes."
        ),
    ] = False
    anthropic: Annotated[
        str, Meta(max_length=2000, description="Upstream URL for requests to `/TOKEN/anthropic`.")
    ] = "https://api.anthropic.com"
    openai: Annotated[
        str, Meta(max_length=2000, description="Upstream URL for requests to `/TOKEN/openai`.")
    ] = "https://api.openai.com"
    gemini: Annotated[
        str, Meta(max_length=2000, description="Upstream URL for requests to `/TOKEN/gemini`.")
    ] = "https://generativelanguage.googleapis.com"
    anthropic_key: Annotated[
        KeySource,
        Meta(
            description="API key for Anthropic: the one the client sends (`client`), `ANTHROPIC_API_KEY` "
            "(`environment`), or the system keyring (`keyring set anchorline anthropic`)."
        ),
    ] = "client"
    openai_key: Annotated[
        KeySource,
        Meta(
            description="API key for OpenAI: the one the client sends (`client`), `OPENAI_API_KEY` (`environment`), "
            "or the system keyring (`keyring set anchorline openai`)."
        ),
    ] = "client"
    gemini_key: Annotated[
        KeySource,
        Meta(
            description="API key for Gemini: the one the client sends (`client`), `GEMINI_API_KEY` (`environment`), or "
            "the system keyring (`keyring set anchorline gemini`)."
        ),
    ] = "client"
    keepalive_usd: Annotated[
        float,
        Meta(
            ge=0,
            le=1000,
            description="Hourly budget for keep-alive pings, in USD. A ping is a request without output that keeps a "
            "cached prefix alive where that is worth its price. 0 sends none.",
        ),
    ] = 0.0


class Answers(msgspec.Struct, frozen=True):
    """The gateway's response cache: answers that are given again."""

    reuse: Annotated[
        Literal["off", "exact", "near"],
        Meta(
            description="Cache responses (stored with their text) and reuse them for identical requests (`exact`), "
            "or also for requests that differ only in spacing and known misspellings (`near`). Applies "
            "to temperature-0 requests without tools, or when a request opts in."
        ),
    ] = "off"
    hours: Annotated[
        float, Meta(gt=0, le=8760, description="How long a cached response is reused, in hours.")
    ] = 24.0
    entries: Annotated[int, Meta(ge=1, le=100_000, description="Maximum number of cached responses.")] = 1000
    megabytes: Annotated[
        int, Meta(ge=1, le=4096, description="Maximum size of all cached responses, in megabytes.")
    ] = 64


class Budget(msgspec.Struct, frozen=True):
    """What may be spent before a warning is shown: USD, or per cent of a plan's windows.

    Days and weeks are UTC; weeks begin on Monday. A plan's windows begin and end as its provider says.
    """

    day: Annotated[
        float, Meta(ge=0, le=1_000_000, description="USD a day before a warning. 0 sets no budget.")
    ] = 0.0
    week: Annotated[
        float, Meta(ge=0, le=1_000_000, description="USD a week before a warning. 0 sets no budget.")
    ] = 0.0
    project: Annotated[
        float,
        Meta(
            ge=0,
            le=1_000_000,
            description="USD a week in one project before a warning, of imported sessions. 0 sets no budget.",
        ),
    ] = 0.0
    five_hour_percent: Annotated[
        float,
        Meta(
            ge=0,
            le=100,
            description="Per cent of a plan's five-hour window before a warning. 0 sets no budget.",
        ),
    ] = 0.0
    seven_day_percent: Annotated[
        float,
        Meta(
            ge=0,
            le=100,
            description="Per cent of a plan's seven-day window before a warning. 0 sets no budget.",
        ),
    ] = 0.0
    block: Annotated[
        bool, Meta(description="Have the gateway refuse requests while a budget is used up, with status 402.")
    ] = False

    @property
    def in_usd(self) -> bool:
        """Whether there is a budget in USD."""
        return bool(self.day or self.week or self.project)

    @property
    def in_percent(self) -> bool:
        """Whether there is a budget in per cent of a plan's windows."""
        return bool(self.five_hour_percent or self.seven_day_percent)

    @property
    def is_set(self) -> bool:
        """Whether there is any budget."""
        return self.in_usd or self.in_percent


class Hooks(msgspec.Struct, frozen=True):
    """What terminal agents are told through their hooks."""

    block_usd: Annotated[
        float,
        Meta(
            ge=0,
            le=1000,
            description="Block a prompt once, with the figures, where its cache has expired and writing it anew costs "
            "this many USD or more. Sending it again goes through. In Gemini CLI it is only said. 0 never does.",
        ),
    ] = 0.5
    ground: Annotated[
        bool,
        Meta(
            description="Tell the agent with each prompt which files and symbols of its folder it is about, and which "
            "command runs their tests, where that is likely enough."
        ),
    ] = False


class Otel(msgspec.Struct, frozen=True):
    """The export of what was billed to an OpenTelemetry collector, `anchorline otel`."""

    endpoint: Annotated[
        str,
        Meta(
            max_length=2000,
            description="Base URL of the OTLP/HTTP collector that `anchorline otel` sends to, such as "
            "http://localhost:4318. Nothing is sent without that command.",
        ),
    ] = ""


class Files(msgspec.Struct, frozen=True):
    """The user's own data files, merged over the built-in ones."""

    providers: Annotated[
        str, Meta(description="TOML file with your own cache rules. See docs/reference/providers.md.")
    ] = ""
    models: Annotated[
        str, Meta(description="TOML file with your own models and prices. See docs/reference/models.md.")
    ] = ""


class Log(msgspec.Struct, frozen=True):
    """The log on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Lowest severity to log. Prompt text is never logged."),
    ] = "warning"


class Config(msgspec.Struct, frozen=True):
    """All settings."""

    refine: Refine = Refine()
    ground: Ground = Ground()
    cache: Cache = Cache()
    route: Route = Route()
    store: Store = Store()
    editor: Editor = Editor()
    engine: Engine = Engine()
    gateway: Gateway = Gateway()
    answers: Answers = Answers()
    budget: Budget = Budget()
    hooks: Hooks = Hooks()
    otel: Otel = Otel()
    files: Files = Files()
    log: Log = Log()


USER_ONLY = frozenset(
    {
        "store.path",
        "files.providers",
        "files.models",
        "cache.account",
        "engine.model",
        "otel.endpoint",
        "hooks.ground",
    }
    | {f"gateway.{field.name}" for field in msgspec.structs.fields(Gateway)}
    | {f"answers.{field.name}" for field in msgspec.structs.fields(Answers)}
)
"""Keys that a project file may not set: they name places and accounts outside the project, or have answers kept."""


STRICTER_ONLY = frozenset(
    {"store.text", "store.enabled", "store.features", "store.names", "editor.chat", "engine.enabled"}
)
"""Keys that are about privacy: an editor's settings of a workspace may not set them either."""

_SIZES: dict[str, Callable[[Any], float]] = {
    "refine.enabled": bool,
    "refine.max_hints": float,
    "refine.model_seconds": float,
    "ground.enabled": bool,
    "cache.anchors": ("respect", "extend", "replace").index,
    "route.enabled": bool,
    "store.enabled": bool,
    "store.text": STRICTNESS.index,
    "store.features": bool,
    "store.names": bool,
    "editor.diagnostics": bool,
    "editor.hover": bool,
    "editor.inlay_hints": bool,
    "editor.code_lens": bool,
    "editor.chat": bool,
    "engine.enabled": bool,
    "engine.idle_seconds": lambda seconds: seconds or math.inf,  # 0 never unloads it
    "engine.deadline_seconds": float,
    "engine.conversation_megabytes": float,
    "budget.day": lambda usd: usd or math.inf,  # 0 is none
    "budget.week": lambda usd: usd or math.inf,
    "budget.project": lambda usd: usd or math.inf,
    "budget.five_hour_percent": lambda percent: percent or math.inf,
    "budget.seven_day_percent": lambda percent: percent or math.inf,
    "hooks.block_usd": lambda usd: -usd if usd else -math.inf,  # the dearer, the less is blocked
}
"""How much a value of a key is. A project file may set these keys, to a value that is not more than the user's own."""
PROJECT_BYTES = 32_768
PROJECT_LINE = 1000
"""Longer files and lines of a project are refused: one key of 64 KiB (`a.a.a…`) is decoded for most of a minute."""


class Problem(msgspec.Struct, frozen=True):
    """A setting that was not taken: where it stands, and why not."""

    source: str
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.source}: {self.key}: {self.message}" if self.key else f"{self.source}: {self.message}"


class Loaded(msgspec.Struct, frozen=True):
    """Settings with their origin: `origins` maps each key that was set to the source that set it."""

    config: Config = Config()
    origins: dict[str, str] = {}
    problems: tuple[Problem, ...] = ()


class Key(msgspec.Struct, frozen=True):
    """One documented setting."""

    name: str
    type: str
    default: Any
    description: str
    user_only: bool


def documented() -> Iterator[Key]:
    """Yields every setting with its type, default and description, in the order of the documentation."""
    for section in msgspec.structs.fields(Config):
        for field in msgspec.structs.fields(section.type):
            name = f"{section.name}.{field.name}"
            base, meta = get_args(field.type)
            yield Key(name, _type_name(base), field.default, meta.description, name not in _SIZES)


def of_editors() -> Iterator[Key]:
    """Yields the settings that an editor has: neither the hooks' helper nor an export reads an editor's settings."""
    return (key for key in documented() if not key.name.startswith(("hooks.", "otel.")))


def _type_name(base: type) -> str:
    choices = get_args(base)
    if choices and choices[-1] is ...:
        return "list of strings"
    if choices:
        return " | ".join(f'"{choice}"' for choice in choices)
    return {bool: "boolean", int: "integer", float: "number", str: "string"}[base]


def user_file() -> Path:
    """Returns the user's settings file (`ANCHORLINE_CONFIG` overrides the platform's place)."""
    override = os.environ.get("ANCHORLINE_CONFIG")
    if override:
        return Path(override)
    return files.config_folder() / FILE_NAME


def here() -> Path | None:
    """Returns the folder that the program runs in; None where that was deleted."""
    try:
        return Path.cwd()
    except OSError:
        return None


def load(root: Path | None = None, editor: Mapping[str, Any] | None = None) -> Loaded:
    """Reads the user's file, then the project's in `root`, then the `editor`'s settings; later ones win.

    The editor's settings are the user's own, so they may say what the user's file may. Never raises.
    """
    loaded = Loaded()
    user = user_file()
    loaded = _merge_file(loaded, user, project=False)
    if root is not None and (root / FILE_NAME) != user:
        loaded = _merge_file(loaded, root / FILE_NAME, project=True)
    if editor:
        loaded = merge(loaded, editor, source="editor settings", project=False)
    return loaded


def _merge_file(loaded: Loaded, path: Path, *, project: bool) -> Loaded:
    try:
        values = _parsed(_strangers(path) if project else path.read_text("utf-8-sig"))
    except FileNotFoundError:
        return loaded
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
        problem = Problem(str(path), "", f"can't be read, its settings are ignored: {why}")
        return msgspec.structs.replace(loaded, problems=(*loaded.problems, problem))
    return merge(loaded, values, source=str(path), project=project)


def _parsed(text: str) -> dict[str, Any]:
    """Returns the values of a TOML text. Raises ValueError and RecursionError."""
    import tomllib  # noqa: PLC0415  (a tenth of the start of a command, and most have no settings file)

    return tomllib.loads(text)


def _strangers(path: Path) -> str:
    """Returns a project's file: no pipe or device, and of a size at which even the oddest is decoded at once."""
    files.check_plain(path)
    with path.open("rb") as file:
        content = file.read(PROJECT_BYTES + 1)
    if len(content) > PROJECT_BYTES or any(len(line) > PROJECT_LINE for line in content.splitlines()):
        raise OSError(f"it has more than {PROJECT_BYTES:,} bytes, or a line more than {PROJECT_LINE:,}")
    return content.decode("utf-8-sig")


def merge(loaded: Loaded, values: Mapping[str, Any], *, source: str, project: bool) -> Loaded:
    """Lays `values` (section → key → value) over `loaded`, keeping what does not fit as it was."""
    problems = list(loaded.problems)
    origins = dict(loaded.origins)
    sections = {field.name: field.type for field in msgspec.structs.fields(Config)}
    changed: dict[str, Any] = {}
    for name, given in values.items():
        if name not in sections:
            problems.append(Problem(source, name, f"no such section; there are {', '.join(sections)}"))
            continue
        if not isinstance(given, Mapping):
            problems.append(Problem(source, name, "is a section, so it takes a table of keys"))
            continue
        current = getattr(loaded.config, name)
        taken = _section(current, name, given, source, project, problems)
        if taken:
            changed[name] = msgspec.structs.replace(current, **taken)
            origins.update({f"{name}.{key}": source for key in taken})
    return Loaded(msgspec.structs.replace(loaded.config, **changed), origins, tuple(problems))


def _section(
    current: msgspec.Struct,
    name: str,
    given: Mapping[str, Any],
    source: str,
    project: bool,
    problems: list[Problem],
) -> dict[str, Any]:
    fields = {field.name: field for field in msgspec.structs.fields(type(current))}
    taken: dict[str, Any] = {}
    for key, value in given.items():
        full = f"{name}.{key}"
        field = fields.get(key)
        if field is None:
            problems.append(Problem(source, full, f"no such key; [{name}] has {', '.join(fields)}"))
        elif project and full not in _SIZES:
            problems.append(Problem(source, full, "only your own settings may set this; ignored"))
        else:
            own = getattr(current, key)
            kept = msgspec.json.encode(own).decode()
            try:
                given_value = msgspec.convert(value, field.type)
            except msgspec.ValidationError:
                problems.append(Problem(source, full, f"should be {_wanted(field.type)}; {kept} is used"))
                continue
            if project and _SIZES[full](given_value) > _SIZES[full](own):
                problems.append(Problem(source, full, f"a project can only ask for less; {kept} is kept"))
                continue
            taken[key] = given_value
    return taken


def _wanted(annotation: object) -> str:
    """Returns what a setting takes."""
    base, meta = get_args(annotation)
    kind = _type_name(base)
    if meta.le is not None:
        low = f"from {meta.ge}" if meta.ge is not None else f"over {meta.gt}"
        return f"a{'n' * (kind == 'integer')} {kind} {low} to {meta.le}"
    if meta.max_length is not None:
        return f"a {kind}, {meta.max_length} long at most"
    return "true or false" if kind == "boolean" else f"one of {kind}" if "|" in kind else f"a {kind}"
