"""Zed's extension as the component that Zed loads, run in Node by a host of our own, and the server that it starts."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from e2e import editors
from support.lsp_client import RawClient

HOST = Path(__file__).with_name("zed") / "host.mjs"
ZED = json.loads((Path(__file__).parents[1] / "lsp" / "clients" / "zed.json").read_text("utf-8"))
UV_LIST = ["uv", "tool", "list", "--show-paths"]
URI = "file:///project/fix.prompt.md"
ON_UNIX = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")


class Scene(msgspec.Struct):
    """What the extension meets in Zed: a project, the PATH of the user's shell in it, settings, what it may run."""

    folder: Path
    """Where `.ci/zed` has built."""
    home: Path
    root: Path
    path: list[Path]
    node: str
    settings: dict[str, Any] = {}
    capabilities: list[dict[str, Any]] | None = None
    """None: those of the manifest."""

    @property
    def shell(self) -> dict[str, str]:
        path = os.pathsep.join(map(str, self.path))
        return {**editors.environment(self.home), "PATH": path, "OF_THE_SHELL": "yes"}

    def answers(self) -> dict[str, Any]:
        """Return what the extension answers to Zed's calls, and the programs that it ran."""
        manifest = tomllib.loads((self.folder / "extension" / "extension.toml").read_text("utf-8"))
        allowed = manifest["capabilities"] if self.capabilities is None else self.capabilities
        scene = {
            "root": str(self.root),
            "shell": self.shell,
            "settings": {"anchorline": self.settings},
            "capabilities": allowed,
        }
        done = subprocess.run(
            [self.node, HOST, self.folder],
            input=json.dumps(scene),
            env=editors.environment(self.home),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def component() -> Path:
    """The folder with the component; `none` says that it can't be built on this machine."""
    folder = os.environ.get("ANCHORLINE_TEST_ZED", "no-such-folder")
    if folder == "none":
        pytest.skip("Zed's component can't be built here: .ci/zed --can says why")
    if not Path(folder, "node", "extension.js").is_file():
        editors.missing(
            "Zed's component is not built: .ci/zed FOLDER does, ANCHORLINE_TEST_ZED=FOLDER names it"
        )
    return Path(folder)


@pytest.fixture
def scene(component: Path, tmp_path: Path, isolated_home: Path) -> Scene:
    """A project; nothing is installed."""
    root = tmp_path / "project"
    root.mkdir()
    node = editors.program("node", "apt-get install npm")
    return Scene(component, isolated_home, root, [tmp_path / "bin"], node)


def put(folder: Path, name: str, script: str = "exit 0") -> Path:
    """Write a program into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    program.chmod(0o755)
    return program


def test_it_is_a_component_that_zed_loads_and_can_download_nothing(component: Path):
    binary = (component / "extension" / "extension.wasm").read_bytes()
    assert binary[:8] == b"\0asm\x0d\0\x01\0", "a component, not a module"
    version = tomllib.loads((component / "extension" / "extension.toml").read_text("utf-8"))["lib"]["version"]
    api = bytes(byte for part in version.split(".") for byte in (0, int(part)))
    assert binary.split(b"zed:api-version")[1].startswith(api), "the section that Zed reads before it loads"

    jco = component / "node_modules" / "@bytecodealliance" / "jco" / "dist" / "jco.js"
    node = editors.program("node", "apt-get install npm")
    wit = subprocess.run(
        [node, jco, "wit", component / "extension" / "extension.wasm"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in ("command", "initialization-options", "workspace-configuration"):
        assert f"export language-server-{name}: func(" in wit
    assert "import get-settings: func(" in wit
    for name in ("download-file", "http-client", "nodejs", "github"):
        assert name not in wit.replace("downloaded-file-type", "")


@ON_UNIX
def test_the_program_of_the_worktrees_shell_comes_first(scene: Scene):
    scene.path = [Path(".venv/bin"), *scene.path]  # as direnv sets it in the project
    put(scene.path[1], "anchorline")
    own = put(scene.root / ".venv" / "bin", "anchorline")
    answers = scene.answers()
    command = answers["command"]["ok"]
    assert (command["command"], command["args"]) == (str(own), ["lsp"])
    assert dict(command["env"]) == scene.shell
    assert answers["ran"] == []


@ON_UNIX
def test_the_program_on_the_path_is_found(scene: Scene):
    put(scene.path[0], "uv")
    program = put(scene.path[0], "anchorline")
    answers = scene.answers()
    assert answers["command"]["ok"]["command"] == str(program)
    assert answers["ran"] == [], "uv is not asked"


@ON_UNIX
def test_the_users_program_arguments_and_variables_come_first(scene: Scene):
    put(scene.path[0], "anchorline")
    scene.settings = {
        "binary": {"path": "/opt/anchorline", "arguments": ["lsp", "-v"], "env": {"OF_THE_SHELL": "no"}}
    }
    command = scene.answers()["command"]["ok"]
    assert (command["command"], command["args"]) == ("/opt/anchorline", ["lsp", "-v"])
    assert dict(command["env"])["OF_THE_SHELL"] == "no"


def test_what_uv_has_installed_is_found_outside_of_the_path(scene: Scene):
    uv = Path(editors.program("uv", "pip install uv"))
    wheel = scene.home / "anchorline-0.1.0-py3-none-any.whl"
    info = "anchorline-0.1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("stand_in.py", "def main(): print('started')\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: anchorline\nVersion: 0.1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\nanchorline = stand_in:main\n")
        archive.writestr(f"{info}/RECORD", "")
    put(scene.path[0], "uv", f'exec "{uv}" "$@"')
    subprocess.run(
        [uv, "tool", "install", "--quiet", "--offline", "--python", sys.executable, wheel],
        env=editors.environment(scene.home),
        check=True,
        capture_output=True,
    )
    answers = scene.answers()
    command = answers["command"]["ok"]
    assert Path(command["command"]).is_relative_to(scene.home)
    started = subprocess.run(
        [command["command"], *command["args"]],
        env=dict(command["env"]),
        capture_output=True,
        text=True,
        check=True,
    )
    assert started.stdout == "started\n"
    assert answers["ran"] == [UV_LIST]


@ON_UNIX
@pytest.mark.parametrize("uv", ["none", "without it", "broken", "not allowed"])
def test_where_nothing_is_installed_the_message_is_ours(scene: Scene, uv: str):
    if uv in ("without it", "not allowed"):
        put(scene.path[0], "uv", f'exec "{editors.program("uv", "pip install uv")}" "$@"')
    elif uv == "broken":
        put(scene.path[0], "uv", "echo 'error: unexpected argument' >&2; exit 2")
    if uv == "not allowed":
        scene.capabilities = []
    answers = scene.answers()
    message = answers["command"]["error"]
    assert message.startswith("Can't find the `anchorline` command")
    for way_out in ("uv tool install", "lsp.anchorline.binary.path"):
        assert way_out in message
    assert answers["ran"] == ([UV_LIST] if uv in ("without it", "broken") else [])


def test_without_settings_zed_gets_none(scene: Scene):
    answers = scene.answers()
    assert answers["initialization_options"] == {"ok": None}
    assert answers["workspace_configuration"] == {"ok": None}


def documented() -> dict[str, Any]:
    """Return the settings that the documentation tells a user of Zed to write."""
    return json.loads(editors.snippets("how-to/editors/zed.md", "json")[0])["lsp"]["anchorline"]


@pytest.mark.parametrize("settings", [documented(), {"initialization_options": documented()["settings"]}])
def test_the_server_takes_the_settings_that_are_passed_on(scene: Scene, settings: dict[str, Any]):
    assert settings != {}
    scene.path = [editors.BIN]
    scene.settings = settings
    answers = scene.answers()
    command = answers["command"]["ok"]
    configuration = json.loads(answers["workspace_configuration"]["ok"] or "{}")
    options = json.loads(answers["initialization_options"]["ok"] or "null")
    with RawClient(
        [command["command"], *command["args"]], env=dict(command["env"]), cwd=scene.root
    ) as client:
        client.settings = configuration.get("anchorline")  # Zed answers with the section that is asked for
        client.initialize(ZED["capabilities"], root=scene.root, initializationOptions=options)
        client.until(lambda message: message.get("method") == "workspace/codeLens/refresh")
        client.open(URI, "Fix the crash in `src/parse.py` when the file is empty.\n")
        lenses = client.call("textDocument/codeLens", {"textDocument": {"uri": URI}})
        assert len(lenses) == 1, "the documented settings switch the code lens on"
        assert client.shutdown() == 0
