"""The command line, as a user calls it."""

import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from anchorline import config
from anchorline.cache import markers
from anchorline.cli.main import COMMANDS, cli
from anchorline.figures import usd
from anchorline.prompt import formats
from anchorline.trim.results import restored_texts
from support.session_logs import ClaudeLog

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "reference" / "plan.schema.json").read_text("utf-8")
)


def run(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(
        cli, [str(argument) for argument in arguments], input=stdin, catch_exceptions=False
    )


def test_the_sample_prompt_shows_its_refinement_as_a_diff_the_route_the_hit_and_the_cost():
    result = run("plan", EXAMPLES / "fix-parser.prompt.md")
    assert result.exit_code == 0
    for part in ("**Model**", "**Cost**", "P(hit)", "--- draft", "+++ refined draft"):
        assert part in result.output


def test_the_sample_request_gets_anchors():
    result = run("plan", EXAMPLES / "agent.request.json")
    assert result.exit_code == 0
    assert "breakpoint `/messages/6/content/0`" in result.output


@pytest.mark.parametrize("name", ["fix-parser.prompt.md", "agent.request.json"])
def test_json_fits_the_published_schema(name: str):
    result = run("plan", EXAMPLES / name, "--json")
    jsonschema.validate(json.loads(result.output), SCHEMA)


RULES = "# Rules\n\n" + "Give every public function a docstring that says what it returns.\n" * 90
INSTRUCTIONS = (
    "CLAUDE.md",
    "AGENTS.md",
    "GEMINI.md",
    "x.instructions.md",
    ".claude/rules/style.md",
    ".cursorrules",
)


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_an_instruction_file_gets_its_cost_and_no_route(tmp_path: Path, name: str):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(RULES)
    plan = json.loads(run("plan", path, "--json").output)
    jsonschema.validate(plan, SCHEMA)
    cost, tokens = plan["instructions"], plan["tokens"]
    assert 0 < cost["warm_usd"] < cost["cold_usd"]
    assert (plan["route"]["alternatives"], plan["cache"]["anchors"], plan["refinement"]["text"]) == (
        [],
        [],
        None,
    )
    assert tokens["low"] > tokens["estimate"] / 2
    shown = run("plan", path).output
    assert "of the context" in shown
    assert "success" not in shown
    assert json.loads(run("outcome", "--list", "--json").output)["plans"] == []  # nothing was decided


def test_an_instruction_file_of_an_unknown_model_has_no_price(tmp_path: Path):
    (tmp_path / "CLAUDE.md").write_text(RULES)
    result = run("plan", tmp_path / "CLAUDE.md", "--model", "nobodys-model")
    assert "not known" in result.output
    assert "$0" not in result.output


def test_an_edit_of_a_warm_instruction_file_has_its_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "nothing"))
    project = tmp_path / "project"
    project.mkdir()
    (project / "CLAUDE.md").write_text(RULES)
    os.utime(project / "CLAUDE.md", (1e9, 1e9))
    log = ClaudeLog(start=time.time() - 60)
    log.user("fix it", cwd=str(project))
    for turn in range(3):
        log.answer(f"m{turn}", call=f"t{turn}", read=10_000 * (turn + 1), cwd=str(project))
        log.result(f"t{turn}", cwd=str(project))
    (tmp_path / "s1.jsonl").write_bytes(log.bytes())
    assert run("import", "claude-code", tmp_path / "s1.jsonl").exit_code == 0
    plan = json.loads(run("plan", project / "CLAUDE.md", "--json").output)
    cost = plan["instructions"]
    assert cost["prefixes"] == 1
    assert cost["edit_tokens"] > plan["tokens"]["estimate"]  # what stands behind it is written anew as well
    assert cost["edit_usd"] > cost["cold_usd"] - cost["warm_usd"]
    assert "it is in 1 warm prefix" in run("plan", project / "CLAUDE.md").output


def test_a_document_that_is_called_no_prompt_is_said_to_be_planned_as_one(tmp_path: Path):
    (tmp_path / "guide.md").write_text("Fix the parser in src/a.py.\n")
    (tmp_path / "fix.prompt.md").write_text("Fix the parser in src/a.py.\n")
    assert "is planned as a prompt" in run("plan", tmp_path / "guide.md").stderr
    for arguments in ((tmp_path / "guide.md", "--format", "markdown"), (tmp_path / "fix.prompt.md",)):
        assert "is planned as a prompt" not in run("plan", *arguments).stderr


def test_what_another_model_costs_more_is_a_line_of_its_own(tmp_path: Path):
    path = tmp_path / "fix.prompt.md"
    path.write_text(
        "---\nmodel: claude-sonnet-5\n---\n" + "Rewrite the parser of src/a.py without recursion. " * 60
    )
    plan = json.loads(run("plan", path, "--json").output)
    assert plan["route"]["target"] != "claude-sonnet-5"
    assert plan["cost"]["model_usd"] > 0
    assert f"- {plan['route']['target']} instead of claude-sonnet-5: $" in run("plan", path).output


def test_standard_input():
    result = run("plan", "-", "--json", stdin=b"please fix the the parser in src/a.py\n")
    assert json.loads(result.output)["refinement"]["status"] == "proposed"


def test_a_plan_is_recorded_and_its_outcome_too():
    plan = json.loads(run("plan", EXAMPLES / "agent.request.json", "--json").output)
    assert run("outcome", plan["id"], "--decision", "accepted", "--read", "10").exit_code == 0
    status = json.loads(run("store", "status", "--json").output)
    assert (status["counts"]["plans"], status["counts"]["outcomes"]) == (1, 1)


def test_no_record_records_nothing():
    run("plan", EXAMPLES / "agent.request.json", "--no-record")
    assert json.loads(run("store", "status", "--json").output)["counts"].get("plans", 0) == 0


def test_anchors_are_written_into_a_copy(tmp_path: Path):
    target = tmp_path / "planned.json"
    assert run("plan", EXAMPLES / "agent.request.json", "--apply-anchors", target).exit_code == 0
    planned = formats.read(target.read_bytes())
    assert len(planned.markers) >= 2
    original = formats.read((EXAMPLES / "agent.request.json").read_bytes())
    assert planned.hash == original.hash
    assert markers.splices(original, ()) == ()


def test_a_compressed_body(tmp_path: Path):
    path = tmp_path / "a.request.json.gz"
    path.write_bytes(gzip.compress((EXAMPLES / "agent.request.json").read_bytes()))
    assert json.loads(run("plan", path, "--json").output)["format"] == "anthropic"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"messages": 3}', "messages"),
        (b'{"messages": [', "JSON is cut off"),
        (b'{"model": "x"}', "none of"),
    ],
)
def test_a_body_that_is_none_is_refused_with_its_name(tmp_path: Path, content: bytes, said: str):
    path = tmp_path / "a.request.json"
    path.write_bytes(content)
    result = run("plan", path)
    assert result.exit_code == 2
    assert str(path) in result.output
    assert said in result.output


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.prompt.md", b"", "file"),
        ("a.prompt.md", b" \n\n", "file"),
        ("AGENTS.md", b"\xef\xbb\xbf", "file"),
        ("a.request.json", b"\n", "file"),
        ("a.request.json", b'{"model": "claude-sonnet-5", "messages": []}', "request"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_empty_file_has_no_plan(
    tmp_path: Path, name: str, content: bytes, what: str, options: tuple[str, ...]
):
    path = tmp_path / name
    path.write_bytes(content)
    result = run("plan", path, *options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: Nothing to plan: the {what} is empty\n"
    assert json.loads(run("store", "status", "--json").output)["counts"].get("plans", 0) == 0


def test_empty_standard_input_has_no_plan():
    result = run("plan", "-", stdin=b"")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Nothing to plan" in result.stderr


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    result = run("plan", tmp_path / "missing.prompt.md")
    assert result.exit_code == 2
    assert "missing.prompt.md" in result.output


def test_surroundings_that_do_not_fit_are_named(tmp_path: Path):
    path = tmp_path / "around.json"
    path.write_text('{"activeFile": 3}')
    result = run("plan", EXAMPLES / "fix-parser.prompt.md", "--surroundings", path)
    assert result.exit_code == 2
    assert "activeFile" in result.output


def test_a_setting_that_does_not_fit_is_said_and_the_plan_goes_on():
    config.user_file().write_text('[cache]\nttl = "2h"\n')
    result = run("plan", EXAMPLES / "agent.request.json")
    assert result.exit_code == 0
    assert "cache.ttl" in result.output


def test_dollars_have_their_sign_in_front():
    assert [usd(-0.0010), usd(-12.5), usd(0.0)] == ["-$0.0010", "-$12.50", "$0.0000"]


def test_what_is_spent_never_looks_like_nothing():
    assert [usd(0.00004), usd(0.0002), usd(None)] == ["<$0.0001", "$0.0002", "not known"]


def test_lint_names_file_line_and_column(tmp_path: Path):
    path = tmp_path / "CLAUDE.md"
    path.write_text("# Rules\n\nCurrent time: 2026-11-23T09:41\n" + "Be brief. " * 100 + "\n")
    result = run("lint", path)
    assert result.exit_code == 1
    assert f"{path}:3:15: AL201 warning" in result.output


def test_lint_of_a_clean_file_says_nothing(tmp_path: Path):
    path = tmp_path / "CLAUDE.md"
    path.write_text("Run `pytest` before you commit.\n")
    result = run("lint", path)
    assert (result.exit_code, result.output) == (0, "")


def test_lint_goes_on_after_a_file_it_can_not_read(tmp_path: Path):
    good, bad = tmp_path / "CLAUDE.md", tmp_path / "bad.request.json"
    good.write_text("Current time: 2026-11-23T09:41\n" + "Be brief. " * 100 + "\n")
    bad.write_text("{")
    result = run("lint", bad, good, "--json")
    assert result.exit_code == 2
    assert '"AL201"' in result.output


def test_rules_explains_one():
    assert "TTL" in run("rules", "AL204").output or "lifetime" in run("rules", "AL204").output
    assert run("rules", "AL999").exit_code == 2
    assert {row["code"] for row in json.loads(run("rules", "--json").output)} >= {"AL101", "AL201", "AL301"}


def test_config_shows_where_a_value_comes_from():
    config.user_file().write_text('[cache]\nttl = "1h"\n')
    shown = json.loads(run("config", "show", "--json").output)
    assert shown["settings"]["cache.ttl"] == {"value": "1h", "origin": str(config.user_file())}
    assert run("config", "check").exit_code == 0
    config.user_file().write_text("[cache]\nttl = 3\n")
    assert run("config", "check").exit_code == 1


def test_config_shows_columns():
    lines = run("config", "show").output.splitlines()
    assert len({line.rindex("default") for line in lines}) == 1


def test_doctor_says_how_old_the_data_is():
    checks = {check["name"]: check for check in json.loads(run("doctor", "--json").output)["checks"]}
    assert "days ago" in checks["cache rules"]["message"]
    assert "days ago" in checks["models"]["message"]
    assert checks["store"]["status"] == "ok"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str):
    result = run(name, "--help")
    assert result.exit_code == 0
    assert "Example" in result.output


def test_trims_are_written_into_a_copy_from_which_every_byte_is_restored(tmp_path: Path):
    target = tmp_path / "shorter.json"
    plan = json.loads(run("plan", EXAMPLES / "agent.request.json", "--apply-trims", target, "--json").output)
    body = (EXAMPLES / "agent.request.json").read_bytes()
    assert [trim["kinds"] for trim in plan["trims"]] == [["earlier_lines"]]
    assert target.stat().st_size < len(body) - 5000
    original, shorter = formats.read(body), formats.read(target.read_bytes())
    results = [segment for segment in original.segments if segment.kind == "tool_result"]
    found = [json.loads(original.text(segment))["content"] for segment in results]
    assert [text for texts in restored_texts(shorter).values() for text in texts] == found


def test_trims_are_of_request_bodies(tmp_path: Path):
    result = run("plan", EXAMPLES / "fix-parser.prompt.md", "--apply-trims", tmp_path / "shorter.json")
    assert result.exit_code == 2
    assert "request bodies" in result.output


def test_damaged_lines_of_a_session_are_named_and_left_out(tmp_path):
    log = ClaudeLog()
    log.user("Fix the parser")
    log.answer("msg_1")
    log.user("Now the tests")
    log.lines.insert(1, b"\0" * 300 + b"\n")
    log.lines.insert(3, log.lines[0][:90] + b"\n")
    path = tmp_path / "session.jsonl"
    path.write_bytes(log.bytes())
    done = CliRunner().invoke(cli, ["plan", str(path), "--json", "--no-record"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["draft_hash"] is not None
    assert [f"{path}: line {number}: " in done.stderr for number in (1, 2, 3, 4, 5)] == [
        False,
        True,
        False,
        True,
        False,
    ]
    assert done.stderr.count("left out") == 2
    path.write_bytes(b"\0" * 300 + b"\n")
    done = CliRunner().invoke(cli, ["plan", str(path)])
    assert done.exit_code == 2
    assert "line 1" in done.stderr


def test_lint_says_of_a_body_that_is_not_read_which_it_is(tmp_path: Path):
    path = tmp_path / "converse.request.json"
    path.write_text(json.dumps({"system": [{"text": "a"}], "messages": [], "toolConfig": {}}))
    result = run("lint", path)
    assert result.exit_code == 2
    assert "converse.request.json:1:1: AL401 error: a body of Bedrock's Converse API" in result.output


@pytest.mark.parametrize(
    ("content", "diagnostic"),
    [
        ('{"messages": 3}', '1:14: AL401 error: no request body: "messages" must be an array, not a number'),
        (
            '{"input": 3}',
            '1:11: AL401 error: no request body: "input" must be a string or an array, not a number',
        ),
        (
            '{"system": "",\n "messages": [{"role": "user", "content": "é"},\n  {"role": null}]}',
            '3:12: AL401 error: no request body: "messages[1].role" must be a string, not null',
        ),
        (
            '{"system": "", "messages": [\n{}]}',
            '2:1: AL401 error: no request body: "messages[0]" has no "role"',
        ),
        ('{"messages": [,]}', "1:15: AL401 error: JSON is malformed: invalid character"),
        ('{"messages":\n [1', "2:4: AL401 error: JSON is cut off: it ends before it is complete"),
    ],
)
def test_lint_says_what_is_wrong_with_a_body_and_where(tmp_path: Path, content: str, diagnostic: str):
    path = tmp_path / "bad.request.json"
    path.write_text(content, encoding="utf-8")
    result = run("lint", path)
    assert result.exit_code == 2
    assert result.output == f"{path}:{diagnostic}\n"


def test_a_misspelt_command_names_the_one_that_is_meant():
    result = CliRunner().invoke(cli, ["plann"])
    assert result.exit_code == 2
    assert "No such command 'plann'. Did you mean 'plan'?" in result.stderr
    unlike = CliRunner().invoke(cli, ["zzz"]).stderr
    assert "Did you mean" not in unlike
    assert "--help" in unlike


def test_an_unknown_command_of_a_group_names_those_that_it_has():
    result = CliRunner().invoke(cli, ["import", "cursor"])
    assert result.exit_code == 2
    assert "No such command 'cursor'. Choose from 'claude-code', 'cline', 'codex', " in result.stderr
    assert "Did you mean 'codex'?" in CliRunner().invoke(cli, ["import", "codx"]).stderr


def test_help_lists_each_command_once_and_in_a_group():
    shown = CliRunner().invoke(cli, ["--help"]).stdout
    for name in COMMANDS:
        assert shown.count(f"\n  {name} ") == 1
    assert "\nPrompts:\n  plan " in shown


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="POSIX pipes")
@pytest.mark.parametrize("words", [["config", "show"], ["rules"], ["plan", "--schema"]])
def test_output_that_nobody_reads_on_is_no_error(words: list[str]):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "anchorline", *words], stdout=closed, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")
