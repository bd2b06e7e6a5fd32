"""An MCP server over stdio with a dozen tools, so that a client has tools of somebody else's to look for."""

import json
import sys

DESCRIPTION = (
    "Look up a number in the register of parsers and their rules, and say which of them drop something. " * 9
)
SCHEMA = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}
TOOLS = [
    {"name": f"lookup_{k}", "description": f"{k}: {DESCRIPTION}", "inputSchema": SCHEMA} for k in range(12)
]

for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    result: dict = {}
    if message["method"] == "initialize":
        version = message["params"]["protocolVersion"]
        result = {"protocolVersion": version, "capabilities": {"tools": {}}}
        result["serverInfo"] = {"name": "register", "version": "1"}
    elif message["method"] == "tools/list":
        result = {"tools": TOOLS}
    elif message["method"] == "tools/call":
        result = {"content": [{"type": "text", "text": f"found: {json.dumps(message['params'])}"}]}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
