"""`anchorline doctor`: checks of the installation, its data, the database, the local model and connected clients."""

import asyncio
import importlib.metadata
import platform
import sys
import time
from datetime import UTC, datetime
from typing import Literal

import click
import msgspec

from anchorline import __version__, config
from anchorline.cache.rules import load as load_rules
from anchorline.cli import connect_plugin, reading
from anchorline.cli.running import base
from anchorline.cli.top import state
from anchorline.client_settings.document import UnwritableError
from anchorline.config import Config
from anchorline.engine import blas, installed, manifest, requirements
from anchorline.engine.client import Engine
from anchorline.engine.errors import DamagedModelError
from anchorline.engine.llama import library
from anchorline.engine.measure import Speed, measure
from anchorline.engine.requirements import Format
from anchorline.figures import count
from anchorline.gateway import clients, connecting, first_party
from anchorline.gateway.metrics import GatewayState
from anchorline.generation import Unavailable
from anchorline.limits import wording
from anchorline.limits.model import TokenCounts
from anchorline.limits.state import limits
from anchorline.live import policies
from anchorline.rate_limits import Source
from anchorline.route.catalog import load as load_catalog
from anchorline.route.target import load as load_targets
from anchorline.sessions import session_files
from anchorline.sessions.agents import AGENTS
from anchorline.store.database import StoreError, locate, unwritable
from anchorline.store.experiments import registry
from anchorline.store.reader import Reader

STALE_DAYS = 90
"""Prices and cache rules change several times a year; older data is worth a warning."""
SLOW_TOKENS_PER_S = 20.0
"""Below this a rewrite of a usual prompt, 50 tokens, takes longer than one likes to wait."""
TOLD_S = 14 * 86_400.0
"""What has told of a plan's limits before that is not looked at."""
_SOURCES: dict[Source, str] = {
    "status_line": "Claude Code's status line",
    "headers": "answers through the gateway",
    "rollout": "Codex's session files",
}
_MODELS = {"anthropic": "claude-sonnet-5", "openai": "gpt-5.5"}
"""A model of each plan, to ask what its tokens take."""
_TELLING = (
    "on a plan, its status line (`anchorline connect claude-code --plugin`), the gateway (`anchorline connect`) or "
    "Codex's sessions (`anchorline import codex`) tell them"
)
ANY = "http://127.0.0.1:8917/any"
"""An address of a gateway's shape, whichever one it is."""


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at; `advice` says what would make it better."""

    name: str
    status: Literal["ok", "warning", "error"]
    message: str
    advice: str = ""


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--measure", is_flag=True, help="Load the local model and measure its speed (some seconds).")
@click.pass_context
def command(context: click.Context, as_json: bool, measure: bool) -> None:
    """Check the installation; exit with 1 if something is broken.

    \b
    Example:
      anchorline doctor --measure
    """
    checks = examine(measure=measure)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({"checks": checks})).decode())
    else:
        for check in checks:
            click.echo(f"{check.status:8} {check.name:14} {check.message}")
            if check.advice:
                click.echo(f"{'':23} {check.advice}")
    context.exit(1 if any(check.status == "error" for check in checks) else 0)


def examine(*, measure: bool = False) -> list[Check]:
    """Looks at everything once; with `measure`, time the local model as well."""
    loaded = config.load(config.here())
    return [
        Check("anchorline", "ok", f"{__version__}, Python {platform.python_version()}, {sys.platform}"),
        *_libraries(),
        *_settings(loaded),
        *_data(loaded.config),
        _store(loaded.config),
        _sessions(),
        *_limits(loaded.config, time.time()),
        _policy(),
        *_engine(loaded.config.engine, measured=measure),
        *_clients(config.load().config),
        *_plugin(),
    ]


def _libraries() -> list[Check]:
    versions = [
        f"{name} {importlib.metadata.version(name)}"
        for name in ("pygls", "lsprotocol", "sqlite-utils", "msgspec")
    ]
    return [Check("libraries", "ok", ", ".join(versions))]


def _settings(loaded: config.Loaded) -> list[Check]:
    if not loaded.problems:
        return [Check("settings", "ok", f"{len(loaded.origins)} set; your own file: {config.user_file()}")]
    return [
        Check("settings", "warning", str(problem), "`anchorline config show` says what is in force")
        for problem in loaded.problems
    ]


def _data(settings: Config) -> list[Check]:
    today = datetime.now(UTC).date()
    rules = load_rules(settings.files.providers)
    catalog = load_catalog(settings.files.models)
    ages = [age for provider in rules.providers.values() if (age := provider.age_days(today)) is not None]
    return [
        _age("cache rules", f"{len(rules.providers)} providers", max(ages, default=0), rules.problems),
        _age(
            "models",
            f"{len(catalog.models)} models",
            max(catalog.age_days(today).values(), default=0),
            catalog.problems,
        ),
    ]


def _age(name: str, what: str, days: int, problems: tuple[config.Problem, ...]) -> Check:
    if problems:
        return Check(
            name, "warning", "; ".join(map(str, problems)), "mend the file, or take it out of [files]"
        )
    if days > STALE_DAYS:
        advice = "update Anchorline, or name newer data in [files] of your settings"
        return Check(name, "warning", f"{what}, read {days} days ago", advice)
    return Check(name, "ok", f"{what}, read {days} days ago")


def _policy() -> Check:
    in_force = policies.read(registry())
    if in_force.problems:
        advice = "the heuristic decides; `anchorline rollback --to heuristic` ends the trouble"
        return Check("policy", "warning", in_force.note, advice)
    return Check(
        "policy",
        "ok",
        f"{in_force.standing.champion} decides" + (f"; {in_force.note}" if in_force.note else ""),
    )


def _store(settings: Config) -> Check:
    if not settings.store.enabled:
        return Check("store", "ok", "switched off (store.enabled)")
    path = locate(settings.store.path)
    status = Reader(path).status()
    if status.problem is not None:
        broken = status.schema is None
        advice = "plans go on without it, and nothing is recorded" if broken else "update Anchorline"
        return Check("store", "error" if broken else "warning", status.problem, advice)
    problem = unwritable(path)
    if problem is not None:
        return Check("store", "error", problem, "plans go on, and nothing is recorded")
    text = {"off": "no prompt text", "redacted": "prompt text with secrets masked", "full": "prompt text"}
    return Check("store", "ok", f"{path}, keeps {text[settings.store.text]}")


def _sessions() -> Check:
    """Says of which agents there are sessions to import."""
    counts = {
        agent.title: number
        for name, agent in AGENTS.items()
        if (number := len(session_files.files(name, agent.homes())))
    }
    if not counts:
        return Check("sessions", "ok", f"none of {', '.join(agent.title for agent in AGENTS.values())}")
    return Check("sessions", "ok", ", ".join(f"{title}: {count(number)}" for title, number in counts.items()))


def _limits(settings: Config, now: float) -> list[Check]:
    """Says what tells of a plan's limits on this machine, and what is missing to know what tokens take of them."""
    path = locate(settings.store.path)
    try:
        samples = Reader(path).limit_samples(now - TOLD_S)
        known = limits(path, load_targets(settings.files), now) if samples else None
    except StoreError:
        return []  # the check of the store says why
    if known is None:
        return [
            Check("plan limits", "ok", f"nothing has told of any for {TOLD_S / 86_400:.0f} days", _TELLING)
        ]
    newest = {(sample.provider, sample.source): sample.newest for sample in samples}
    for sample in samples:
        key = sample.provider, sample.source
        newest[key] = max(newest[key], sample.newest)
    checks = []
    for provider, plan in wording.PLANS.items():
        told = [
            f"{_SOURCES[source]} ({wording.moment(at, now)})"
            for (of, source), at in newest.items()
            if of == provider
        ]
        if not told:
            continue
        costs = known.cost(_MODELS[provider], TokenCounts(write_5m=1000))
        missing = next((cost.missing for cost in costs if cost.missing), "")
        message = f"{plan}'s are told by {', '.join(told)}"
        checks.append(
            Check("plan limits", "ok", message, f"what tokens take of them: {missing}" if missing else "")
        )
    return checks


def _engine(settings: config.Engine, *, measured: bool) -> list[Check]:
    """Looks at what the engine needs; with `measured`, loads the model and times it, or says why it can't."""
    if not settings.enabled:
        off = Check("engine", "ok", "switched off (engine.enabled)")
        return [off, *_unmeasured(measured, "the engine is off", "engine.enabled = true turns it on")]
    name = settings.model or manifest.default()
    receipt = installed.receipt(installed.folder(name))
    form = None if receipt is None else receipt.format
    if lacks := requirements.missing(form):
        none = Check("engine", "ok", f"no local model: {lacks}", "refinement goes by its rules without")
        return [none, *_unmeasured(measured, "there is no local model", lacks)]
    model = _model(name)
    checks = [_device(form), model]
    if receipt is None:
        advice = f"run `anchorline model pull {name}`, then `anchorline doctor --measure` again"
        return [*checks, *_unmeasured(measured, "no local model is installed", advice)]
    if measured and model.status == "ok":
        checks.append(_speed(settings))
    return checks


def _unmeasured(measured: bool, reason: str, advice: str) -> list[Check]:
    return [Check("model speed", "warning", f"not measured: {reason}", advice)] if measured else []


def _device(form: Format | None) -> Check:
    """Says what a model of this format, or this machine's own, is computed with."""
    if form == "gguf" or (form is None and requirements.keeps_gguf()):
        return Check("engine", "ok", f"llama.cpp ({library.version()}) on the CPU, {blas.threads()} threads")
    version = f"MLX {importlib.metadata.version('mlx')}"
    if sys.platform == "darwin":
        return Check(
            "engine", "ok", f"{version} on {'Metal' if platform.machine() == 'arm64' else 'the CPU'}"
        )
    blas_library = blas.find()
    if blas_library is None:
        return Check(
            "engine",
            "warning",
            f"{version} on the CPU with its own, unoptimised BLAS: many times slower",
            blas.ADVICE,
        )
    return Check(
        "engine", "ok", f"{version} on the CPU, BLAS {blas.file(blas_library)}, {blas.threads()} threads"
    )


def _model(name: str) -> Check:
    folder = installed.folder(name)
    if installed.receipt(folder) is None:
        return Check(
            "local model",
            "ok",
            f"none: {name} is not installed",
            f"`anchorline model pull {name}` installs it",
        )
    try:
        receipt = installed.verify(folder)
    except DamagedModelError as error:
        return Check("local model", "error", str(error))
    return Check("local model", "ok", f"{name}, {receipt.size / 1e6:,.0f} MB in {folder}")


def _speed(settings: config.Engine) -> Check:
    async def run() -> Speed:
        engine = Engine(settings)
        try:
            return await measure(engine)
        finally:
            await engine.close()

    try:
        speed = asyncio.run(run())
    except Unavailable as error:
        return Check("model speed", "error", str(error))
    figures = (
        f"prefill {speed.prefill_tokens_per_s:g}, decode {speed.decode_tokens_per_s:g} tokens/s; first token after "
        f"{speed.first_token_ms:.0f} ms of {speed.prompt_tokens}; {speed.peak_memory_mb:g} MB"
    )
    slow = speed.decode_tokens_per_s < SLOW_TOKENS_PER_S
    advice = "a smaller model, a free processor or Apple silicon would be faster" if slow else ""
    return Check("model speed", "ok", figures, advice)


def _clients(config: Config) -> list[Check]:
    """Looks at each client whose settings name a gateway, this one or another."""
    connected = [client for client in clients.clients(ANY).values() if _pointed(client)]
    if not connected:
        return []
    try:
        address = base()
    except reading.Unusable as error:
        return [Check(client.name, "error", str(error)) for client in connected]
    try:
        running = state(f"{address}/status")
    except reading.Unusable:
        running = None
    now = clients.clients(address)
    held = _held(running) if running is not None else []
    return [*(_client(now[client.name], config, running) for client in connected), *held]


def _plugin() -> list[Check]:
    """Looks at Claude Code's plugin, where it is installed."""
    try:
        problem = connect_plugin.problem()
    except (UnwritableError, OSError) as error:
        problem = str(error)
    if problem is None:
        return []
    if not problem:
        return [Check("claude plugin", "ok", "installed, and its client answers")]
    advice = "`anchorline connect claude-code --plugin --write` installs it anew; `disconnect` takes it out"
    return [Check("claude plugin", "warning", problem, advice)]


def _held(running: GatewayState) -> list[Check]:
    """Says what goes through the gateway unchanged, although its mode says otherwise."""
    changes = running.mode != "observe"
    return [
        Check(
            "gateway",
            "warning" if changes else "ok",
            f"unchanged: {unchanged.what} ({unchanged.requests}): {unchanged.why}",
        )
        for unchanged in running.held
    ]


def _pointed(client: clients.Client) -> bool:
    settings = connecting.settings(client)
    return settings is not None and any(
        connecting.ours(settings.get(path), value) for path, value in client.values.items()
    )


def _client(client: clients.Client, config: Config, running: GatewayState | None) -> Check:
    settings = connecting.settings(client)
    if settings is None:
        return Check(client.name, "error", f"{client.file} can't be read any more")
    again = f"`anchorline connect {client.name} --write`"
    other = connecting.hindrance(client)
    if other:
        return Check(client.name, "warning", f"does not use the gateway: {other}")
    named = ((settings.get(path), value) for path, value in client.values.items())
    if any(connecting.ours(now, value) and now != value for now, value in named):
        message = f"{client.file} names another address than this gateway's"
        return Check(client.name, "error", message, f"{again} corrects it")
    if running is None:
        advice = f"start it (`anchorline gateway`), or `anchorline disconnect {client.name}`"
        return Check(
            client.name, "warning", "uses the gateway, which does not run: it gets no answers", advice
        )
    if any(settings.get(path) is not None for path in clients.FIRST_PARTY):
        seen = msgspec.structs.replace(
            config, gateway=msgspec.structs.replace(config.gateway, mode=running.mode)
        )
        reason = first_party.refusal(seen)
        if reason:
            message = f"takes the gateway for Anthropic's own address, but {reason}"
            return Check(client.name, "warning", message, f"{again} takes that back")
    unset = [path[-1] for path in client.defaults if settings.get(path) is None]
    if unset:
        return Check(
            client.name, "warning", f"uses the gateway without {', '.join(unset)}", f"{again} sets it"
        )
    return Check(client.name, "ok", f"uses the gateway, which runs in mode {running.mode}")
