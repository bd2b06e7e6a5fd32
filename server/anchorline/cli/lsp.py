"""`anchorline lsp`: the language server."""

import click

from anchorline.lsp.main import main


@click.command(name="lsp")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Least severe message that is logged on standard error (default: the setting log.level).",
)
@click.option(
    "--stdio", is_flag=True, hidden=True, help="What some editors append; there is no other transport."
)
def command(log_level: str | None, stdio: bool) -> None:  # noqa: ARG001  (accepted and ignored)
    """Serve an editor over standard input and output (Language Server Protocol 3.17).

    Editors start this themselves. Prompt text is never logged at any level.

    \b
    Example:
      anchorline lsp --log-level info 2>anchorline.log
    """
    main(log_level)
