"""Makes `docs/examples/agent.request.json`: a small agent conversation as it is sent to Anthropic's Messages API.

python tests/bench example_request > docs/examples/agent.request.json
"""

import json

RULES = [
    f"{number}. {text}"
    for number, text in enumerate(
        [
            "Read a file before you edit it.",
            "Prefer a small change that a reviewer can follow.",
            "Run the tests that cover a change and say what they printed.",
            "Never commit secrets, and never print them.",
            "Ask when two readings of an instruction would lead to different code.",
        ]
        * 24,
        start=1,
    )
]
SOURCE = "\n".join(
    f"def handler_{number}(event: dict[str, str]) -> str:\n    return event.get('name_{number}', 'unknown')\n"
    for number in range(72)
)

BODY = {
    "model": "claude-sonnet-5",
    "max_tokens": 4096,
    "system": [{"type": "text", "text": "You are a careful coding agent.\n\n" + "\n".join(RULES)}],
    "tools": [
        {
            "name": "read_file",
            "description": "Return a file of the workspace.",
            "input_schema": {
                "type": "object",
                "properties": {"path": {"type": "string"}},
                "required": ["path"],
            },
        },
        {
            "name": "run",
            "description": "Run a command in the workspace and return what it printed.",
            "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}},
        },
    ],
    "messages": [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Why does handler_7 ignore the default locale?"}],
        },
        {
            "role": "assistant",
            "content": [
                {
                    "type": "tool_use",
                    "id": "toolu_01",
                    "name": "read_file",
                    "input": {"path": "src/handlers.py"},
                }
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01", "content": SOURCE}]},
        {
            "role": "assistant",
            "content": [
                {
                    "type": "tool_use",
                    "id": "toolu_02",
                    "name": "read_file",
                    "input": {"path": "src/handlers.py"},
                }
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_02", "content": SOURCE}]},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "It reads `name_7` and falls back to a literal."}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "text",
                    "text": "Fix this, please. Don't change the other handlers, and add a test for the default.",
                }
            ],
        },
    ],
}

if __name__ == "__main__":
    print(json.dumps(BODY, indent=1))
