"""What the tools answer: the same as the commands, within bounds, and a reason where they can't."""

import json
import time
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.mcp.answers import LONGEST, MOST_ROWS, bounded, schema
from anchorline.mcp.roots import Roots
from anchorline.mcp.tools import CallError, ToolAnswer, Tools
from anchorline.plan import Edit
from anchorline.rate_limits import LimitSample
from anchorline.store.database import locate
from anchorline.store.recorder import Recorder
from support import history, samples
from support.builds import ROOT
from support.grounded import FILE, PROMPT, shop

PLAIN = "Fix the flaky test, and say why it failed."
DRAFT = "Fix the flaky test in tests/parser_test.py, and say why it failed."


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    (tmp_path / "work").mkdir()
    return Tools(Roots([tmp_path / "work"]))


def call(tools: Tools, name: str, **arguments: Any) -> ToolAnswer:
    answer = tools.by_name[name].call(arguments)
    jsonschema.validate(json.loads(msgspec.json.encode(answer.value)), schema(tools.by_name[name].answer))
    return answer


def value(tools: Tools, name: str, **arguments: Any) -> Any:
    return json.loads(msgspec.json.encode(call(tools, name, **arguments).value))


def command(*words: str) -> Any:
    done = CliRunner().invoke(cli, [*words, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_text_a_file_and_a_body_are_planned_as_the_command_plans_them(tools: Tools, tmp_path: Path):
    (tmp_path / "work" / "fix.prompt.md").write_text(PLAIN)
    body = json.loads((ROOT / "docs" / "examples" / "agent.request.json").read_text("utf-8"))
    (tmp_path / "body.json").write_bytes(msgspec.json.encode(body))
    planned = command("plan", str(tmp_path / "work" / "fix.prompt.md"), "--no-record")
    body_planned = command("plan", str(tmp_path / "body.json"), "--no-record")
    for expected, answered in (
        (planned, value(tools, "plan", file="fix.prompt.md")),
        (planned, value(tools, "plan", text=PLAIN)),
        (body_planned, value(tools, "plan", body=body)),
    ):
        for name in ("tokens", "cost", "route", "trims"):
            assert answered[name] == expected[name]
        assert answered["cache"]["anchors"] == expected["cache"]["anchors"]
        assert answered["cache"]["p_hit"] == expected["cache"]["p_hit"]
    jsonschema.validate(
        value(tools, "plan", body=body),
        json.loads((ROOT / "docs" / "reference" / "plan.schema.json").read_text("utf-8")),
    )


def test_a_plan_of_a_draft_names_the_file_that_the_workspace_does_not_have(tools: Tools, tmp_path: Path):
    (tmp_path / "work" / "tests").mkdir()
    (tmp_path / "work" / "tests" / "test_parser.py").write_text("")
    hints = value(tools, "plan", text=DRAFT)["refinement"]["hints"]
    assert any("tests/parser_test.py" in hint["message"] for hint in hints)


def test_a_task_is_looked_up_in_the_first_folder(tmp_path: Path):
    root = shop(tmp_path / "shop").folder
    tools = Tools(Roots([root]))
    answer = value(tools, "ground", text=PROMPT)
    assert answer["root"] == str(root)
    assert FILE in {fact["path"] for fact in answer["facts"]}
    assert FILE in call(tools, "ground", text=PROMPT).text
    (root / FILE).unlink()
    assert FILE not in {fact["path"] for fact in value(tools, "ground", text=PROMPT)["facts"]}
    assert value(tools, "ground", text="What is the capital of France?")["facts"] == []


def test_without_a_folder_nothing_is_looked_up():
    with pytest.raises(CallError, match="no folder is open"):
        call(Tools(Roots([Path.home(), Path("/")])), "ground", text=PROMPT)


def test_the_model_that_is_named_is_planned_for(tools: Tools):
    assert value(tools, "plan", text=DRAFT, model="claude-opus-5-5")["route"]["alternatives"][0][
        "target"
    ] == ("claude-opus-5-5")


def test_nothing_is_recorded_and_no_file_is_made(tools: Tools, isolated_home: Path, tmp_path: Path):
    call(tools, "plan", text="my secret plan")
    call(tools, "warm")
    call(tools, "cost")
    assert not (isolated_home / "data").exists()
    history.imported(tmp_path / "sessions")
    before = {path: path.read_bytes() for path in isolated_home.rglob("*") if path.is_file()}
    call(tools, "plan", text="my secret plan")
    call(tools, "warm")
    call(tools, "cost", by="model")
    after = {path: path.read_bytes() for path in isolated_home.rglob("*") if path.is_file()}
    assert {path for path in after if not path.name.endswith(("-wal", "-shm"))} == set(before) - {
        path for path in before if path.name.endswith(("-wal", "-shm"))
    }
    assert all(after[path] == content for path, content in before.items() if path in after)
    assert not any(b"my secret plan" in content for content in after.values())


def test_what_is_warm_is_what_the_command_lists(tools: Tools, tmp_path: Path):
    history.imported(tmp_path / "sessions", days_ago=600 / 86_400, gap=60)
    listed, answered = command("warm"), value(tools, "warm")
    (prefix,), (row,) = listed["warm"], answered["warm"]
    assert (row["model"], row["tokens"], row["ttl"], row["usd"]) == (
        prefix["model"],
        prefix["tokens"],
        prefix["ttl"],
        prefix["usd"],
    )
    assert abs(row["left_s"] - prefix["left_s"]) <= 2
    assert (answered["tokens"], answered["usd"], answered["others"]) == (listed["tokens"], listed["usd"], 0)
    assert "at stake" in call(tools, "warm").text


def test_nothing_warm_is_said(tools: Tools):
    assert call(tools, "warm").text == "Nothing is warm."


def test_cost_is_the_report_in_as_many_rows_as_an_agent_should_pay_for(tools: Tools, tmp_path: Path):
    history.months(tmp_path / "sessions", count=40, turns=3)
    assert CliRunner().invoke(cli, ["import", "claude-code", str(tmp_path / "sessions")]).exit_code == 0
    whole = command("report", "--by", "session", "--since", "52w")
    answered = value(tools, "cost", by="session", since="52w")["bill"]
    assert len(whole["rows"]) == 40
    assert len(answered["rows"]) == MOST_ROWS + 1
    assert answered["rows"][-1]["others"] == 20
    for name in ("requests", "usd", "uncached_usd", "unpriced"):
        assert answered[name] == whole[name]
    assert sum(row["usd"] for row in answered["rows"]) == pytest.approx(whole["usd"])
    assert len(call(tools, "cost", by="session", since="52w").text) < 2000


def test_budgets_that_are_set_are_answered(tools: Tools, tmp_path: Path, isolated_home: Path):
    (isolated_home / "anchorline.toml").write_text("[budget]\nweek = 50\n")
    history.imported(tmp_path / "sessions", days_ago=0.001, gap=60)
    (budget,) = value(tools, "cost")["budgets"]
    assert (budget["period"], budget["limit_usd"]) == ("week", 50)
    assert budget["spent_usd"] == pytest.approx(value(tools, "cost")["bill"]["usd"])


def test_limits_of_a_plan_are_answered_in_per_cent(tools: Tools, isolated_home: Path):
    (isolated_home / "anchorline.toml").write_text("[budget]\nfive_hour_percent = 70\n")
    now = time.time()
    recorder = Recorder(locate(), "off", on_notice=lambda notice: None)
    recorder.limits(
        (LimitSample(now - 60, "anthropic", "five_hour", 62.0, now + 3600, 18_000, "status_line"),)
    )
    assert recorder.close(20)
    (window,) = value(tools, "cost")["limits"]
    assert (window["window"], window["used"]) == ("five_hour", 62)
    (budget,) = value(tools, "cost")["limit_budgets"]
    assert (budget["used_percent"], budget["limit_percent"]) == (62, 70)
    text = call(tools, "cost").text
    assert "5-hour window: 62% used, resets" in text
    assert "of the 70% that you allow" in text


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("plan", {}, "one of `text`, `file` and `body`"),
        ("plan", {"text": "a", "file": "b"}, "one of `text`, `file` and `body`"),
        ("plan", {"text": ""}, "empty"),
        ("plan", {"text": 7}, "Expected `str`"),
        ("plan", {"text": "a", "roots": ["/"]}, "unknown field"),
        ("plan", {"body": {}}, "no request body"),
        ("plan", {"body": {"messages": 7}}, "no prompt that can be planned"),
        ("plan", {"file": "/etc/passwd"}, "no such file in the workspace"),
        ("plan", {"text": "half a pair: \ud800"}, "surrogate"),
        ("cost", {"by": "person"}, "Invalid enum value"),
        ("cost", {"since": "yesterday"}, "neither an age"),
    ],
)
def test_a_call_that_can_not_be_answered_is_refused_with_a_reason(
    tools: Tools, name: str, arguments: dict[str, Any], reason: str
):
    with pytest.raises(CallError, match=reason):
        tools.by_name[name].call(arguments)


def test_what_a_model_leaves_out_by_null_is_left_out(tools: Tools):
    assert value(tools, "plan", text=DRAFT, file=None, body=None, model=None)["failure"] is None


def test_a_damaged_database_is_said_and_plans_go_on(tools: Tools):
    path = locate()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database" * 1000)
    assert "What is warm is not known" in call(tools, "plan", text=DRAFT).text
    for name in ("warm", "cost"):
        with pytest.raises(CallError, match=r"anchorline\.db"):
            tools.by_name[name].call({})


def test_a_plan_is_bounded_and_says_what_it_left_out():
    plan = samples.plan()
    long = msgspec.structs.replace(
        plan,
        trims=plan.trims * 500,
        refinement=msgspec.structs.replace(
            plan.refinement, text="word " * LONGEST, edits=(Edit(0, 1, "x", "y"),) * 500
        ),
    )
    answer, left_out = bounded(long)
    assert (len(answer.trims), len(answer.refinement.edits), answer.refinement.text) == (
        MOST_ROWS,
        MOST_ROWS,
        None,
    )
    assert len(left_out) == 3
    assert len(msgspec.json.encode(answer)) < 12_000
    assert bounded(plan)[1] == ()


def test_a_huge_body_is_answered_in_seconds(tools: Tools):
    lines = "\n".join(f"{number}: value" for number in range(20_000))
    turn = [{"role": "user", "content": lines}, {"role": "assistant", "content": "ok"}]
    body = {
        "model": "claude-sonnet-5",
        "max_tokens": 9,
        "messages": [*turn * 8, {"role": "user", "content": "go"}],
    }
    start = time.monotonic()
    answer = call(tools, "plan", body=body)
    assert time.monotonic() - start < 20
    assert len(msgspec.json.encode(answer.value)) < 12_000


def test_what_the_list_of_tools_costs_an_agent_is_little(tools: Tools):
    shown = [
        {"name": tool.name, "description": tool.description, "input_schema": schema(tool.arguments)}
        for tool in tools.by_name.values()
    ]
    assert len(json.dumps(shown)) < 2500  # some 600 tokens in each session


def test_a_body_of_gemini_is_planned_for_the_model_that_is_named(tools: Tools):
    body = {"contents": [{"role": "user", "parts": [{"text": "Fix the flaky test."}]}]}
    planned = value(tools, "plan", body=body, model="gemini-3-pro-preview")
    assert planned["format"] == "gemini"
    assert planned["cache"]["provider"] == "gemini"
