"""`anchorline outcome`: records what became of a plan, for editors and scripts without the language server."""

import re
import time
from datetime import datetime
from typing import get_args

import click
import msgspec

from anchorline.cli import reading, tables
from anchorline.cli.store import settings
from anchorline.outcome import AdditionId, Decision, Feedback, Outcome, PlanId, Usage
from anchorline.store import database
from anchorline.store.database import StoreError
from anchorline.store.reader import Reader
from anchorline.store.recorder import Recorder

TIMEOUT_S = 30.0
_SIGNAL = re.compile(r"([A-Za-z][A-Za-z0-9_.-]{0,63})=(true|false|-?\d{1,15}(?:\.\d{1,15})?)\Z")


DECISIONS = get_args(Decision)
LISTED = 20
"""Plans that are listed."""


def _id(
    context: click.Context,  # noqa: ARG001  (click's signature)
    parameter: click.Parameter,  # noqa: ARG001
    value: str | None,
) -> str | None:
    try:
        return None if value is None else msgspec.convert(value, PlanId)
    except msgspec.ValidationError:
        raise click.BadParameter(f"{value!r} is no plan's id; `anchorline plan FILE` prints one") from None


def _signals(
    context: click.Context,  # noqa: ARG001  (click's signature)
    parameter: click.Parameter,  # noqa: ARG001
    values: tuple[str, ...],
) -> dict[str, bool | int | float]:
    signals: dict[str, bool | int | float] = {}
    for given in values:
        match = _SIGNAL.match(given)
        if match is None:
            raise click.BadParameter(f"{given!r} is not NAME=true, NAME=false or NAME=NUMBER")
        signals[match[1]] = msgspec.json.decode(match[2].encode(), type=bool | int | float)
    return signals


def _additions(
    context: click.Context,  # noqa: ARG001  (click's signature)
    parameter: click.Parameter,  # noqa: ARG001
    values: tuple[str, ...],
) -> dict[AdditionId, Decision]:
    pairs = dict(value.partition("=")[::2] for value in values)
    try:
        return msgspec.convert(pairs, dict[AdditionId, Decision])
    except msgspec.ValidationError:
        raise click.BadParameter(f"each is ID=DECISION, such as a1={' or '.join(DECISIONS)}") from None


@click.command(name="outcome")
@click.argument("plan_id", required=False, callback=_id)
@click.option("--decision", type=click.Choice(DECISIONS), help="The developer's choice.")
@click.option(
    "--addition",
    "additions",
    multiple=True,
    callback=_additions,
    metavar="ID=DECISION",
    help="The choice about one addition.",
)
@click.option("--target", metavar="MODEL", help="The model that answered.")
@click.option(
    "--edit-distance",
    type=click.IntRange(min=0),
    metavar="N",
    help="Characters between proposal and what was kept.",
)
@click.option(
    "--input",
    "input_tokens",
    type=click.IntRange(min=0),
    metavar="N",
    help="Input tokens billed, without cache tokens.",
)
@click.option(
    "--read", "read_tokens", type=click.IntRange(min=0), metavar="N", help="Tokens read from the cache."
)
@click.option(
    "--write", "write_tokens", type=click.IntRange(min=0), metavar="N", help="Tokens written to the cache."
)
@click.option("--output", "output_tokens", type=click.IntRange(min=0), metavar="N", help="Output tokens.")
@click.option("--latency-ms", type=click.FloatRange(min=0), metavar="MS", help="Time to the whole answer.")
@click.option(
    "--signal",
    "signals",
    multiple=True,
    callback=_signals,
    metavar="NAME=VALUE",
    help="An observation after it.",
)
@click.option("--thumbs", type=click.Choice(["up", "down"]), help="Feedback on the plan.")
@click.option(
    "--note", default="", metavar="TEXT", help="A note with the thumbs; kept only where store.text is on."
)
@click.option("--list", "listed", is_flag=True, help="List the newest plans with their ids, and exit.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    plan_id: str | None,
    listed: bool,
    target: str | None,
    decision: str | None,
    additions: dict[AdditionId, Decision],
    edit_distance: int | None,
    input_tokens: int | None,
    read_tokens: int | None,
    write_tokens: int | None,
    output_tokens: int | None,
    latency_ms: float | None,
    signals: dict[str, bool | int | float],
    thumbs: str | None,
    note: str,
    as_json: bool,
) -> None:
    """Record what became of the plan PLAN_ID.

    It is on disk when the command ends with 0. Exits with 1 when no such plan is recorded, recording is off, or nothing
    was said.

    \b
    Example:
      id=$(anchorline plan fix.prompt.md --json | jq -r .id)
      anchorline outcome $id --decision accepted --read 90000 --write 1200 --output 800
    """
    if listed:
        _list(as_json=as_json)
        return
    if plan_id is None:
        raise click.UsageError("name a PLAN_ID; `anchorline outcome --list` has those of the newest plans")
    tokens = (input_tokens, read_tokens, write_tokens, output_tokens)
    try:
        usage = None
        if any(count is not None for count in tokens):
            usage = Usage(input_tokens or 0, read_tokens or 0, write_tokens or 0, output_tokens or 0)
        has_outcome = (
            any(value is not None for value in (target, decision, edit_distance, usage, latency_ms))
            or signals
            or additions
        )
        outcome = _outcome(
            {
                "planId": plan_id,
                "target": target,
                "decision": decision,
                "editDistance": edit_distance,
                "usage": msgspec.to_builtins(usage) if usage else None,
                "latencyMs": latency_ms,
                "signals": signals,
                "additions": additions,
            }
        )
        feedback = _feedback(plan_id, thumbs, note)
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from error
    if not has_outcome and feedback is None:
        raise click.ClickException("There is nothing to record: give a decision, tokens, a signal or thumbs.")
    chosen = settings()
    if not chosen.enabled:
        raise click.ClickException("Recording is off (store.enabled), so nothing was recorded.")
    path = database.locate(chosen.path)
    recorder = Recorder(path, chosen.text, on_notice=reading.notice)
    try:
        recorder.open().result(TIMEOUT_S)
        if not Reader(path).knows(plan_id):
            raise click.ClickException(
                f"No plan {plan_id} is recorded, so nothing was. `anchorline outcome --list` lists the newest; "
                "`anchorline plan FILE --json | jq -r .id` makes one."
            )
        waiting = [recorder.outcome(outcome)] if has_outcome else []
        if feedback is not None:
            waiting.append(recorder.feedback(feedback))
        deadline = time.monotonic() + TIMEOUT_S
        for future in waiting:
            future.result(max(0.0, deadline - time.monotonic()))
    except StoreError as error:
        raise reading.Unusable(str(error)) from error
    except TimeoutError as error:
        raise reading.Unusable(f"{path}: another program keeps it locked") from error
    finally:
        recorder.close()
    kept = bool(note) and chosen.text != "off"
    if as_json:
        shown = {"recorded": True, "planId": plan_id, "known": True, "noteKept": kept}
        click.echo(msgspec.json.encode(shown).decode())
        return
    click.echo(f"Recorded for {plan_id}.")
    if note and not kept:
        click.echo("The note was not kept: store.text is off.")


def _list(*, as_json: bool) -> None:
    try:
        plans = Reader(database.locate(settings().path)).plans(LISTED)
    except StoreError as error:
        raise reading.Unusable(str(error)) from error
    if as_json:
        click.echo(msgspec.json.encode({"plans": plans}).decode())
        return
    if not plans:
        click.echo("No plan is recorded yet. `anchorline plan FILE` makes one.")
        return
    rows = [
        (
            plan.id,
            datetime.fromtimestamp(plan.created_at).astimezone().strftime("%Y-%m-%d %H:%M"),
            plan.format,
            plan.target,
            plan.decision or "",
        )
        for plan in plans
    ]
    output = tables.console()
    columns = ("plan", "made", "format", "model", "decision")
    output.print(
        tables.fitted(columns, rows, width=output.width, optional=("made", "decision", "model", "format"))
    )


def _outcome(values: dict[str, object]) -> Outcome:
    return msgspec.convert(values, Outcome)


def _feedback(plan_id: str, thumbs: str | None, note: str) -> Feedback | None:
    if thumbs is None:
        if note:
            raise click.UsageError("A note goes with --thumbs.")
        return None
    values = {"planId": msgspec.convert(plan_id, PlanId), "thumbs": 1 if thumbs == "up" else -1, "note": note}
    return msgspec.convert(values, Feedback)
