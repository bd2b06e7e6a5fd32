"""`anchorline config`: what is set, where, and what does not fit."""

import click
import msgspec

from anchorline import config
from anchorline.cli.group import Group


@click.group(name="config", cls=Group)
def command() -> None:
    """Show and check the settings.

    \b
    Example:
      anchorline config check
    """


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", is_flag=True, help="Print the table of docs/reference/configuration.md.")
def show(as_json: bool, markdown: bool) -> None:
    """Show every setting, its value and where it comes from.

    \b
    Example:
      anchorline config show --json
    """
    if markdown:
        click.echo(table(), nl=False)
        return
    loaded = config.load(config.here())
    values = {key.name: _value(loaded.config, key.name) for key in config.documented()}
    if as_json:
        shown = {
            "settings": {
                name: {"value": value, "origin": loaded.origins.get(name, "default")}
                for name, value in values.items()
            },
            "problems": loaded.problems,
            "user_file": str(config.user_file()),
        }
        click.echo(msgspec.json.format(msgspec.json.encode(shown)).decode())
        return
    texts = {name: msgspec.json.encode(value).decode() for name, value in values.items()}
    names, width = max(map(len, texts)), max(map(len, texts.values()))
    for name, text in texts.items():
        click.echo(f"{name:{names}}  {text:{width}}  {loaded.origins.get(name, 'default')}")
    for problem in loaded.problems:
        click.echo(f"problem: {problem}", err=True)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(context: click.Context, as_json: bool) -> None:
    """Check the settings of this folder; exit with 1 if something does not fit.

    \b
    Example:
      anchorline config check
    """
    loaded = config.load(config.here())
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({"problems": loaded.problems})).decode())
    else:
        for problem in loaded.problems:
            click.echo(str(problem), err=True)
        if not loaded.problems:
            click.echo(f"No problems. Your own settings: {config.user_file()}")
    context.exit(1 if loaded.problems else 0)


def table() -> str:
    """Returns the table of all settings in Markdown."""
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key in config.documented():
        default = msgspec.json.encode(key.default).decode()
        kind = key.type.replace("|", "\\|")
        own = " Only your own settings may set it, not a project's." if key.user_only else ""
        lines.append(f"| `{key.name}` | {kind} | `{default}` | {key.description}{own} |")
    return "\n".join(lines) + "\n"


def _value(loaded: config.Config, name: str) -> object:
    section, key = name.split(".")
    return getattr(getattr(loaded, section), key)
