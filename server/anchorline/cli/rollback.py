"""`anchorline rollback`: have what decided before decide again."""

import click

from anchorline.cli.steps import AS_JSON, refusing, said, steps


@click.command(name="rollback")
@click.option(
    "--to", metavar="POLICY", help="Go back as far as this: a version that decided before, or heuristic."
)
@AS_JSON
def command(to: str | None, as_json: bool) -> None:
    """End an experiment that runs, else take the newest promotion back.

    `anchorline plan`, language servers and gateways follow at once. What can't be read gives way to the heuristic.
    Exits with 1 when there is nothing to go back from.

    \b
    Examples:
      anchorline rollback
      anchorline rollback --to heuristic
    """
    with refusing():
        taken = steps()
        standing = taken.roll_back("rolled back by hand", to=to)
    said(taken, standing, f"{standing.champion} decides.", as_json)
