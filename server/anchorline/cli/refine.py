"""`anchorline refine`: a clearer prompt and facts of the workspace, each accepted by itself; applied when asked to."""

import shlex
import sys
import time
from pathlib import Path

import click
import msgspec

from anchorline import files
from anchorline.cache import markers
from anchorline.cache.markers import Splice
from anchorline.cli import grounding, reading, recording, rendering
from anchorline.cli.ground import show
from anchorline.cli.plan import diff
from anchorline.config import Config
from anchorline.index.folder import UnindexableError
from anchorline.live import policies
from anchorline.live.recorded import recorded
from anchorline.outcome import Decision, Outcome
from anchorline.plan import Addition, Plan, Refinement
from anchorline.planner import Planner
from anchorline.prompt.model import Draft, Prompt
from anchorline.refine.context_lines import with_additions
from anchorline.store.experiments import registry
from anchorline.surroundings import NOTHING, Surroundings
from anchorline.workspace.files import WorkspaceFiles
from anchorline.workspace.look import Sources, look

ALL = "all"


def _names(
    context: click.Context,  # noqa: ARG001  (click's signature)
    parameter: click.Parameter,  # noqa: ARG001
    values: tuple[str, ...],
) -> tuple[str, ...]:
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


@click.command(name="refine")
@click.argument("file")
@click.option(
    "--apply", "applied", is_flag=True, help="Write the refined prompt into FILE (``-``: print it)."
)
@click.option(
    "--add",
    "added",
    multiple=True,
    callback=_names,
    metavar="IDS",
    help="Additions to make, such as a1,a3, or all.",
)
@click.option(
    "--structure",
    "structured",
    is_flag=True,
    help="Take your sentences under Goal, Context, Constraints and Checks instead of the edits.",
)
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The workspace (default: the current folder).",
)
@click.option(
    "--session",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Session file of your agent: what it has edited last counts.",
)
@click.option(
    "--record/--no-record", default=True, help="Record what was shown and decided, as the settings say."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    context: click.Context,
    *,
    file: str,
    applied: bool,
    added: tuple[str, ...],
    structured: bool,
    root: Path | None,
    session: Path | None,
    record: bool,
    as_json: bool,
) -> None:
    """Suggest a clearer version of the prompt in FILE (``-``: standard input), and what the workspace can add to it.

    Shows the difference, then numbered additions: files, symbols and the command that runs their tests, each with
    its probability and reason. Nothing is changed without --apply. Exits with 1 where there is nothing to suggest.

    \b
    Examples:
      anchorline refine fix-timeout.prompt.md
      anchorline refine fix-timeout.prompt.md --apply --add a1,a3
      pbpaste | anchorline refine - --apply --add all
    """
    config = reading.settings().config
    prompt = reading.prompt(file, None, config.route.model)
    draft = prompt.draft
    if draft is None or not draft.text.strip():
        raise click.ClickException(f"{file}: there is no prompt in it")
    if applied and (prompt.format != "markdown" or draft.encoded):
        raise reading.Unusable(f"{file}: --apply writes prompt documents (Markdown), and this is none")
    folder = grounding.workspace(root)
    plan = _planned(config, prompt, draft, folder)
    additions = _additions(config, plan.refinement, draft, folder, session, file, quiet=as_json)
    refinement = msgspec.structs.replace(plan.refinement, additions=additions)
    plan = msgspec.structs.replace(plan, refinement=refinement)
    chosen = _chosen(additions, added)
    wording = _wording(refinement, draft, structured=structured)
    text = with_additions(wording, chosen)
    changes = text != draft.text
    outcome = None
    if applied and not (as_json and file == "-"):
        _apply(prompt, draft, text, file)
    if applied and changes:
        outcome = _outcome(plan.id, additions, chosen, worded=wording != draft.text, named=ALL not in added)
    if record and config.store.enabled:
        recording.record(config, plan, prompt, outcome=outcome)
    if as_json:
        answer = {"plan": plan.id, "refinement": refinement, "text": text if changes else None}
        click.echo(msgspec.json.format(msgspec.json.encode(answer)).decode())
    elif applied:
        _confirm(file, chosen, refinement, changed=changes)
    else:
        _propose(file, draft.text, text, refinement)
    suggests = changes or refinement.additions or refinement.structure is not None
    context.exit(0 if suggests else 1)


def _planned(config: Config, prompt: Prompt, draft: Draft, folder: Path) -> Plan:
    stored = recorded(config.store, time.time())
    planner = Planner(config, stored.ledger, deciders=policies.read(registry()).of)
    return planner.plan(prompt, _surroundings(draft.text, folder))


def _surroundings(draft: str, folder: Path) -> Surroundings:
    """Returns what the files of the workspace tell about the draft; nothing if looking fails."""
    try:
        return look(draft, NOTHING, Sources(WorkspaceFiles((folder,)), {}), search=True)
    except Exception:  # noqa: BLE001  (fail open: a strange file must not cost the refinement)
        return NOTHING


def _additions(
    config: Config,
    refinement: Refinement,
    draft: Draft,
    folder: Path,
    session: Path | None,
    file: str,
    *,
    quiet: bool,
) -> tuple[Addition, ...]:
    """Returns the facts that could be added; none, said on standard error, where the folder can't be indexed."""
    if not (config.ground.enabled and config.refine.enabled):
        return ()
    own = () if file == "-" else (Path(file),)
    try:
        return grounding.ground(
            draft.text, folder, config, session=session, without=own, refined=refinement.text, quiet=quiet
        )
    except UnindexableError as error:
        reason = str(error)
    except OSError as error:
        reason = f"{folder}: {error.strerror or error}"
    click.echo(f"anchorline: nothing is added: {reason}", err=True)
    return ()


def _chosen(additions: tuple[Addition, ...], names: tuple[str, ...]) -> tuple[Addition, ...]:
    if ALL in names:
        return additions
    unknown = [name for name in names if name not in {addition.id for addition in additions}]
    if unknown:
        has = ", ".join(addition.id for addition in additions) or "none"
        raise click.UsageError(f"no addition {', '.join(unknown)} (there are: {has})")
    return tuple(addition for addition in additions if addition.id in names)


def _wording(refinement: Refinement, draft: Draft, *, structured: bool) -> str:
    if not structured:
        return refinement.text if refinement.text is not None else draft.text
    edit = refinement.structure
    if edit is None:
        raise click.ClickException("there is nothing to structure: the draft is short, or in parts already")
    return draft.text[: edit.start] + edit.text + draft.text[edit.end :]


def _outcome(
    plan: str, additions: tuple[Addition, ...], chosen: tuple[Addition, ...], *, worded: bool, named: bool
) -> Outcome:
    """Returns the outcome: who names some of the additions has looked at all of them."""
    decisions: dict[str, Decision] = {}
    if chosen:
        decisions = {addition.id: "rejected" for addition in additions} if named else {}
        decisions |= {addition.id: "accepted" for addition in chosen}
    return Outcome(
        plan,
        decision="accepted" if worded else None,
        edit_distance=0 if worded else None,
        additions=decisions,
    )


def _apply(prompt: Prompt, draft: Draft, text: str, file: str) -> None:
    """Writes the document with the draft replaced: into its file, or to standard output for ``-``."""
    before = prompt.load(0, sys.maxsize)
    splice = Splice(draft.start, before[draft.start : draft.end], text.encode())
    after = markers.apply(before, (splice,))
    if file == "-":
        _print(after)
        return
    path = Path(file).resolve()  # a link stays one
    try:
        if path.read_bytes() != before:
            raise reading.Unusable(f"{file}: it has changed meanwhile, so it was left as it is")
        if after != before:
            files.write(path, after, mode=path.stat().st_mode & 0o777)
    except OSError as error:
        raise reading.Unusable(f"{file}: {error.strerror or error}") from error


def _print(document: bytes) -> None:
    """Prints a document: as it is for a program, with control characters made visible on a terminal."""
    if sys.stdout.isatty():
        click.echo(document.decode("utf-8", "replace"), nl=not document.endswith(b"\n"))
    else:
        sys.stdout.buffer.write(document)
        sys.stdout.buffer.flush()


def _confirm(file: str, chosen: tuple[Addition, ...], refinement: Refinement, *, changed: bool) -> None:
    if file != "-" and changed:
        click.echo(f"{file} is refined.", err=True)
    for addition in chosen:
        click.echo(f"added: {addition.text}", err=True)
    if not changed:
        click.echo(f"Nothing was changed: {refinement.reason}.", err=True)


def _propose(file: str, draft: str, text: str, refinement: Refinement) -> None:
    if text != draft:
        rendering.show_diff(diff(draft, text))
    else:
        click.echo(f"The wording stays: {refinement.reason}.")
    for question in refinement.questions:
        click.echo(f"? {question.text}")
    if refinement.additions:
        click.echo("\nThe workspace can add:\n")
        show(refinement.additions)
    if text == draft and not refinement.additions:
        return
    command = f"anchorline refine {shlex.quote(file)} --apply"
    if refinement.additions:
        ids = ",".join(addition.id for addition in refinement.additions[:2])
        command += f" --add {ids}"
    click.echo(f"\nApply it: {command}{'   (or --add all)' if refinement.additions else ''}")
    if refinement.structure is not None:
        click.echo("Or your sentences under Goal, Context, Constraints and Checks: add --structure")
