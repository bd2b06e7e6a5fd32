"""That a prompt was held back is noted once, and no longer than what is recorded of its conversation."""

from pathlib import Path

import pytest

from anchorline.hooks import held_back
from anchorline.store import database, purging


def test_a_prompt_is_held_back_once_and_the_note_is_purged_with_what_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(tmp_path))
    assert held_back.note("a session", 1.0)
    assert not held_back.note("a session", 1.0)
    assert held_back.note("a session", 2.0)  # it was warm meanwhile
    assert str(database.held_back_file()) in purging.purge(tmp_path / "anchorline.db").files
    assert held_back.note("a session", 2.0)
