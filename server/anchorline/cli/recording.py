"""Records a plan that a command has shown, and what became of it."""

import click

from anchorline.cli import reading
from anchorline.config import Config
from anchorline.outcome import Outcome
from anchorline.plan import Plan
from anchorline.prompt.model import Prompt
from anchorline.store.database import locate
from anchorline.store.recorder import Recorder

WRITE_S = 10.0
"""How long the end of the command waits for the database, seconds."""


def record(
    config: Config,
    plan: Plan,
    prompt: Prompt,
    *,
    shadow: tuple[str, Plan] | None = None,
    outcome: Outcome | None = None,
) -> None:
    """Records a plan, and with it what a version decided in shadow, and an outcome. Says what keeps it from that."""
    recorder = Recorder(
        locate(config.store.path),
        config.store.text,
        on_problem=_warn,
        on_notice=reading.notice,
        features=config.store.features,
        shown_in="cli",
    )
    recorder.plan(plan, prompt)
    if shadow is not None:
        version, decided = shadow
        recorder.shadow(plan, decided, version)
    if outcome is not None:
        recorder.outcome(outcome)
    if not recorder.close(timeout=WRITE_S) and recorder.state.status == "ok":
        _warn(f"{recorder.path}: another program keeps it locked")


def _warn(message: str) -> None:
    click.echo(f"anchorline: not recorded: {message}", err=True)
