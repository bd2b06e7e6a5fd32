"""`anchorline lint`: checks files against the rules."""

from contextlib import suppress
from pathlib import Path

import click
import msgspec

from anchorline.cache.ledger import MemoryLedger
from anchorline.cli import reading
from anchorline.lint import check
from anchorline.lint.finding import Finding
from anchorline.planner import Planner
from anchorline.prompt.formats import FORMATS
from anchorline.prompt.model import Format, PromptError
from anchorline.prompt.source import read_bytes


@click.command(name="lint")
@click.argument("files", nargs=-1, required=True)
@click.option(
    "--format", "file_format", type=click.Choice(FORMATS), help="Format of the files, if it can't be told."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    context: click.Context, files: tuple[str, ...], file_format: Format | None, as_json: bool
) -> None:
    """Check FILES (``-``: standard input) against the rules.

    Exits with 1 if a finding is an error or a warning, with 2 if a file can't be read (AL401).

    \b
    Example:
      anchorline lint .github/prompts/*.prompt.md
    """
    config = reading.settings().config
    planner = Planner(config, MemoryLedger())
    rows: list[dict[str, object]] = []
    unreadable = 0
    for path in files:
        try:
            prompt = reading.prompt(path, file_format, config.route.model)
        except reading.Unusable as error:
            unreadable += 1
            if isinstance(error.__cause__, PromptError):
                rows.append(_unread(path, error.__cause__))
            else:
                error.show()
            continue
        findings = planner.lint(prompt, planner.plan(prompt))
        rows += [_row(path, prompt.load(0, finding.start), finding) for finding in findings]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({"findings": rows})).decode())
    else:
        for row in rows:
            click.echo("{file}:{line}:{column}: {code} {severity}: {message}".format(**row))
    serious = any(row["severity"] in ("error", "warning") for row in rows)
    context.exit(reading.Unusable.exit_code if unreadable else 1 if serious else 0)


def _unread(path: str, error: PromptError) -> dict[str, object]:
    """Returns the finding of a file that can't be read as a prompt, on the line where that shows."""
    before, finding = b"", check.unreadable(error, (error.offset or 0) + 1)
    with suppress(OSError, PromptError):
        before = read_bytes(Path(path))[: finding.start]
    row = _row(path, before, finding)
    return row if error.line is None else row | {"line": error.line}


def _row(path: str, before: bytes, finding: Finding) -> dict[str, object]:
    """Returns a finding as it is printed; `before` is the text up to it."""
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    return {
        "file": path,
        "line": line,
        "column": column,
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "start": finding.start,
        "end": finding.end,
        "fix": finding.fix_title or None,
    }
