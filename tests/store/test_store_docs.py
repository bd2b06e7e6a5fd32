"""docs/reference/privacy.md says what is true: its tables, columns and secrets are the program's."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from anchorline import redact
from anchorline.config import STRICTNESS
from anchorline.store import database

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "privacy.md"


def test_every_table_and_column_is_documented(tmp_path: Path) -> None:
    database.close(database.open_for_writing(tmp_path / "a.db").database)
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        columns = {
            name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
            for name in names
            if not name.startswith(("sqlite_", "_sqlite_"))
        }
    sections = re.findall(
        r"^### `(\w+)`\n(.*?)(?=^### |\Z)", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    # The columns are the last run of names in the section.
    documented = {
        name: set(re.findall(r"`(\w+)`", re.search(r"(?:`\w+`[,\s]*)+\Z", text.strip())[0]))
        for name, text in sections
    }
    assert documented == columns
    assert set(database.TABLES) == set(columns) - {"about"}


def test_every_mode_is_documented() -> None:
    assert re.findall(r"^\| `(\w+)`", PAGE.read_text("utf-8"), re.MULTILINE) == list(STRICTNESS)


def test_the_list_of_secrets_is_the_table() -> None:
    listed = PAGE.read_text("utf-8").partition("<!-- secrets -->\n")[2].partition("<!-- /secrets -->")[0]
    assert listed == ", ".join(f"`{rule.name}`" for rule in redact.RULES) + "\n"
