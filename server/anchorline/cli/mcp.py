"""`anchorline mcp`: the MCP server."""

from pathlib import Path

import click

from anchorline.cli import reading
from anchorline.config import here
from anchorline.mcp.server import serve


@click.command(name="mcp")
@click.option(
    "--root",
    "roots",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder from which an agent may have files planned; several with several --root (default: the current one).",
)
def command(roots: tuple[Path, ...]) -> None:
    """Serve agents over standard input and output (Model Context Protocol): plan, ground, warm and cost.

    Agents start this themselves (docs/how-to/mcp.md says how to add it to each). The tools only read: nothing is
    recorded or sent, and nothing is written but the index of a folder. Files are read in the folders of --root
    alone, and never through a link; your home folder and a disk's root are none.

    \b
    Examples:
      claude mcp add anchorline -- anchorline mcp
      anchorline mcp --root ~/src/app
    """
    current = here()
    log_level = reading.settings(project=False).config.log.level
    serve(roots or ((current,) if current is not None else ()), log_level)
