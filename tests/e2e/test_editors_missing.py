"""A missing editor skips its test by name, and fails it where editors are required."""

import pytest

from e2e import editors

INSTALL = "apt-get install emacs-nox"


def test_missing_editor_skips(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ANCHORLINE_TEST_EDITORS", raising=False)
    with pytest.raises(pytest.skip.Exception, match=f"no-such-editor is not installed: {INSTALL}"):
        editors.program("no-such-editor", INSTALL)


def test_missing_editor_fails_where_required(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANCHORLINE_TEST_EDITORS", "required")
    with pytest.raises(pytest.fail.Exception, match=f"no-such-editor is not installed: {INSTALL}"):
        editors.program("no-such-editor", INSTALL)
