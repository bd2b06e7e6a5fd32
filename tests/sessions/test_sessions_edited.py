"""Which files an agent has edited in its newest tasks, by lines as each agent writes them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.sessions.edited import edited

ROOT = Path("/src/app")
Task = tuple[str, tuple[str, ...], tuple[str, ...]]
"""What was asked, and the files of edits that succeeded and that failed."""


def claude_code(tasks: list[Task]) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for number, (prompt, files, failed) in enumerate(tasks):
        lines.append({"type": "user", "cwd": str(ROOT), "message": {"role": "user", "content": prompt}})
        for index, path in enumerate((*failed, *files)):
            call, given = f"toolu_{number}_{index}", {"file_path": path, "old_string": "a", "new_string": "b"}
            use = {"type": "tool_use", "id": call, "name": "Edit", "input": given}
            result = {
                "type": "tool_result",
                "tool_use_id": call,
                "content": "done",
                "is_error": index < len(failed),
            }
            lines.append({"type": "assistant", "message": {"role": "assistant", "content": [use]}})
            lines.append({"type": "user", "message": {"role": "user", "content": [result]}})
        read = {"type": "tool_use", "id": "r", "name": "Read", "input": {"file_path": str(ROOT / "read.py")}}
        lines.append({"type": "assistant", "message": {"role": "assistant", "content": [read]}})
    return lines


def codex(tasks: list[Task]) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = [{"type": "session_meta", "payload": {"id": "c1", "cwd": str(ROOT)}}]

    def item(**payload: Any) -> None:
        lines.append({"type": "response_item", "payload": payload})

    for number, (prompt, files, failed) in enumerate(tasks):
        item(type="message", role="user", content=[{"type": "input_text", "text": prompt}])
        for index, path in enumerate((*failed, *files)):
            call, patch = f"call_{number}_{index}", f"*** Begin Patch\n*** Update File: {path}\n@@\n-a\n+b\n"
            if index % 3 == 0:
                item(type="custom_tool_call", call_id=call, name="apply_patch", input=patch)
            elif index % 3 == 1:
                script = f"const patch = {json.dumps(patch)};\nawait tools.apply_patch(patch);"
                item(type="custom_tool_call", call_id=call, name="exec", input=script)
            else:
                arguments = json.dumps({"cmd": f"apply_patch <<'EOF'\n{patch}EOF"})
                item(type="function_call", call_id=call, name="exec_command", arguments=arguments)
            said = "Process exited with code 1" if index < len(failed) else "Process exited with code 0"
            item(type="custom_tool_call_output", call_id=call, output=said)
    return lines


def gemini_cli(tasks: list[Task]) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = [{"sessionId": "g1", "kind": "main"}]
    for number, (prompt, files, failed) in enumerate(tasks):
        lines.append({"id": f"u{number}", "type": "user", "content": [{"text": prompt}]})
        calls = [
            {
                "id": f"call_{number}_{index}",
                "name": "replace",
                "args": {"file_path": path},
                "status": "error" if index < len(failed) else "success",
            }
            for index, path in enumerate((*failed, *files))
        ]
        lines.append({"id": f"g{number}", "type": "gemini", "content": "", "toolCalls": calls})
    return lines


def qwen_code(tasks: list[Task]) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for number, (prompt, files, failed) in enumerate(tasks):
        lines.append(
            {"type": "user", "cwd": str(ROOT), "message": {"role": "user", "parts": [{"text": prompt}]}}
        )
        for index, path in enumerate((*failed, *files)):
            call = {"id": f"call_{number}_{index}", "name": "edit", "args": {"file_path": path}}
            response = {"error": "no"} if index < len(failed) else {"output": "done"}
            returned = {"id": call["id"], "name": "edit", "response": response}
            lines.append(
                {"type": "assistant", "message": {"role": "model", "parts": [{"functionCall": call}]}}
            )
            lines.append({"type": "tool_result", "message": {"parts": [{"functionResponse": returned}]}})
    return lines


AGENTS = {"claude-code": claude_code, "codex": codex, "gemini-cli": gemini_cli, "qwen-code": qwen_code}
TASKS: list[Task] = [
    ("The oldest one.", ("/src/app/oldest.py",), ()),
    ("Fix the parser.", ("/src/app/parser.py", "lib/lexer.py"), ()),
    ("Which of them is slow?", (), ()),
    (
        "Test it.",
        ("/src/app/tests/test_parser.py", "/elsewhere/notes.md", "../outside.py"),
        ("/src/app/no.py",),
    ),
    ("<command-name>/clear</command-name>", (), ()),
    ("Now the docs.", ("/src/app/parser.py", "/src/app/README.md"), ()),
]
NEWEST = ("README.md", "parser.py", "tests/test_parser.py", "lib/lexer.py")


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines), "utf-8")
    return path


@pytest.mark.parametrize("agent", AGENTS)
def test_the_files_of_the_three_newest_tasks_newest_first(agent: str, tmp_path: Path) -> None:
    file = write(tmp_path / "session.jsonl", AGENTS[agent](TASKS))
    assert edited(file, ROOT) == NEWEST
    packed = tmp_path / "session.jsonl.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert edited(packed, ROOT) == NEWEST


@pytest.mark.parametrize("agent", AGENTS)
def test_of_a_long_session_the_end_is_read(agent: str, tmp_path: Path) -> None:
    file = write(tmp_path / "session.jsonl", AGENTS[agent](TASKS))
    newest = edited(file, ROOT, tail=file.stat().st_size // 4)
    assert newest == NEWEST[: len(newest)]
    assert 2 <= len(newest) < len(NEWEST)


def test_what_a_sub_agent_is_told_is_no_task_of_a_person(tmp_path: Path) -> None:
    lines = claude_code(TASKS[1:])
    told = {"type": "user", "isSidechain": True, "message": {"role": "user", "content": "Look for it."}}
    file = write(tmp_path / "session.jsonl", [line for each in lines for line in (each, told)])
    assert edited(file, ROOT) == NEWEST


@given(st.lists(st.recursive(st.none() | st.integers() | st.text(max_size=9), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["type", "message", "payload", "content", "parts", "toolCalls", "input", "args", "name", "text"]), inner
)), max_size=6))  # fmt: skip
def test_lines_of_any_form_are_left_out(tmp_path_factory: pytest.TempPathFactory, lines: list[Any]) -> None:
    file = tmp_path_factory.mktemp("sessions") / "session.jsonl"
    assert edited(write(file, lines), ROOT) == ()
