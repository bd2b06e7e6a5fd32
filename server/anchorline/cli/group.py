"""A group of commands that answers an unknown name with the names that it has."""

import click
from click.exceptions import NoSuchCommand


class Group(click.Group):
    """click's group, which by itself names only commands that are spelt alike.

    `unknown` is what else to say about a name that is not there.
    """

    unknown = ""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Returns the command that the first of `args` names. Raises UsageError where there is none."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            if error.possibilities:
                raise
            names = ", ".join(map(repr, self.list_commands(ctx)))
            more = f" {self.unknown}" if self.unknown else ""
            raise click.UsageError(f"{error.message} Choose from {names}.{more}", ctx) from error
