"""What `experiment`, `promote`, `rollback` and `history` share: taking a step, and saying what is in force now."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
import msgspec

from anchorline.cli import reading
from anchorline.store import database
from anchorline.store.database import StoreError
from anchorline.store.experiments import Steps, registry
from anchorline.trial.experiment import NotPossibleError, Standing
from anchorline.trial.versions import DamagedError

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Refused(click.ClickException):
    """A step that can't be taken. The message says why, and what can."""


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what may go wrong with a step into a message."""
    try:
        yield
    except (NotPossibleError, DamagedError) as error:
        raise Refused(str(error)) from error
    except StoreError as error:
        raise reading.Unreadable(str(error)) from error
    except OSError as error:
        raise reading.Unreadable(
            f"{error.filename or registry().folder}: {error.strerror or error}"
        ) from error


def steps() -> Steps:
    """Return what takes steps, under the settings in force."""
    store = reading.settings().config.store
    return Steps(registry(), database.locate(store.path) if store.enabled else None)


def check(version: str) -> None:
    """Refuse a version that could not decide. Raises DamagedError."""
    from anchorline.live import policies  # noqa: PLC0415

    policies.network(registry(), version)


def standing_now() -> Standing:
    """Return what is in force. Raises DamagedError."""
    return registry().standing()


def said(taken: Steps, standing: Standing, words: str, as_json: bool) -> None:
    """Say what was done, or what is in force now."""
    if taken.problem is not None:
        click.echo(f"anchorline: not in the history: {taken.problem}", err=True)
    if as_json:
        trial = standing.trial
        shown = {
            "decides": standing.champion,
            "trial": msgspec.to_builtins(trial) if trial is not None else None,
            "promoted": [one.challenger for one in standing.promoted],
        }
        click.echo(msgspec.json.encode(shown).decode())
    else:
        click.echo(words)
