"""Without `anchorline otel` nothing is sent anywhere, whatever the environment says, and no exporter is even imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import history
from support.builds import ROOT

pytestmark = pytest.mark.process
CODE = """
import sys
asked = []
sys.addaudithook(lambda event, args: asked.append((event, args[1:])) if event in (
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto") else None)
from click.testing import CliRunner
from anchorline.cli.main import cli
body = sys.argv[1]
for words in ([], ["plan", body], ["lint", body], ["report"], ["report", "--html", "r.html"], ["warm"], ["replay"],
              ["store", "status"], ["doctor"], ["import", "claude-code", "."]):
    done = CliRunner().invoke(cli, words)
    assert done.exit_code in (0, 1), (words, done.output, done.exception)
from pathlib import Path
from anchorline.mcp.roots import Roots
from anchorline.mcp.tools import Tools
import anchorline.mcp.server
for name, given in (("plan", {"text": "Fix it"}), ("warm", {}), ("cost", {})):
    Tools(Roots([Path.cwd()])).by_name[name].call(given)
assert not asked, asked
assert not [name for name in sys.modules if name.startswith(("opentelemetry.exporter", "opentelemetry.sdk"))]
"""


def test_no_command_but_its_own_opens_a_connection(tmp_path: Path):
    history.imported(tmp_path / "sessions")
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "HOME": str(tmp_path)}
    env |= {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_METRICS_EXPORTER": "otlp"}
    body = str(ROOT / "docs" / "examples" / "agent.request.json")
    done = subprocess.run(
        [sys.executable, "-c", CODE, body], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("package", ["google", "opentelemetry", "requests"])
def test_without_the_extra_it_says_how_to_get_it(package: str):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from anchorline.cli.main import main; sys.argv = ['anchorline', 'otel']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the extra `otel` installs: pip install 'anchorline[otel]'" in done.stderr
    assert "--with opentelemetry-sdk --with opentelemetry-exporter-otlp-proto-http" in done.stderr
