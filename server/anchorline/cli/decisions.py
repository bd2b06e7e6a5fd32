"""The recorded decisions, as the learning commands read them from the database."""

from pathlib import Path

import click

from anchorline.cli import reading
from anchorline.learn.features import Decision
from anchorline.route.target import load as load_targets
from anchorline.store import decisions
from anchorline.store.database import StoreError, locate
from anchorline.store.purging import dataset_folder


def recorded() -> list[Decision]:
    """Returns what is recorded, at least one decision. Raises click's exceptions."""
    try:
        stored = decisions.read(database(), load_targets(reading.settings().config.files))
    except StoreError as error:
        raise reading.Unusable(str(error)) from error
    if not stored:
        raise click.ClickException(
            f"Nothing to learn from. {reading.NOTHING_RECORDED} (Database: {database()})"
        )
    return stored


def folder() -> Path:
    """Returns where the dataset and an unfinished training are: beside the database."""
    return dataset_folder(database())


def database() -> Path:
    """Returns the database of the settings in force."""
    return locate(reading.settings().config.store.path)
