"""`anchorline plan`: plans a prompt, prints the plan and records it."""

import difflib
import sys
import time
from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from anchorline import files
from anchorline.cache import markers
from anchorline.cache.markers import Splice
from anchorline.cli import reading, recording, rendering
from anchorline.config import Config
from anchorline.explain import markdown, nothing
from anchorline.gateway import splice
from anchorline.limits import shares
from anchorline.limits.state import limits
from anchorline.live import policies
from anchorline.live.recorded import recorded
from anchorline.plan import Plan, schema
from anchorline.planner import Planner
from anchorline.prompt.formats import FORMATS
from anchorline.prompt.model import EmptyPromptError, Format, Prompt
from anchorline.route.target import Targets
from anchorline.store.database import StoreError, locate
from anchorline.store.experiments import registry
from anchorline.surroundings import NOTHING, Surroundings
from anchorline.trim.results import Shortened
from anchorline.trim.trims import trims


@click.command(name="plan")
@click.argument("file", required=False)
@click.option(
    "--format", "file_format", type=click.Choice(FORMATS), help="Format of FILE, if it can't be told."
)
@click.option("--model", "target", help="Model that the prompt is set to go to.")
@click.option(
    "--surroundings",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file with what the editor knows (see docs/reference/protocol.md).",
)
@click.option(
    "--record/--no-record", default=True, help="Record the plan in the database, as the settings say."
)
@click.option(
    "--apply-anchors",
    type=click.Path(path_type=Path),
    help="Write the body with its anchors to this file (0600).",
)
@click.option(
    "--apply-trims",
    type=click.Path(path_type=Path),
    help="Write the body with its tool results as the gateway's mode `trim` would send them to this file (0600).",
)
@click.option("--schema", "print_schema", is_flag=True, help="Print the JSON Schema of a plan and exit.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def command(
    file: str | None,
    file_format: Format | None,
    target: str | None,
    surroundings: Path | None,
    record: bool,
    apply_anchors: Path | None,
    apply_trims: Path | None,
    print_schema: bool,
    as_json: bool,
) -> None:
    """Plan the prompt in FILE (``-``: standard input).

    FILE is a prompt or instruction document in Markdown, a request body (Anthropic Messages, OpenAI chat,
    Responses or Gemini), or a session file of Claude Code or Codex. An instruction document (CLAUDE.md, …) gets no
    route: the plan says what it costs with each request, and what an edit of it costs. Exits with 1 where it is empty.

    \b
    Examples:
      anchorline plan fix-parser.prompt.md
      anchorline plan body.request.json --apply-anchors planned.json
      anchorline plan ~/.claude/projects/app/0bb9a2d9.jsonl --json
    """
    if print_schema:
        click.echo(msgspec.json.format(msgspec.json.encode(schema())).decode())
        return
    if file is None:
        raise click.UsageError("name a FILE, or - for standard input")
    config = reading.settings().config
    prompt = _prompt(file, file_format, target or config.route.model)
    in_force = policies.read(registry())
    stored = recorded(config.store, time.time())
    if stored.problem is not None:
        click.echo(f"anchorline: what is warm is not known: {stored.problem}", err=True)
    shortened = Shortened(stored.replays)
    planner = Planner(config, stored.ledger, deciders=in_force.of, shortened=shortened)
    plan = planner.plan(
        prompt,
        _surroundings(surroundings),
        target=target,
        warm_files=stored.warm_files.warm(Path(file).resolve(), time.time()),
    )
    if apply_anchors is not None:
        _apply(prompt, plan, file, apply_anchors)
    if apply_trims is not None:
        if prompt.format not in ("anthropic", "openai-chat", "openai-responses"):
            raise reading.Unusable(f"{file}: trims are applied to request bodies, and this is none")
        warm = planner.warm(prompt, planner.model(prompt, target), plan.created_at)
        _write(prompt, splice.shortened(prompt, trims(prompt, shortened, warm).results), apply_trims)
    record = record and config.store.enabled and plan.instructions is None
    if record:
        shadow = None
        if (decider := in_force.shadow(plan)) is not None:
            decided = planner.plan(prompt, target=target, now=plan.created_at, decider=decider)
            shadow = decider.policy.version, decided
        recording.record(config, plan, prompt, shadow=shadow)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(plan)).decode())
        return
    rendering.show(markdown(plan, prompt, _share(config, planner.targets, plan)))
    if plan.refinement.text is not None and prompt.draft is not None:
        click.echo()
        rendering.show_diff(diff(prompt.draft.text, plan.refinement.text))
    if record:
        click.echo(f"plan {plan.id}", err=True)


def _share(config: Config, targets: Targets, plan: Plan) -> str:
    """Returns what the request takes of a window of the user's plan; nothing where that is not known."""
    try:
        return shares.of_plan(limits(locate(config.store.path), targets, plan.created_at), plan)
    except StoreError:
        return ""  # that the database can't be read was said


def diff(before: str, after: str) -> str:
    """Returns a unified diff of the draft and its refinement."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), "draft", "refined draft", n=1
    )
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


def _prompt(file: str, file_format: Format | None, model: str) -> Prompt:
    try:
        prompt = reading.prompt(file, file_format, model)
    except reading.Unusable as error:
        if isinstance(error.__cause__, EmptyPromptError):
            raise click.ClickException(f"Nothing to plan: {error.__cause__}") from error
        raise
    if not prompt.segments:
        raise click.ClickException(nothing(prompt))
    is_document = prompt.format == "markdown" and prompt.draft is not None and prompt.model is None
    if file_format is None and is_document and not _is_prompt(file):
        click.echo(
            f"anchorline: the whole of {file} is planned as a prompt (`--format markdown` says that this is meant)",
            err=True,
        )
    return prompt


def _is_prompt(file: str) -> bool:
    """Says whether a path calls itself a prompt, or is standard input."""
    path = Path(file)
    return (
        file == "-" or "prompt" in path.name.lower() or path.absolute().parent.name in ("commands", "prompts")
    )


def _surroundings(path: Path | None) -> Surroundings:
    if path is None:
        return NOTHING
    try:
        return msgspec.json.decode(path.read_bytes().removeprefix(BOM_UTF8), type=Surroundings)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise reading.Unusable(f"{path}: {error}") from error


def _apply(prompt: Prompt, plan: Plan, source: str, target: Path) -> None:
    try:
        changes = markers.splices(prompt, plan.cache.anchors)
    except markers.UnmarkableError as error:
        raise reading.Unusable(f"{source}: anchors can't be written: {error}") from error
    _write(prompt, changes, target)


def _write(prompt: Prompt, changes: Sequence[Splice], target: Path) -> None:
    try:
        files.write(target, markers.apply(prompt.load(0, sys.maxsize), changes))
    except OSError as error:
        raise reading.Unusable(f"{target}: {error.strerror or error}") from error
