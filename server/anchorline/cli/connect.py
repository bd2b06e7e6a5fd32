"""`anchorline connect` and `disconnect`: point a client at the gateway, or back at its provider."""

from difflib import get_close_matches

import click

from anchorline.cli import connect_hooks, connect_notify, connect_plugin, reading
from anchorline.cli.running import base
from anchorline.client_settings.document import UnwritableError
from anchorline.gateway import clients, connecting
from anchorline.gateway import first_party as asserted
from anchorline.hooks import extension

NAMES = (
    "claude-code",
    "codex",
    "opencode",
    "pi",
    "gemini-cli",
    "qwen-code",
    "cline-cli",
    "zed",
    "vscode",
    "continue",
    "cline",
    "aider",
    "llm",
    "mini-swe-agent",
)
ROUTED = (
    "In mode route an answer names the model that gave it, and a client may go on with that one\n"
    "(claude --continue does), also after routing is switched off."
)


class _Client(click.ParamType[str]):
    """A client by its name."""

    name = "client"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the name."""
        name = str(value).lower()
        if name not in NAMES:
            similar = get_close_matches(name, NAMES, n=1)
            hint = f" Did you mean {similar[0]}?" if similar else ""
            self.fail(f"no client is called {value}.{hint} There are {', '.join(NAMES)}.", param, ctx)
        return name


def _missing(what: str) -> click.UsageError:
    return click.UsageError(f"name the CLIENT to {what}: {', '.join(NAMES)}")


@click.command(name="connect")
@click.argument("client", type=_Client(), required=False)
@click.option("--write", is_flag=True, help="Change the client's settings file; a copy of it is kept.")
@click.option(
    "--first-party",
    is_flag=True,
    help="claude-code: have it take the gateway for Anthropic's own address, by a variable that it doesn't document. "
    "Only where the gateway passes everything on unchanged to Anthropic's API.",
)
@click.option(
    "--plugin",
    is_flag=True,
    help="claude-code: install its plugin and status line, instead of the gateway. Works without a network.",
)
@click.option(
    "--notify", is_flag=True, help="codex: have it tell Anchorline when a turn ends, instead of the gateway."
)
@click.option(
    "--hooks",
    is_flag=True,
    help="gemini-cli, qwen-code: install an extension whose hooks record each turn, instead of the gateway. Works "
    "without a network.",
)
def command(
    client: str | None, write: bool, first_party: bool, plugin: bool, notify: bool, hooks: bool
) -> None:
    """Show the setting that makes CLIENT use the gateway; with --write, make it.

    CLIENT is claude-code, codex, opencode, pi, gemini-cli, qwen-code, cline-cli, zed, vscode, continue, cline, aider,
    llm or mini-swe-agent. `anchorline disconnect CLIENT` takes it back. Exits with 1 where the setting has to be made
    by hand.

    \b
    Examples:
      anchorline connect claude-code
      anchorline connect codex --write
      anchorline connect claude-code --write --first-party
      anchorline connect claude-code --plugin --write
      anchorline connect codex --notify --write
      anchorline connect gemini-cli --hooks --write
    """
    if client is None:
        raise _missing("connect")
    if plugin:
        if client != "claude-code" or first_party:
            raise click.UsageError("--plugin is for claude-code, by itself")
        (connect_plugin.install if write else connect_plugin.show)()
        return
    if notify:
        if client != "codex" or first_party:
            raise click.UsageError("--notify is for codex, by itself")
        (connect_notify.install if write else connect_notify.show)()
        return
    if hooks:
        if client not in extension.SURFACES or first_party:
            raise click.UsageError("--hooks is for gemini-cli and qwen-code, by itself")
        (connect_hooks.install if write else connect_hooks.show)(client)
        return
    entry = clients.clients(base(), first_party=first_party)[client]
    config = reading.settings(project=False).config
    note = f"{entry.note}\n{ROUTED}" if config.gateway.mode == "route" else entry.note
    if first_party:
        if client != "claude-code":
            raise click.UsageError("--first-party is for claude-code")
        reason = asserted.refusal(config)
        if reason:
            raise click.ClickException(f"--first-party: {reason}")
    if not write:
        click.echo(f"{entry.title}{f', in {entry.file}' if entry.file else ''}:\n\n{entry.shown}\n")
        click.echo(note)
        start = "Start the gateway with `anchorline gateway`: the client needs it as long as the setting is there."
        click.echo(f"\n{start}" + (" `--write` makes the setting for you." if entry.file else ""))
        return
    is_new = entry.file is not None and not entry.file.exists()
    try:
        copy = connecting.connect(entry)
    except UnwritableError as error:
        click.echo(f"{entry.shown}\n")
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise reading.Unusable(f"{error.filename}: {error.strerror}") from error
    other = connecting.hindrance(entry)
    now = f"does not use the gateway yet: {other}." if other else "uses the gateway now"
    click.echo(f"{entry.title} {now} ({entry.file}).\n{note}")
    before = "There was no such file before." if is_new else f"The file as it was: {copy}."
    click.echo(
        f"{before} Start the gateway with `anchorline gateway`; `anchorline disconnect {client}` takes it back."
    )


@click.command(name="disconnect")
@click.argument("client", type=_Client(), required=False)
def disconnect(client: str | None) -> None:
    """Take out of CLIENT's settings what `anchorline connect CLIENT --write` has put in.

    Everything else stays as it is by now. Exits with 1 where there is nothing to take out.

    \b
    Example:
      anchorline disconnect claude-code
    """
    if client is None:
        raise _missing("disconnect")
    entry = clients.clients(base())[client]
    try:
        if client == "claude-code":
            entry = connect_plugin.with_plugin(entry)
        elif client == "codex":
            entry = connect_notify.with_notify(entry)
        done = connecting.disconnect(entry)
        if client == "claude-code":
            done |= connect_plugin.remove()
        elif client in extension.SURFACES:
            done |= extension.remove(client)
    except UnwritableError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise reading.Unusable(f"{error.filename}: {error.strerror}") from error
    if not done:
        raise click.ClickException(f"{entry.title} was not connected by `anchorline connect --write`.")
    click.echo(f"{entry.title} has nothing of `anchorline connect` in its settings any more ({entry.file}).")
