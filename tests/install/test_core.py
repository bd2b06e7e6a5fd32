"""The core alone, from the wheel: small, and every command works but those of what is left out, which say what to install."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from support.builds import ROOT, run
from support.gateways import free_port
from support.history import months
from support.lsp_client import RawClient
from support.packages import sizes
from support.terminals import on_a_terminal

MEGABYTES = 120
LEFT_OUT = {
    "anyio",
    "google",
    "mcp",
    "mcp_types",
    "opentelemetry",
    "requests",
    "mlx",
    "mlx_lm",
    "jinja2",
    "huggingface_hub",
    "tokenizers",
    "transformers",
    "httpx",
    "pyarrow",
}
"""What a module of Anchorline may import that the core lacks. All of it belongs to the local model or an extra."""
IMPORT_ALL = """
import importlib, json, pkgutil, anchorline
missing = {}
for module in pkgutil.walk_packages(anchorline.__path__, "anchorline."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            missing[module.name] = error.name
print(json.dumps(missing))
"""
BODY = str(ROOT / "docs/examples/agent.request.json")
WORKING = (
    "", "--json", "--sample", "--help", "plan {body}", "plan {body} --json", "lint {body}", "rules", "rules AL201", "report", "report --json",
    "warm", "replay", "evaluate", "store status", "cache status", "model list", "config show", "doctor --json",
    "doctor --measure", "history", "connect claude-code",
)  # fmt: skip
REFUSED = {
    "train": "training needs MLX. MLX is not installed: ",
    "mcp": "needs mcp, which the extra `mcp` installs: pip install 'anchorline[mcp]'",
    "otel": "which the extra `otel` installs: pip install 'anchorline[otel]'",
    "dataset build": "needs pyarrow, which the extra `dataset` installs: pip install 'anchorline[dataset]'",
    "model pull smollm2-135m": "llama.cpp is not installed: ",
    "model bench smollm2-135m": "llama.cpp is not installed: ",
}


@pytest.fixture(scope="module")
def home(core: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a history, which the core has imported."""
    folder = tmp_path_factory.mktemp("home")
    months(folder / "sessions")
    shown = run(
        [anchorline(core), "import", "claude-code", str(folder / "sessions"), "--json"], env=private(folder)
    )
    assert json.loads(shown.stdout)["requests"] == 3000
    return folder


def anchorline(core: Path) -> str:
    """The program of the environment."""
    return str(core / ("Scripts" if sys.platform == "win32" else "bin") / "anchorline")


def private(home: Path) -> dict[str, str]:
    own = {"ANCHORLINE_CONFIG": str(home / "anchorline.toml"), "ANCHORLINE_DATA_DIR": str(home / "data")}
    return os.environ | own | {"HOME": str(home)}


def test_it_is_small(core: Path):
    (site_packages,) = core.glob("lib/python*/site-packages")
    by_name = sizes(site_packages)
    assert LEFT_OUT.isdisjoint(by_name)
    assert sum(by_name.values()) < MEGABYTES * 1e6, by_name


def test_only_the_local_model_and_extras_miss_a_package(core: Path):
    python = str(Path(anchorline(core)).with_name("python"))
    missing = json.loads(run([python, "-c", IMPORT_ALL]).stdout)
    assert set(missing.values()) <= LEFT_OUT, missing
    parts = {module.split(".")[1] for module in missing}
    assert parts == {"cli", "engine", "learn", "mcp", "otel"}, missing
    assert "anchorline.cli.dataset" in missing


@pytest.mark.parametrize("words", WORKING)
def test_a_command_works(words: str, core: Path, home: Path):
    shown = run([anchorline(core), *words.format(body=BODY).split()], env=private(home))
    assert shown.stdout
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize("words", REFUSED)
def test_a_command_that_needs_more_says_what(words: str, core: Path, home: Path):
    done = subprocess.run(
        [anchorline(core), *words.split()], env=private(home), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert REFUSED[words] in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plan_is_shown_on_a_terminal(core: Path, home: Path):
    shown = on_a_terminal([anchorline(core), "plan", BODY], home, private(home))
    assert b"**Model**" in shown, "as it is: nothing renders Markdown here"
    assert b"Traceback" not in shown


def test_the_language_server_plans(core: Path, home: Path):
    with RawClient((anchorline(core), "lsp"), env=private(home)) as client:
        client.initialize()
        client.open("file:///tmp/a.prompt.md", "Fix the parser in `parser.py`: it drops the last line.\n")
        plan = client.call("anchorline/plan", {"textDocument": {"uri": "file:///tmp/a.prompt.md"}})
        assert "route" in plan
        assert client.shutdown() == 0


def test_the_gateway_answers(core: Path, tmp_path: Path):
    (tmp_path / "anchorline.toml").write_text(f"[gateway]\nport = {free_port()}\n")
    env = private(tmp_path)
    command = [anchorline(core), "gateway", "--json"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base = json.loads(process.stdout.readline())["anthropic"].removesuffix("/anthropic")
            with urllib.request.urlopen(f"{base}/status") as answer:
                assert json.load(answer)["mode"] == "observe"
            assert json.loads(run([anchorline(core), "top", "--json"], env=env).stdout)["mode"] == "observe"
            assert "observe" in run([anchorline(core), "top", "--once"], env=env).stdout
        finally:
            process.terminate()
    assert process.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="the status line is a command for a shell")
def test_claude_codes_plugin_shows_its_status_line(core: Path, tmp_path: Path):
    env = private(tmp_path) | {"CLAUDE_CONFIG_DIR": str(tmp_path / ".claude"), "NO_COLOR": "1"}
    run([anchorline(core), "connect", "claude-code", "--plugin", "--write"], env=env)
    command = json.loads((tmp_path / ".claude/settings.json").read_text())["statusLine"]["command"]
    told = {"expires_at": time.time() + 3000, "ttl": "1h", "requests": 1, "recache_tokens_if_cold": 100_000}
    status = json.dumps({"model": {"id": "claude-sonnet-5", "display_name": "Sonnet"}, "prompt_cache": told})

    def line() -> str:
        asked = ["/bin/sh", "-c", command]
        return subprocess.run(asked, input=status, env=env, capture_output=True, text=True, check=True).stdout

    try:
        assert line().startswith("Sonnet · cache 49m · 100k at stake"), "no helper runs yet"
        event = json.dumps({"hook_event_name": "Stop"})
        subprocess.run([anchorline(core), "hook", "claude-code"], input=event, env=env, text=True, check=True)
        assert "100k $" in line()
    finally:
        run([anchorline(core), "disconnect", "claude-code"], env=env)
    assert not (tmp_path / ".claude").exists() or not list((tmp_path / ".claude").iterdir())
    assert not (tmp_path / "data" / "hooks.log").exists()
