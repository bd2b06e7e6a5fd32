"""`anchorline store` and `anchorline outcome`, as a person and a script use them."""

import json
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cli import outcome as outcome_command
from anchorline.cli import setting
from anchorline.cli import store as store_command
from anchorline.store.database import locate
from anchorline.store.recorder import Recorder
from support import samples


def store(*arguments: str, **options) -> Result:
    return CliRunner().invoke(store_command.command, arguments, **options)


def outcome(*arguments: str) -> Result:
    return CliRunner().invoke(outcome_command.command, arguments)


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(isolated_home: Path) -> Path:
    return isolated_home / "anchorline.toml"


@pytest.fixture
def recorded() -> Path:
    recorder = Recorder(locate(), "full")
    recorder.plan(samples.plan("p1", word="Quetzalcoatlus"), samples.prompt())
    assert recorder.close()
    return locate()


@pytest.mark.parametrize(
    "command",
    [store_command.command, *store_command.command.commands.values(), outcome_command.command],
    ids=lambda command: command.name,
)
def test_help_has_an_example(command: click.Command) -> None:
    shown = CliRunner().invoke(command, ["--help"])
    assert shown.exit_code == 0
    assert "  Example:\n    " in shown.output


def test_status_before_anything_is_recorded_makes_no_file() -> None:
    shown = store("status")
    assert shown.exit_code == 0
    assert "nothing is recorded yet" in shown.output
    assert not locate().exists()


def test_status_shows_counts_size_and_what_text_is_kept(recorded: Path) -> None:
    shown = store("status")
    assert shown.exit_code == 0
    assert str(recorded) in shown.output
    assert "store.text = off; kept now: 3 full" in shown.output
    told = json.loads(store("status", "--json").stdout)
    assert told["path"] == str(recorded)
    assert told["enabled"] is True
    assert told["text"] == "off"
    assert told["texts"] == {"full": 3}
    assert told["counts"]["plans"] == 1
    assert told["size"] >= recorded.stat().st_size
    assert told["dropped"] == 0


def test_status_of_a_file_that_is_no_database_names_it() -> None:
    locate().parent.mkdir()
    locate().write_bytes(b"not a database " * 500)
    shown = store("status")
    assert shown.exit_code == 2
    assert str(locate()) in shown.stderr
    assert json.loads(store("status", "--json").stdout)["problem"]


def test_path_is_the_setting(settings: Path, tmp_path: Path) -> None:
    assert store("path").output.strip() == str(locate())
    settings.write_text(f"[store]\npath = '{tmp_path / 'mine.db'}'\n")
    assert store("path").output.strip() == str(tmp_path / "mine.db")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "[store]\nenabled = false\n"),
        ("[log]\nlevel = 'info'", "[log]\nlevel = 'info'\n\n[store]\nenabled = false\n"),
        ("[store]\nenabled = true # yes\ntext = 'off'\n", "[store]\nenabled = false # yes\ntext = 'off'\n"),
        ("[store] # mine\ntext = 'off'\n[log]\n", "[store] # mine\ntext = 'off'\nenabled = false\n[log]\n"),
        ("[store]\r\ntext = 'off'\r\n", "[store]\r\ntext = 'off'\r\nenabled = false\r\n"),
        ("[store]", "[store]\nenabled = false\n"),
        ("store.enabled = true\n", "store.enabled = false\n"),
        (
            "[refine]\nenabled = true\n[store]\nenabled = true\n",
            "[refine]\nenabled = true\n[store]\nenabled = false\n",
        ),
        ("[store]\nenabled = false\n", "[store]\nenabled = false\n"),
        ("# [store]\n", "# [store]\n\n[store]\nenabled = false\n"),
        ("store = { text = 'off' }\n", "store = { text = 'off', enabled = false}\n"),
        (
            "note = '''\n[store]\n'''\nstore.text = 'off'\n",
            "note = '''\n[store]\n'''\nstore.text = 'off'\nstore.enabled = false\n",
        ),
    ],
)
def test_off_changes_one_line_and_nothing_else(settings: Path, before: str, after: str) -> None:
    settings.write_bytes(before.encode())
    settings.chmod(0o640)
    assert store("off").exit_code == 0
    assert settings.read_bytes().decode() == after
    assert settings.stat().st_mode & 0o777 == 0o640
    assert json.loads(store("status", "--json").stdout)["enabled"] is False


def test_off_without_a_settings_file_makes_one_for_the_owner_only(settings: Path) -> None:
    assert store("off").exit_code == 0
    assert settings.stat().st_mode & 0o777 == 0o600


def test_off_follows_a_link_to_the_settings(settings: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text("[log]\n")
    settings.symlink_to(real)
    assert store("off").exit_code == 0
    assert settings.is_symlink()
    assert tomllib.loads(real.read_text())["store"]["enabled"] is False


@pytest.mark.parametrize("text", ["store = 3\n", "[[store]]\n"])
def test_off_refuses_what_it_can_not_change_with_care(settings: Path, text: str) -> None:
    settings.write_text(text)
    refused = store("off")
    assert refused.exit_code == 1
    assert "enabled = false" in refused.stderr
    assert settings.read_text() == text


def test_off_of_unreadable_settings_names_the_file(settings: Path) -> None:
    settings.write_text("[store\n")
    refused = store("off")
    assert refused.exit_code == 2
    assert str(settings) in refused.stderr


@given(
    st.lists(
        st.sampled_from(
            [
                "[store]",
                "[log]",
                "enabled = true",
                "enabled = false",
                "text = 'off'",
                "store.enabled = true",
                "# c",
                "",
            ]
        ),
        max_size=8,
    )
)
def test_switching_off_keeps_every_other_value(lines: list[str]) -> None:
    text = "\n".join(lines)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    changed = setting.edited(text, "store", "enabled", value=False)
    if changed is not None:
        assert tomllib.loads(changed) == {**values, "store": {**values.get("store", {}), "enabled": False}}


def test_an_outcome_is_in_the_database_with_its_tokens(recorded: Path) -> None:
    done = outcome(
        "p1", "--decision", "modified", "--edit-distance", "4", "--read", "90000", "--latency-ms", "12.5",
        "--signal", "tests_passed=true", "--signal", "score=-0.5", "--thumbs", "down", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"recorded": True, "planId": "p1", "known": True, "noteKept": False}
    with closing(sqlite3.connect(recorded)) as connection:
        (row,) = connection.execute(
            "SELECT plan, known, decision, edit_distance, input_tokens, read_tokens, latency_ms, signals "
            "FROM outcomes"
        )
        (thumbs,) = connection.execute("SELECT thumbs FROM feedback")
    assert row == ("p1", 1, "modified", 4, 0, 90000, 12.5, '{"tests_passed":true,"score":-0.5}')
    assert thumbs == (-1,)


def test_an_outcome_of_a_plan_that_is_not_there_is_refused_with_the_way_to_ids(recorded: Path) -> None:
    for arguments in (("PLAN_ID", "--decision", "accepted"), ("nobody", "--thumbs", "up")):
        refused = outcome(*arguments)
        assert refused.exit_code == 1
        assert "anchorline outcome --list" in refused.stderr
    counts = json.loads(store("status", "--json").stdout)["counts"]
    assert (counts["outcomes"], counts["feedback"]) == (0, 0)


def test_an_outcome_before_anything_is_recorded_is_refused_too() -> None:
    assert outcome("nobody", "--decision", "accepted").exit_code == 1
    assert json.loads(store("status", "--json").stdout)["counts"]["outcomes"] == 0


def test_the_newest_plans_are_listed_with_their_decisions(recorded: Path) -> None:
    assert outcome("p1", "--decision", "accepted").exit_code == 0
    (plan,) = json.loads(outcome("--list", "--json").stdout)["plans"]
    assert (plan["id"], plan["decision"]) == ("p1", "accepted")
    assert "p1" in outcome("--list").stdout


def test_a_note_is_kept_only_where_text_is(recorded: Path, settings: Path) -> None:
    assert "The note was not kept" in outcome("p1", "--thumbs", "up", "--note", "a note").output
    settings.write_text("[store]\ntext = 'full'\n")
    assert "not kept" not in outcome("p1", "--thumbs", "up", "--note", "a note").output
    with closing(sqlite3.connect(recorded)) as connection:
        notes = connection.execute("SELECT text FROM texts WHERE kind = 'note'").fetchall()
    assert notes == [("a note",)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("p", "--decision", "maybe"),
        ("p", "--input", "-1"),
        ("p", "--signal", "no value"),
        ("p", "--signal", "x=text"),
        ("a b", "--decision", "accepted"),
        ("", "--thumbs", "up"),
        ("p", "--note", "without thumbs"),
        ("p", "--thumbs", "up", "--note", "x" * 2001),
        (),
    ],
)
def test_what_does_not_fit_is_a_usage_error_and_recorded_nowhere(arguments: tuple[str, ...]) -> None:
    assert outcome(*arguments).exit_code == 2
    assert not locate().exists()


def test_an_outcome_that_does_not_fit_names_the_option() -> None:
    assert "Invalid value for '--read': -3" in outcome("p", "--read", "-3").stderr
    assert "`anchorline plan FILE` prints one" in outcome("a b", "--decision", "accepted").stderr


def test_nothing_said_or_recording_off_is_refused(settings: Path) -> None:
    assert outcome("p").exit_code == 1
    settings.write_text("[store]\nenabled = false\n")
    refused = outcome("p", "--decision", "accepted")
    assert refused.exit_code == 1
    assert "store.enabled" in refused.stderr
    assert not locate().exists()


def test_a_database_that_can_not_be_written_is_named() -> None:
    locate().parent.parent.mkdir(exist_ok=True)
    locate().parent.write_text("in the way")
    refused = outcome("p", "--decision", "accepted")
    assert refused.exit_code == 2
    assert str(locate().parent) in refused.stderr


def test_purge_asks_and_then_leaves_no_byte(recorded: Path) -> None:
    assert store("purge", "--all", input="n\n").exit_code == 1
    assert b"Quetzalcoatlus" in recorded.read_bytes()
    done = store("purge", "--all", input="y\n")
    assert done.exit_code == 0
    assert "1 plans" in done.output
    assert not any(b"Quetzalcoatlus" in file.read_bytes() for file in recorded.parent.iterdir())
    assert store("purge", "--all", "--yes").exit_code == 1


def test_purge_by_age(recorded: Path) -> None:
    kept = store("purge", "--before", "2026-09-01", "--yes", "--json")
    assert (kept.exit_code, sum(json.loads(kept.stdout)["rows"].values())) == (1, 0)
    gone = store("purge", "--before", "2026-09-22", "--yes", "--json")
    assert (gone.exit_code, json.loads(gone.stdout)["rows"]["plans"]) == (0, 1)


def test_purge_by_an_age_beyond_all_calendars_is_refused() -> None:
    done = store("purge", "--older-than", "99999999")
    assert done.exit_code == 2
    assert "0<=x<=20000" in done.stderr


def test_a_setting_that_does_not_fit_is_said_once(settings: Path, recorded: Path) -> None:
    settings.write_text('[cache]\nttl = "2h"\n')
    assert store("status").stderr.count("cache.ttl") == 1
    assert store("purge", "--all", "--yes").stderr.count("cache.ttl") == 1


@pytest.mark.parametrize(
    "arguments", [(), ("--all", "--older-than", "3"), ("--before", "soon"), ("--older-than", "-1")]
)
def test_purge_wants_to_know_what(recorded: Path, arguments: tuple[str, ...]) -> None:
    assert store("purge", "--yes", *arguments).exit_code == 2
    assert json.loads(store("status", "--json").stdout)["counts"]["plans"] == 1


def test_export_writes_a_file_a_table(recorded: Path, tmp_path: Path) -> None:
    done = store("export", "out", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["rows"]["plans"] == 1
    files = sorted(file.name for file in (tmp_path / "out").iterdir())
    tables = [
        "additions",
        "features",
        "feedback",
        "imported",
        "imports",
        "instructions",
        "ledger",
        "limit_samples",
        "outcomes",
        "places",
        "plans",
        "policy_events",
        "replays",
        "requests",
        "segments",
        "sessions",
        "shadows",
        "tool_results",
    ]
    assert files == [f"{table}.jsonl" for table in tables]
    (row,) = (json.loads(line) for line in (tmp_path / "out" / "plans.jsonl").read_text().splitlines())
    assert row["plan"]["route"]["target"] == samples.MODEL
    assert "Quetzalcoatlus" not in json.dumps(row)
    assert (tmp_path / "out" / "plans.jsonl").stat().st_mode & 0o777 == 0o600


def test_export_has_texts_only_when_asked(recorded: Path, tmp_path: Path) -> None:
    assert store("export", "-", "--table", "texts").exit_code == 2
    shown = store("export", "-", "--table", "texts", "--text")
    assert {json.loads(line)["kind"] for line in shown.stdout.splitlines()} == {"draft", "refined", "plan"}


def test_an_export_does_not_carry_the_hashes_that_a_guess_could_confirm(recorded: Path) -> None:
    recorder = Recorder(recorded)
    recorder.ledger([samples.entry(b"\xab" * 16, expires_at=4e9)])
    recorder.close()
    exported = (
        store("export", "-", "--table", "plans").stdout + store("export", "-", "--table", "ledger").stdout
    )
    assert "0" * 32 not in exported
    assert "1" * 32 not in exported
    assert "ab" * 16 not in exported


def test_export_of_nothing_or_into_a_file_is_refused(tmp_path: Path) -> None:
    assert store("export", "out").exit_code == 1
    outcome("p", "--decision", "accepted")
    (tmp_path / "file").write_text("in the way")
    refused = store("export", "file")
    assert refused.exit_code == 2
    assert "file" in refused.stderr
    assert store("export", "-").exit_code == 2
