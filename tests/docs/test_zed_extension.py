"""Zed's extension fits the server: its name, its languages, and the version."""

import tomllib
from pathlib import Path

from anchorline import __version__

ROOT = Path(__file__).parent.parent.parent
CLIENT = ROOT / "client-zed"


def test_the_extension_registers_the_server_under_the_documented_name():
    manifest = tomllib.loads((CLIENT / "extension.toml").read_text("utf-8"))
    crate = tomllib.loads((CLIENT / "Cargo.toml").read_text("utf-8"))
    assert manifest["version"] == crate["package"]["version"] == __version__
    server = manifest["language_servers"]["anchorline"]
    assert server["languages"] == ["Markdown", "JSON"], "a server starts for each file of these languages"
    assert (CLIENT / "LICENSE").read_text("utf-8") == (ROOT / "LICENSE").read_text("utf-8")
    assert '"anchorline"' in (ROOT / "docs" / "how-to" / "editors" / "zed.md").read_text("utf-8")
