"""`anchorline doctor`: whether everything is in place, and how old the data is that plans rest on."""

import importlib.metadata
import platform
import sys
from datetime import UTC, datetime

import click
import msgspec

from anchorline import __version__, config
from anchorline.cache.rules import load as load_rules
from anchorline.cli import client_check, engine_check
from anchorline.cli.check import Check
from anchorline.live import policies
from anchorline.route.catalog import load as load_catalog
from anchorline.store.database import locate, unwritable
from anchorline.store.experiments import registry
from anchorline.store.reader import Reader

STALE_DAYS = 90
"""Prices and cache rules change several times a year; older data is worth a warning."""


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
    """Look at everything once; with `measure`, time the local model as well."""
    loaded = config.load(config.here())
    return [
        Check("anchorline", "ok", f"{__version__}, Python {platform.python_version()}, {sys.platform}"),
        *_libraries(),
        *_settings(loaded),
        *_data(loaded.config),
        _store(loaded.config),
        _policy(),
        *engine_check.examine(loaded.config.engine, measured=measure),
        *client_check.examine(config.load().config),
    ]


def _libraries() -> list[Check]:
    found = [
        f"{name} {importlib.metadata.version(name)}"
        for name in ("pygls", "lsprotocol", "sqlite-utils", "msgspec")
    ]
    return [Check("libraries", "ok", ", ".join(found))]


def _settings(loaded: config.Loaded) -> list[Check]:
    if not loaded.problems:
        return [Check("settings", "ok", f"{len(loaded.origins)} set; your own file: {config.user_file()}")]
    return [
        Check("settings", "warning", str(problem), "`anchorline config show` says what is in force")
        for problem in loaded.problems
    ]


def _data(settings: config.Config) -> list[Check]:
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
    found = policies.read(registry())
    if found.problems:
        advice = "the heuristic decides; `anchorline rollback --to heuristic` ends the trouble"
        return Check("policy", "warning", found.note, advice)
    return Check(
        "policy", "ok", f"{found.standing.champion} decides" + (f"; {found.note}" if found.note else "")
    )


def _store(settings: config.Config) -> Check:
    if not settings.store.enabled:
        return Check("store", "ok", "switched off (store.enabled)")
    path = locate(settings.store.path)
    found = Reader(path).status()
    if found.problem is not None:
        broken = found.schema is None
        advice = "plans go on without it, and nothing is recorded" if broken else "update Anchorline"
        return Check("store", "error" if broken else "warning", found.problem, advice)
    problem = unwritable(path)
    if problem is not None:
        return Check("store", "error", problem, "plans go on, and nothing is recorded")
    text = {"off": "no prompt text", "redacted": "prompt text with secrets masked", "full": "prompt text"}
    return Check("store", "ok", f"{path}, keeps {text[settings.store.text]}")
