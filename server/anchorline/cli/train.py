"""`anchorline train`: trains the network on the decisions recorded on this machine."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich import progress as rich
from rich.console import Console

from anchorline.cli import progress as bars
from anchorline.cli import reading
from anchorline.cli.decisions import database, folder, recorded
from anchorline.cli.terminal import steered
from anchorline.engine import requirements
from anchorline.figures import count
from anchorline.learn.checkpoint import forget
from anchorline.learn.evaluation import Evaluation, evaluate
from anchorline.learn.features import Decision
from anchorline.learn.heads import HEADS, missing, supply
from anchorline.learn.network import Network, NetworkError, load
from anchorline.learn.splits import SPLITS, Split, part
from anchorline.route.catalog import load as load_catalog
from anchorline.store import decisions as stored
from anchorline.store.database import StoreError
from anchorline.store.experiments import registry
from anchorline.trial.versions import PRIOR, DamagedVersionError, TrainingData, Version, new_id

if TYPE_CHECKING:
    from anchorline.learn.training import TrainingProgress

SCRATCH = "scratch"
INTERRUPTED = 130


class Trained(msgspec.Struct, frozen=True):
    """What a training came to. `heads` says which are to be used, `reasons` why, `refused` what others lack."""

    version: str
    folder: str
    start: str
    decisions: int
    sessions: int
    epochs: int
    seconds: float
    parameters: int
    heads: dict[str, str]
    reasons: dict[str, str]
    refused: dict[str, str]


@click.command(name="train")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31),
    default=0,
    show_default=True,
    help="Seed of the random numbers: the same seed trains the same network.",
)
@click.option("--epochs", type=click.IntRange(1, 1000), help="Passes over the data, at most.  [default: 30]")
@click.option(
    "--from",
    "start",
    metavar="VERSION",
    help=f"Start from this version, or from nothing ({SCRATCH}).  [default: the one that ships]",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print a JSON object a line: progress, then the result."
)
def command(*, seed: int, epochs: int | None, start: str | None, as_json: bool) -> None:
    """Learn from your history when your next request comes, whether the cache hits, and which model succeeds.

    Better predictions of these save money: a prefix is kept as long as it pays. Makes a new version of the network,
    which decides nothing yet. Each part of it is measured on sessions that it has not seen, and used only where it
    beats what decides now. Where there is too little to learn from you are told how much is missing. Ctrl-C leaves a
    checkpoint: call it again to go on. Exits with 1 when nothing can be trained.

    \b
    Examples:
      anchorline import claude-code && anchorline train
      anchorline experiment start
    """
    decisions = recorded()
    parts = {name: part(decisions, name) for name in SPLITS}
    labels = supply(parts["train"])
    lacks = {name: missing(head, labels[name]) for name, head in HEADS.items()}
    heads = [name for name, lack in lacks.items() if lack is None]
    refused = {name: lack for name, lack in lacks.items() if lack is not None}
    for name, lack in refused.items():
        click.echo(f"{HEADS[name].title}: not trained, it needs {lack} to learn from", err=True)
    if not heads:
        raise click.ClickException(
            "There is too little to learn from yet. Import more sessions (`anchorline import`), or let the gateway or "
            "your editor record some."
        )
    before, network = _start(start)
    _train(parts, heads, refused, before, network, seed=seed, epochs=epochs, as_json=as_json)


def _train(
    parts: dict[Split, list[Decision]],
    heads: Sequence[str],
    refused: dict[str, str],
    before: str,
    start: Network | None,
    *,
    seed: int,
    epochs: int | None,
    as_json: bool,
) -> None:
    _load_blas()
    try:
        from anchorline.learn.mlx_network import on_metal  # noqa: PLC0415  (MLX, after the BLAS, and not on every platform)
        from anchorline.learn.training import Settings, train  # noqa: PLC0415  (the same)
    except ImportError as error:
        lacks = requirements.missing(training=True) or str(error)
        raise click.ClickException(f"training needs MLX. {lacks}") from error

    settings = Settings(seed=seed) if epochs is None else Settings(seed=seed, epochs=epochs)
    unfinished, model_skills = folder(), skills()
    last: list[TrainingProgress] = []
    begun = time.monotonic()
    try:
        with _shown(as_json=as_json) as show:

            def progress(now: "TrainingProgress") -> None:
                last[:] = [now]
                show(now)

            trained = train(
                parts["train"],
                parts["held"],
                heads=heads,
                start=start,
                skills=model_skills,
                settings=settings,
                checkpoint=unfinished,
                progress=progress,
            )
        with bars.share("Measuring", quiet=as_json) as show_share:
            measured = evaluate(
                on_metal(trained),
                parts["train"],
                parts["test"],
                skills=model_skills,
                heads=heads,
                progress=show_share,
            )
    except KeyboardInterrupt:
        done = last[0].epoch - (last[0].step < last[0].steps) if last else 0
        click.echo(
            f"\nStopped after epoch {done}; call `anchorline train` again to go on from there.", err=True
        )
        sys.exit(INTERRUPTED)
    uses = {
        name: measured.heads[name] if name in heads else use
        for name, use in trained.description.heads.items()
    }
    learnt = [*parts["train"], *parts["held"]]
    result = _keep(trained.replaced(heads=uses), measured, learnt, before, settings.seed)
    forget(unfinished)
    summary = Trained(
        version=result[0],
        folder=result[1],
        start=before,
        decisions=len(parts["train"]),
        sessions=len({decision.session for decision in parts["train"]}),
        epochs=last[0].epoch,
        seconds=round(time.monotonic() - begun, 2),
        parameters=trained.parameters,
        heads=dict(uses),
        reasons=measured.reasons,
        refused=refused,
    )
    if as_json:
        click.echo(msgspec.json.encode({"kind": "result", **msgspec.to_builtins(summary)}).decode())
    else:
        _print(summary)


def skills() -> dict[str, float]:
    """Returns the skills of the catalogue's models by id."""
    catalog = load_catalog(reading.settings().config.files.models)
    return {model.id: model.skill for model in catalog.models.values()}


def _start(version: str | None) -> tuple[str, Network | None]:
    """Returns the version to start from with its network; nothing where none ships. Raises click's exceptions."""
    kept = registry()
    if version is None:
        shipped = [name for name in kept.names() if name.startswith(PRIOR)]
        version = shipped[-1] if shipped else SCRATCH
    if version == SCRATCH:
        return SCRATCH, None
    try:
        return version, load(kept.verified(version))
    except (DamagedVersionError, NetworkError) as error:
        raise click.ClickException(f"{error}. `--from {SCRATCH}` starts from nothing") from error


def _keep(
    trained: Network, measured: Evaluation, rows: Sequence[Decision], before: str, seed: int
) -> tuple[str, str]:
    """Stores a version. Returns its id and its folder. Raises click's exceptions."""
    times = [decision.at for decision in rows]
    version = Version(
        version=new_id(),
        created_at=time.time(),
        data=TrainingData(
            min(times), max(times), len(rows), len({decision.session for decision in rows}), ("train", "held")
        ),
        parent=None if before == SCRATCH else before,
        seed=seed,
        metrics=measured.metrics(),
    )
    kept, path = registry(), database()

    def write(folder: Path) -> None:
        oldest = stored.oldest(path)
        if oldest is None or oldest > min(times):
            raise click.ClickException("what it was trained on was purged meanwhile, so it is not kept")
        trained.save(folder)

    try:
        kept.add(version, write)
    except StoreError as error:
        raise reading.Unusable(str(error)) from error
    except OSError as error:
        raise reading.Unusable(f"{kept.folder}: {error.strerror or error}") from error
    return version.version, str(kept.path(version.version))


def _load_blas() -> None:
    if "mlx.core" not in sys.modules:
        from anchorline.engine import blas  # noqa: PLC0415  (only where a network is trained)

        blas.load()


@contextmanager
def _shown(*, as_json: bool) -> "Iterator[Callable[[TrainingProgress], None]]":
    """Shows progress: JSON lines, a bar with the losses on a terminal, a line an epoch elsewhere."""
    if as_json:
        yield lambda now: click.echo(
            msgspec.json.encode({"kind": "progress", **msgspec.to_builtins(now)}).decode()
        )
        return
    if not sys.stderr.isatty():
        yield lambda now: click.echo(_epoch_line(now), err=True) if now.step == now.steps else None
        return

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.TimeElapsedColumn(),
        rich.TextColumn("{task.fields[losses]}"),
    )
    with rich.Progress(*columns, console=Console(file=steered(sys.stderr)), transient=True) as bar:
        task = bar.add_task("Training", total=None, losses="")

        def show(now: "TrainingProgress") -> None:
            done = (now.epoch - 1) * now.steps + now.step
            words = f"Epoch {now.epoch}/{now.epochs}"
            bar.update(task, description=words, completed=done, total=now.epochs * now.steps)
            if now.step == now.steps:
                bar.update(task, losses=_losses(now))
                bar.console.print(_epoch_line(now), highlight=False)

        yield show


def _epoch_line(now: "TrainingProgress") -> str:
    best = "" if now.best == now.epoch else f" (best: epoch {now.best})"
    return f"Epoch {now.epoch} of {now.epochs}: {_losses(now)}{best}"


def _losses(now: "TrainingProgress") -> str:
    if not now.train:
        return "loaded from the checkpoint"
    return ", ".join(
        f"{HEADS[head].title} {value:.3f} (held out {now.held.get(head, float('nan')):.3f})"
        for head, value in now.train.items()
    )


def _print(summary: Trained) -> None:
    click.echo(
        f"{summary.version}: trained on {count(summary.decisions)} requests of {count(summary.sessions)} sessions, "
        f"{summary.epochs} epochs in {summary.seconds:.1f} s, from {summary.start}; "
        f"{summary.parameters / 1e6:.1f} M parameters"
    )
    for head, use in summary.heads.items():
        why = summary.reasons.get(head) or summary.refused.get(head, "")
        kept = "It needs " if head in summary.refused else ""
        would = (
            "would decide" if use == "network" else "not trained" if head in summary.refused else "not used"
        )
        click.echo(f"  {HEADS[head].title}: {would}. {kept}{why}")
    if "network" in summary.heads.values():
        click.echo(f"It decides nothing yet: `anchorline experiment start {summary.version}` tries it.")
    else:
        click.echo("It is no better than what decides now, so nothing changes. More history may change that.")
