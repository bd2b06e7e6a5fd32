"""What is loaded when an editor is answered first."""

import json
import subprocess
import sys

FORBIDDEN = (
    "mlx", "transformers", "pyarrow", "starlette", "numpy", "sqlite_utils", "sqlite3", "rich", "aiohttp", "uvicorn",
    "anchorline.planner", "anchorline.store",
)  # fmt: skip

PROBE = """
import asyncio, json, sys
from anchorline.lsp import main as module
server = module.create()
said = []

class Outbox:
    def write(self, data):
        said.append(data)

async def main():
    server.protocol.outbox = Outbox()
    server.protocol.receive({"jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"processId": None, "rootUri": None, "capabilities": {}}})

asyncio.run(main())
assert b"serverInfo" in said[0]
print(json.dumps(sorted(sys.modules)))
"""


def test_nothing_heavy_is_imported_before_initialize_is_answered():
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    heavy = [
        name
        for name in loaded
        if name in FORBIDDEN or name.startswith(tuple(f"{each}." for each in FORBIDDEN))
    ]
    assert heavy == []


def test_the_command_line_starts_the_same_server(start):
    client = start(
        (sys.executable, "-c", "from anchorline.cli.main import main; main()", "lsp", "--log-level", "error")
    )
    assert client.initialize()["serverInfo"]["name"] == "anchorline"
    assert client.shutdown() == 0


def test_the_stdio_flag_that_some_editors_append_is_accepted(start):
    client = start((sys.executable, "-c", "from anchorline.cli.main import main; main()", "lsp", "--stdio"))
    client.initialize()
    assert client.shutdown() == 0
