"""`connect claude-code --plugin` and back: the plugin as it is installed, and that no other byte of the settings changes."""

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from anchorline import __version__, files
from anchorline.cli.main import cli
from anchorline.client_settings.parsing import read
from anchorline.hooks import launcher, plugin
from support.hook_helpers import HookHelper

OWN = """{
  // mine
  "statusLine": {"type": "command", "command": "printf 'it%ss mine\\\\n' \\\\'; cat >/dev/null", "padding": 2},
  "enabledPlugins": {"other@market": true}, "model": "opus",
}
"""
SETTINGS = {
    "none": None,
    "empty": "",
    "an object": "{}",
    "own status line": OWN,
    "marketplaces": '{"extraKnownMarketplaces": {"m": {"source": {"source": "github", "repo": "a/b"}}}}\r\n',
    "a status line that is no command": '{"statusLine": {"type": "other"}}\n',
    "odd values": '{"statusLine": null, "enabledPlugins": null}',
}


@pytest.fixture(autouse=True)
def claude(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Claude Code's folder, in a home of the test's own whose paths have spaces."""
    folder = tmp_path / "it's home" / ".claude"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(folder))
    monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(folder.parent / "Application Support" / "anchorline"))
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def install() -> None:
    done = run("connect", "claude-code", "--plugin", "--write")
    assert done.exit_code == 0, done.output


def written(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


@pytest.mark.parametrize("case", SETTINGS)
def test_there_and_back(case: str, claude: Path):
    before, file = SETTINGS[case], claude / "settings.json"
    if before is not None:
        file.write_bytes(before.encode())
        file.chmod(0o640)
    shown = run("connect", "claude-code", "--plugin")
    assert shown.exit_code == 0
    assert '"anchorline@anchorline": true' in shown.output
    assert not files.data_folder().joinpath(plugin.FOLDER).exists(), "nothing is written without --write"
    install()
    install()
    assert run("disconnect", "claude-code").exit_code == 0
    assert (file.read_bytes() == before.encode()) if before is not None else not file.exists()
    assert before is None or stat.S_IMODE(file.stat().st_mode) == 0o640
    assert written(claude) == ([] if before is None else [Path("settings.json")])
    assert not files.data_folder().joinpath(plugin.FOLDER).exists()
    assert run("disconnect", "claude-code").exit_code == 1


@pytest.mark.parametrize("order", [("--plugin", ""), ("", "--plugin")])
def test_plugin_and_gateway_are_taken_out_together(order: tuple[str, str], claude: Path):
    file = claude / "settings.json"
    file.write_text(OWN)
    for option in order:
        assert run("connect", "claude-code", *filter(None, [option]), "--write").exit_code == 0
    assert "ANTHROPIC_BASE_URL" in file.read_text()
    assert "anchorline@anchorline" in file.read_text()
    assert run("disconnect", "claude-code").exit_code == 0
    assert file.read_text() == OWN


def test_what_was_changed_since_stays(claude: Path):
    file = claude / "settings.json"
    file.write_text('{"model": "opus"}\n')
    install()
    settings = json.loads(file.read_text())
    settings["model"] = "sonnet"
    settings["statusLine"]["padding"] = 1
    settings["enabledPlugins"]["another@market"] = True
    file.write_text(json.dumps(settings))
    install()
    assert json.loads(file.read_text()) == settings
    assert run("disconnect", "claude-code").exit_code == 0
    assert json.loads(file.read_text()) == {"model": "sonnet", "enabledPlugins": {"another@market": True}}


def test_a_status_line_that_was_chosen_since_stays(claude: Path):
    install()
    file = claude / "settings.json"
    settings = json.loads(file.read_text())
    settings["statusLine"] = {"type": "command", "command": "date"}
    file.write_text(json.dumps(settings))
    assert run("disconnect", "claude-code").exit_code == 0
    assert json.loads(file.read_text()) == {"statusLine": settings["statusLine"]}


def test_the_users_own_status_line_is_printed_above(claude: Path):
    file = claude / "settings.json"
    file.write_text(OWN)
    install()
    launch = files.data_folder() / plugin.FOLDER / launcher.NAME
    launch.write_text("#!/bin/sh\necho $1; cat\n")
    status_line = read(file, file.read_bytes()).get(["statusLine"])
    assert status_line["padding"] == 2
    shown = subprocess.run(
        ["/bin/sh", "-c", status_line["command"]], input="{}", capture_output=True, text=True, check=True
    )
    assert shown.stdout == "it's mine\nstatus-line\n{}"


def test_the_installed_hooks_reach_the_client_without_a_shell(claude: Path):
    install()
    folder = files.data_folder() / plugin.FOLDER
    hooks = json.loads((folder / "hooks/hooks.json").read_text())["hooks"]
    commands = [hook for groups in hooks.values() for group in groups for hook in group["hooks"]]
    assert {"SessionStart", "UserPromptSubmit", "Stop", "PreCompact"} <= hooks.keys()
    for hook in commands:
        assert hook["args"] == ["claude-code"]
        assert Path(hook["command"].replace("${CLAUDE_PLUGIN_ROOT}", str(folder))) == folder / launcher.NAME
    for arguments in (["end"], []):  # without any: Claude Code versions that know no `args`
        done = subprocess.run(
            [folder / launcher.NAME, *arguments], input=b"", capture_output=True, check=True
        )
        assert (done.stdout, done.stderr) == (b"", b"")
    HookHelper(files.data_folder()).end()


def test_an_anchorline_that_was_uninstalled_fails_no_hook(claude: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.executable", str(claude / "gone" / "python"))
    install()
    launch = files.data_folder() / plugin.FOLDER / launcher.NAME
    done = subprocess.run([launch, "claude-code"], input=b"{}", capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_what_claude_code_has_noted_is_taken_out(claude: Path):
    install()
    (claude / plugin.DATA).mkdir(parents=True)
    noted = claude / "plugins" / "installed_plugins.json"
    other = {"other@market": [{"scope": "user"}]}
    noted.write_text(
        json.dumps({"version": 2, "plugins": {**other, plugin.ID: [{"scope": "user"}]}}, indent=2)
    )
    known = claude / "plugins" / "known_marketplaces.json"
    known.write_text(json.dumps({plugin.NAME: {"source": {}}}))
    assert run("disconnect", "claude-code").exit_code == 0
    assert noted.read_text() == json.dumps({"version": 2, "plugins": other}, indent=2)
    assert json.loads(known.read_text()) == {}
    assert not (claude / plugin.DATA).exists()


def test_it_is_in_claude_codes_list(claude: Path):
    listed = claude / plugin.INSTALLED
    listed.parent.mkdir()
    before = '{\n  "version": 2,\n  "plugins": {}\n}'
    listed.write_text(before)
    install()
    install()
    (entry,) = json.loads(listed.read_text())["plugins"][plugin.ID]
    assert entry["installPath"] == str(files.data_folder() / plugin.FOLDER)
    assert entry["version"] == __version__
    assert run("disconnect", "claude-code").exit_code == 0
    assert json.loads(listed.read_text()) == json.loads(before)


@pytest.mark.parametrize("text", ['{"version": 3, "plugins": []}', "{ no", '{"version": 2}'])
def test_a_list_of_another_form_stays_as_it_is(text: str, claude: Path):
    listed = claude / plugin.INSTALLED
    listed.parent.mkdir()
    listed.write_text(text)
    install()
    assert run("disconnect", "claude-code").exit_code == 0
    assert listed.read_text() == text


def test_only_its_owner_may_read_the_plugin(claude: Path):
    os.umask(os.umask(0))
    install()
    for path in (files.data_folder() / plugin.FOLDER).rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_it_is_for_claude_code_alone():
    assert run("connect", "codex", "--plugin").exit_code == 2
    assert run("connect", "claude-code", "--plugin", "--first-party").exit_code == 2


def test_settings_that_can_not_be_read_are_not_touched(claude: Path):
    (claude / "settings.json").write_text("{ no")
    assert run("connect", "claude-code", "--plugin").exit_code == 1
    assert run("connect", "claude-code", "--plugin", "--write").exit_code == 1
    assert (claude / "settings.json").read_text() == "{ no"
    assert not files.data_folder().joinpath(plugin.FOLDER).exists()


def test_the_manifests_are_of_this_version():
    manifest = json.loads((plugin.shipped() / ".claude-plugin/plugin.json").read_text())
    market = json.loads((plugin.shipped() / ".claude-plugin/marketplace.json").read_text())
    assert manifest["version"] == __version__
    assert f"{market['plugins'][0]['name']}@{market['name']}" == plugin.ID
    assert shutil.which("anchorline") is None or manifest["name"] == plugin.NAME


def told() -> list[tuple[str, str]]:
    done = run("doctor", "--json")
    return [
        (check["status"], check["message"])
        for check in json.loads(done.stdout)["checks"]
        if check["name"] == "claude plugin"
    ]


def test_doctor_says_what_keeps_the_plugin_from_working(claude: Path, monkeypatch: pytest.MonkeyPatch):
    assert told() == []
    install()
    assert told() == [("ok", "installed, and its client answers")]
    HookHelper(files.data_folder()).end()
    file = claude / "settings.json"
    settings = json.loads(file.read_text())
    for change, message in (
        ({"disableAllHooks": True}, "disableAllHooks is true"),
        ({"enabledPlugins": {}}, "does not switch it on"),
    ):
        file.write_text(json.dumps(settings | change))
        ((status, said),) = told()
        assert status == "warning"
        assert message in said
    with monkeypatch.context() as patched:
        patched.setattr("sys.executable", "/elsewhere/python")
        assert "another installation" in told()[0][1]
