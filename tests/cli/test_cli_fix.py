"""`anchorline fix` and `undo`: the settings of an agent, and what the developer is told."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from anchorline import files
from anchorline.cli import offers
from anchorline.cli.main import cli
from anchorline.findings.model import Fix, SettingChange
from anchorline.replay.bootstrap import Interval

WORTH = Interval(9.0, 5.0, 12.0)
BEFORE = '{\n  "model": "opus" // mine\n}\n'


def run(*words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Claude Code's settings, with two fixes on offer: one of them and one of Codex's, which has no settings yet."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    file = tmp_path / "claude" / "settings.json"
    file.parent.mkdir()
    file.write_text(BEFORE)
    lifetime = Fix("Cache for an hour", WORTH, (SettingChange("claude-code", ("promptCacheTtl",), "1h", ""),))
    effort = Fix(
        "Compact later", WORTH, (SettingChange("codex", ("model_auto_compact_token_limit",), 9, ""),)
    )
    offers.keep(
        [offers.FixOffer(1, "expired", lifetime), offers.FixOffer(2, "compacted_cold", effort)],
        files.data_folder(),
    )
    return file


def test_a_fix_is_made_and_undone_byte_for_byte(settings: Path):
    done = run("fix", "1").output
    assert settings.read_text() == '{\n  "model": "opus", // mine\n  "promptCacheTtl": "1h"\n}\n'
    assert done.startswith("Cache for an hour\n--- ")
    assert '+  "promptCacheTtl": "1h"\n' in done
    assert done.endswith("Done. `anchorline undo 1` takes it back.\n")
    assert run("undo").output == f"Fix 1 is undone: Cache for an hour\n  {settings}\n"
    assert settings.read_text() == BEFORE


def test_a_dry_run_shows_the_difference_and_changes_nothing(settings: Path):
    done = run("fix", "1", "--dry-run").output
    assert '+  "promptCacheTtl": "1h"\n' in done
    assert "Nothing was changed" in done
    assert settings.read_text() == BEFORE
    assert "No fixes were made yet" in run("undo", "--list").output


def test_an_agent_without_settings_gets_some_and_loses_them_again(settings: Path, tmp_path: Path):
    made = tmp_path / "codex" / "config.toml"
    assert "--- /dev/null" in run("fix", "2").output
    assert made.read_text() == "model_auto_compact_token_limit = 9\n"
    assert "removed: it was not there before" in run("undo").output
    assert not made.parent.exists()


def test_the_list_says_what_is_in_force(settings: Path):
    run("fix", "1")
    run("fix", "2")
    run("undo", "1")
    listed = run("undo", "--list").output
    assert "Compact later (in force)" in listed
    assert "Cache for an hour (undone " in listed
    kept = json.loads(run("undo", "--list", "--json").output)
    assert [(fix["number"], fix["undone"] is None) for fix in kept] == [(1, False), (2, True)]


def test_json_says_what_was_done(settings: Path):
    tried = json.loads(run("fix", "1", "--dry-run", "--json").output)
    assert tried["applied"] is None
    made = json.loads(run("fix", "1", "--json").output)
    assert made["diff"] == tried["diff"]
    assert made["applied"]["files"][0]["file"] == str(settings)
    assert json.loads(run("undo", "--json").output)["undone"]


def test_what_is_set_already_is_not_recorded_as_a_fix(settings: Path):
    run("fix", "1")
    assert "your settings say so already" in run("fix", "1").output
    assert len(json.loads(run("undo", "--list", "--json").output)) == 1


def test_numbers_that_mean_nothing(settings: Path):
    assert "`anchorline` has shown 1 to 2" in run("fix", "3", code=1).output
    assert "nothing to undo" in run("undo", code=1).output
    assert "There is no fix 7" in run("undo", "7", code=1).output


def test_without_a_screen_there_is_nothing_to_fix():
    assert "Run `anchorline`" in run("fix", "1", code=1).output


def test_settings_that_can_t_be_changed_say_what_to_do(settings: Path):
    settings.write_text("not JSON")
    assert "so the setting is added by hand" in run("fix", "1", code=1).output
    settings.write_text(BEFORE)
    settings.chmod(0o400)
    assert "read-only" in run("fix", "1", code=1).output
    assert settings.read_text() == BEFORE


def test_a_setting_changed_by_hand_since_is_left(settings: Path):
    run("fix", "1")
    settings.write_text(settings.read_text().replace('"1h"', '"5m"'))
    assert 'promptCacheTtl is "5m" now' in run("undo", code=1).output
    assert '"5m"' in settings.read_text()
