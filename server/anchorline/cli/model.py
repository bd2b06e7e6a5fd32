"""`anchorline model`: the local language models, and which of them refines."""

import click

from anchorline.engine import installed, manifest, sources
from anchorline.engine.errors import PullError
from anchorline.engine.manifest import UnknownModelError


@click.group(name="model")
def command() -> None:
    """List, fetch, choose and remove local language models.

    \b
    Example:
      anchorline model pull smollm2-135m
    """


@command.command()
@click.argument("name")
def pull(name: str) -> None:
    """Fetch and install a model.

    \b
    Example:
      anchorline model pull smollm2-135m
    """
    try:
        model = manifest.find(name)
        sources.pull(model)
    except (UnknownModelError, PullError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{model.id} is installed in {installed.folder(model.id)}.")
