"""`anchorline promote`: have a trained network decide."""

import click

from anchorline.cli.steps import AS_JSON, Refused, check, refusing, said, standing_now, steps
from anchorline.trial.experiment import PROMOTED_SHARE


@click.command(name="promote")
@click.argument("version", required=False)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=PROMOTED_SHARE,
    show_default=True,
    help="Share of the sessions that it decides about; in the others what decided before goes on, for comparison.",
)
@AS_JSON
def command(version: str | None, share: float, as_json: bool) -> None:
    """Have VERSION (default: the one on trial) decide, whatever its experiment has shown.

    `anchorline plan`, language servers and gateways follow at once. While it decides, a running server goes on
    comparing it with what it replaced, and takes it back when it does worse. Exits with 1 if there is no such version.

    \b
    Examples:
      anchorline promote
      anchorline promote r-20261126-101500-3f9a --share 1
    """
    with refusing():
        trial = standing_now().trial
        if version is None:
            if trial is None:
                raise Refused("name a VERSION: no experiment is running")
            version = trial.challenger
        check(version)
        taken = steps()
        standing = taken.promote(version, share, "promoted by hand")
    said(taken, standing, f"{version} decides in {share:.0%} of the sessions.", as_json)
