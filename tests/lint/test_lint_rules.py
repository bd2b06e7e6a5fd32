"""Each rule fires where it should, with the place, and stays silent where it should not."""

import json
import re

import pytest

from anchorline import redact
from anchorline.cache import markers
from anchorline.cache.ledger import Entry, MemoryLedger
from anchorline.config import Config
from anchorline.lint.rules import RULES
from anchorline.planner import Planner
from anchorline.prompt import formats
from anchorline.prompt.model import PromptError

MARK = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
LONG = "a rule that is followed by everybody. " * 400


def lint(source: bytes | dict, name: str = "a.request.json"):
    data = source if isinstance(source, bytes) else json.dumps(source).encode()
    prompt = formats.read(data, name=name)
    planner = Planner(Config(), MemoryLedger())
    return data, planner.lint(prompt, planner.plan(prompt))


def text(content: str, **members: object) -> dict:
    return {"type": "text", "text": content, **members}


def body(*blocks: dict, system: str = LONG, **members: object) -> dict:
    return {
        "model": "claude-sonnet-5",
        "system": system,
        "messages": [{"role": "user", "content": list(blocks)}],
        **members,
    }


def codes(source: bytes | dict, name: str = "a.request.json") -> list[str]:
    return [finding.code for finding in lint(source, name)[1]]


def test_a_time_in_the_system_prompt():
    source = body(text("explain it", **MARK), system="Current time: 2026-11-23T09:41:07Z\n" + LONG)
    data, findings = lint(source)
    (finding,) = [one for one in findings if one.code == "AL201"]
    assert data[finding.start : finding.end] == b"2026-11-23T09:41:07Z"


@pytest.mark.parametrize(
    "harmless", ["Released 2026-11-23.", "Use ISO dates such as YYYY-MM-DD.", "RFC 4122 defines UUIDs."]
)
def test_a_date_that_does_not_change_is_no_volatile_text(harmless: str):
    assert "AL201" not in codes(body(text("explain it", **MARK), system=harmless + LONG))


def test_a_volatile_line_in_instructions_can_be_moved_to_the_end():
    source = b"# Rules\n\nCurrent date: 2026-11-23 10:30\n\n" + LONG.encode()
    data, findings = lint(source, "CLAUDE.md")
    (finding,) = [one for one in findings if one.code == "AL201"]
    fixed = markers.apply(data, finding.fix)
    assert fixed.endswith(b"\nCurrent date: 2026-11-23 10:30\n")
    assert sorted(fixed.split()) == sorted(data.split())
    assert "AL201" not in codes(fixed, "CLAUDE.md")


@pytest.mark.parametrize(
    "line",
    [
        "- Today is Monday, November 23",
        "Session 0f8fad5b-d9cb-469f-a165-70867728950e.",
        "<current_date>2026-11-30</current_date>",
        "user id: 3\ncurrent time: 2026-11-30 09:41",
    ],
)
def test_a_line_moves_that_holds_nothing_but_the_moment(line: str):
    stays, _, moved = f"\n{line}".rpartition("\n")
    data, findings = lint(f"# Build\n{stays}\n{moved}\n\n## Style\n\n{LONG}\n".encode(), "CLAUDE.md")
    (finding,) = [one for one in findings if one.code == "AL201"]
    fixed = markers.apply(data, finding.fix).decode()
    assert finding.fix_title == "Move the volatile line to the end"
    assert fixed == f"# Build\n{stays}\n\n## Style\n\n{LONG}\n\n{moved}\n"


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("Run `make test` first. Current date: 2026-11-30T09:41:07Z", "Run `make test` first."),
        ("- Current time: 2026-11-30 09:41. Never push to main.", "- Never push to main."),
        ("Never push to main, current date: 2026-11-30 09:41", "Never push to main"),
        ("Never push, today is Mon 2026-11-30 09:41, to main.", "Never push, to main."),
        ("Never push to main (it is now 30.11.2026, 09:41:07 PM CET).", "Never push to main."),
        ("# Notes – 2026-11-30 09:41:07", "# Notes"),
        ("Run it. **Current date:** 2026-11-30 09:41 UTC! Then push.", "Run it. Then push."),
        ("Never push; session 0f8fad5b-d9cb-469f-a165-70867728950e; be kind", "Never push; be kind"),
    ],
)
def test_beside_an_instruction_only_the_stamp_goes(line: str, stays: str):
    data, findings = lint(f"# Build\n\n{line}\n\n## Style\n\n{LONG}\n".encode(), "CLAUDE.md")
    (finding,) = [one for one in findings if one.code == "AL201"]
    assert finding.fix_title == ("Remove the id" if "session" in line else "Remove the time stamp")
    fixed = markers.apply(data, finding.fix)
    assert fixed.decode() == f"# Build\n\n{stays}\n\n## Style\n\n{LONG}\n"
    assert "AL201" not in codes(fixed, "CLAUDE.md")


@pytest.mark.parametrize(
    "line",
    [
        "Deploy at 2026-11-30 09:41 and never before.",
        "At 2026-11-30 09:41, deploy.",
        "Deploy (not before 2026-11-30 09:41) all of it.",
        "Run *all of it. Current time: 2026-11-30 09:41* and push.",
        "Be done with all of it\nat 2026-11-30 09:41",
        "> Current time: 2026-11-30 09:41",
        "| time | 2026-11-30 09:41 |",
        "# Notes of 2026-11-30 09:41:07",
    ],
)
def test_a_moment_that_is_a_part_of_an_instruction_stays(line: str):
    _, findings = lint(f"# Build\n\n{line}\n\n## Style\n\n{LONG}\n".encode(), "CLAUDE.md")
    (finding,) = [one for one in findings if one.code == "AL201"]
    assert (finding.fix, finding.fix_title) == ((), "")


@pytest.mark.parametrize(
    ("line", "stamp"),
    [
        ("Current date: 2026-11-30T09:41:07Z", "2026-11-30T09:41:07Z"),
        ("Push on red. Current date: 2026-11-30T09:41:07Z", "2026-11-30T09:41:07Z"),
        ("Current time: 30.11.2026 09:41 PM", "30.11.2026 09:41 PM"),
        ("Current time is 09:41:07 UTC", "09:41:07 UTC"),
        ("Today is Monday, 30 November 2026", "Monday, 30 November 2026"),
    ],
)
def test_the_whole_stamp_is_marked_and_named_and_nothing_else(line: str, stamp: str):
    data, findings = lint(f"{line}\n\n{LONG}\n".encode(), "CLAUDE.md")
    (finding,) = [one for one in findings if one.code == "AL201"]
    assert data[finding.start : finding.end].decode() == stamp
    assert finding.message.startswith(f"“{stamp}” changes")


def test_a_marker_on_a_short_prefix():
    assert "AL202" in codes(body(text("hello there", **MARK), system="short"))
    assert "AL202" not in codes(body(text("hello there", **MARK)))


def test_five_markers():
    assert "AL203" in codes(body(*[text(f"part {n}", **MARK) for n in range(5)]))
    assert "AL203" not in codes(body(*[text(f"part {n}", **MARK) for n in range(4)]))


def test_an_automatic_marker_takes_a_slot():
    assert "AL203" in codes(body(*[text(f"part {n}", **MARK) for n in range(4)], **MARK))


def test_an_hour_after_five_minutes():
    assert "AL204" in codes(body(text("one", **MARK), text("two", **HOUR)))
    assert "AL204" not in codes(body(text("one", **HOUR), text("two", **MARK)))


def mended(source: dict, code: str) -> dict:
    """Return a body with the fix of its one finding of this code made, and check that the finding goes with it."""
    data, findings = lint(source)
    (finding,) = [one for one in findings if one.code == code]
    assert finding.fix_title
    fixed = markers.apply(data, finding.fix)
    assert code not in codes(fixed)
    return json.loads(fixed)


def result(*blocks: dict, **members: object) -> dict:
    return {"type": "tool_result", "tool_use_id": "t1", "content": list(blocks), **members}


def test_markers_within_blocks_count():
    inner = [text(f"part {n}", **MARK) for n in range(3)]
    assert "AL203" not in codes(body(result(*inner), text("go on", **MARK)))
    made = mended(body(result(*inner), text("then", **MARK), text("go on", **MARK)), "AL203")
    assert made["messages"][0]["content"][-1] == text("go on")


def test_the_longer_of_two_lifetimes_in_the_wrong_order_can_be_shortened():
    made = mended(body(result(text("one", **MARK)), text("two", **HOUR)), "AL204")
    assert made["messages"][0]["content"][1] == text("two", **MARK)


def test_the_automatic_breakpoint_is_the_last():
    made = mended(body(text("one", **MARK), text("two"), **HOUR), "AL204")
    assert made["messages"][0]["content"][0] == text("one", **HOUR)
    assert "AL204" not in codes(body(text("one", **HOUR), text("two"), **MARK))
    assert "AL204" not in codes(body(text("one", **HOUR), text("two"), **HOUR))


def test_another_lifetime_leaves_the_rest_of_the_marker():
    own = {"cache_control": {"type": "ephemeral", "scope": "global", "ttl": "5m"}}
    made = mended(body(text("one", **own), text("two"), **HOUR), "AL204")
    assert made["messages"][0]["content"][0] == text(
        "one", cache_control={"type": "ephemeral", "scope": "global", "ttl": "1h"}
    )


def test_two_lifetimes_on_the_block_of_the_automatic_breakpoint():
    made = mended(body(text("one"), text("two", **HOUR), **MARK), "AL204")
    assert made["messages"][0]["content"][1] == text("two", **MARK)


def test_a_marker_on_white_space_within_a_result():
    made = mended(body(result(text("found"), text(" \n", **MARK)), text("go on")), "AL206")
    assert made["messages"][0]["content"][0] == result(text("found"), text(" \n"))
    assert "AL206" not in codes(body(result(text("found", **MARK), text(" \n")), text("go on")))


def test_a_marker_on_a_deferred_tool():
    own, later = {"name": "read"}, {"name": "releases", "defer_loading": True}
    made = mended(body(text("go on", **MARK), tools=[own, {**later, **MARK}]), "AL210")
    assert made["tools"] == [own, later]
    assert "AL210" not in codes(body(text("go on"), tools=[{**own, **MARK}, later]))


@pytest.mark.parametrize(
    "caller", [{}, {"caller": {"type": "direct"}}, {"caller": {"type": "code_execution_20250825"}}]
)
def test_a_marker_on_a_call_from_code_and_on_its_result(caller: dict):
    call = {"type": "tool_use", "id": "t1", "name": "read", "input": {}, **caller}
    for marked in ([{**call, **MARK}, result(text("a"))], [call, result(text("a"), **MARK)]):
        source = body()
        source["messages"] = [
            {"role": "user", "content": "go on"},
            {"role": "assistant", "content": marked[:1]},
            {"role": "user", "content": marked[1:]},
        ]
        if "code" in str(caller):
            made = mended(source, "AL211")
            assert "cache_control" not in str(made)
        else:
            assert "AL211" not in codes(source)


def test_a_marker_on_thinking():
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    source = body(text("go on"))
    source["messages"] += [{"role": "assistant", "content": [{**thought, **MARK}, text("Done.")]}]
    assert mended(source, "AL211")["messages"][1]["content"][0] == thought


def chat(model: str, **members: object) -> dict:
    return {"model": model, "messages": [{"role": "user", "content": [text(LONG, **members)]}]}


def test_a_marker_that_the_model_does_not_know():
    assert "cache_control" not in str(mended(chat("gpt-6.1-terra", **MARK), "AL211"))
    for model in ("anthropic/claude-sonnet-4.5", "openai/gpt-6.1-terra", "claude-sonnet-4-5"):
        assert "AL211" not in codes(chat(model, **MARK))


def test_a_chat_with_claude_by_openrouter_is_offered_breakpoints():
    made = mended(chat("anthropic/claude-sonnet-4.5"), "AL207")
    assert made["messages"][0]["content"][0]["cache_control"]["type"] == "ephemeral"
    silent = chat("claude-sonnet-4-5") | {"max_completion_tokens": 9}
    assert "AL207" not in codes(silent)


def test_what_is_left_out_before_a_compaction_block_is_not_found_uncached():
    source = body(text(LONG), system="Be brief.")
    summary = {"type": "compaction", "content": "They read it."}
    source["messages"] += [{"role": "assistant", "content": [summary]}, {"role": "user", "content": "Go on."}]
    assert "AL207" not in codes(source)


@pytest.mark.parametrize(
    "source",
    [
        {"system": [{"text": LONG}, {"cachePoint": {"type": "default"}}], "messages": [{"role": "user", "content": [{"text": "a"}]}]},
        {"messages": [{"content": [{"text": "a"}, {"cachePoint": {"type": "default"}}], "role": "user"}]},
        {"modelId": "anthropic.claude-sonnet-4-5-20250929-v1:0", "messages": [{"role": "user", "content": []}]},
        {"messages": [{"role": "user", "content": [{"image": {}}]}], "inferenceConfig": {"maxTokens": 5}},
        {"messages": [{"role": "user", "content": [{"image": {"format": "png"}}, {"text": "a"}]}]},
        {"messages": [{"role": "user", "content": "a"}], "toolConfig": {"tools": [{"cachePoint": {"type": "default"}}]}},
    ],
)  # fmt: skip
def test_bodies_of_converse_are_read_as_no_other(source: dict):
    for name in ("a.request.json", "a", None):
        with pytest.raises(PromptError, match="is not read"):
            formats.read(json.dumps(source).encode(), name=name)


@pytest.mark.parametrize("version", ["bedrock-2023-05-31", "vertex-2023-10-16"])
def test_bodies_for_claude_on_bedrock_and_vertex_are_read_without_a_model(version: str):
    source = {"anthropic_version": version, "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]}
    assert formats.read(json.dumps(source).encode()).format == "anthropic"


def test_a_duplicate():
    result = {"type": "tool_result", "tool_use_id": "a", "content": LONG}
    assert "AL205" in codes(body(result, {**result, "tool_use_id": "b"}))


def test_a_duplicate_in_a_document_can_be_removed():
    fence = b"```\n" + LONG.encode() + b"\n```\n"
    data, findings = lint(b"Read this:\n\n" + fence + b"\nand this:\n\n" + fence, "a.prompt.md")
    (finding,) = [one for one in findings if one.code == "AL205"]
    fixed = markers.apply(data, finding.fix)
    assert fixed.count(fence) == 1
    assert fixed.startswith(b"Read this:\n\n" + fence)


def test_a_marker_on_white_space():
    assert "AL206" in codes(body(text(" \n", **MARK)))


def test_nothing_cached_offers_the_breakpoints():
    source = body(text("explain it"))
    data, findings = lint(source)
    (finding,) = [one for one in findings if one.code == "AL207"]
    fixed = markers.apply(data, finding.fix)
    assert b"cache_control" in fixed
    assert "AL207" not in codes(fixed)


def test_a_large_prompt_that_goes_into_an_expired_cache_is_warned_of_in_dollars():
    source = json.dumps(body(text("explain it"), system=LONG * 10)).encode()
    prompt = formats.read(source, name="a.request.json")
    prefix = prompt.segments[0].prefix

    def findings(age: float, tokens: int) -> list:
        entry = Entry("anthropic", "default", "claude-sonnet-5", prefix, tokens, "5m", 0.0, 300.0)
        planner = Planner(Config(), MemoryLedger([entry]))
        return [one for one in planner.lint(prompt, planner.plan(prompt, now=age)) if one.code == "AL208"]

    (finding,) = findings(900.0, 60_000)
    assert "60,000 tokens expired 10 min ago" in finding.message
    assert re.search(r"again costs \$0\.\d\d; warm it was \$0\.0\d", finding.message)
    assert findings(100.0, 60_000) == []
    assert findings(900.0, 5_000) == []


def test_a_secret_is_found_but_never_quoted():
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    data, findings = lint(body(text(f"clone with {secret} — then push")))
    (finding,) = [one for one in findings if one.code == "AL301"]
    assert data[finding.start : finding.end] == secret.encode()
    assert secret not in finding.message


def test_a_secret_after_other_scripts_is_found_where_it_stands():
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    data, findings = lint(f"ключ — 鍵: {secret}\n".encode(), "a.prompt.md")
    (finding,) = [one for one in findings if one.code == "AL301"]
    assert data[finding.start : finding.end] == secret.encode()


PUBLISHED = (
    "AKIA" + "IOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY",
    "sk_test_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789",
    "xoxb-" + "17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
    "sk-ant-" + "api03-your-api-key-here-0000",
    "sk-proj-" + "x" * 40,
    "sk-" + "1234567890abcdef" * 2,
    "".join(
        (
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.",
            "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
        )
    ),
    "https://hooks.slack.com/services/T00000000/B00000000/" + "X" * 24,
    "Authorization: Basic " + "QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    "postgres://postgres:" + "mysecretpassword@localhost/app",
)


@pytest.mark.parametrize("published", PUBLISHED)
def test_a_key_that_documentation_prints_is_no_secret_but_is_not_kept_either(published: str):
    assert "AL301" not in codes(f"Explain this:\n\n```ini\n{published}\n```\n".encode(), "a.prompt.md")
    assert "[redacted: " in redact.redact(published)


UNPUBLISHED = [
    rule for rule in redact.RULES if rule.name != "slack-token"
]  # whose example counts up, as documentation does


@pytest.mark.parametrize("rule", UNPUBLISHED, ids=lambda rule: rule.name)
def test_a_key_of_any_kind_is_reported_though_it_be_beside_an_example(rule: redact.SecretRule):
    _, findings = lint(f"{PUBLISHED[0]}\nexample: {rule.example}\n".encode(), "a.prompt.md")
    assert [one.code for one in findings if one.code == "AL301"] == ["AL301"]


def test_larger_than_the_context():
    assert "AL302" in codes(body(text("word " * 700_000), model="claude-haiku-4-5"))


def test_a_fence_without_an_end():
    data, findings = lint(b"Fix it:\n\n```python\nx = 1\n", "a.prompt.md")
    (finding,) = [one for one in findings if one.code == "AL402"]
    assert data[finding.start : finding.end] == b"```python"
    assert "AL402" not in codes(b"Fix it:\n\n```python\nx = 1\n```\n", "a.prompt.md")
    assert "AL402" not in codes(b"Fix it:\n\n````md\n```\n````\n", "a.prompt.md")


def test_an_unclear_draft_gets_a_hint_on_the_words_it_means():
    data, findings = lint(b"fix the bug\n", "a.prompt.md")
    assert [one.code for one in findings if one.code.startswith("AL1")]
    assert all(0 <= one.start < one.end <= len(data) for one in findings)


def test_a_good_prompt_gets_nothing():
    source = b"Explain how `parse_config` in `src/config.py` handles a missing section, with one example.\n"
    assert codes(source, "a.prompt.md") == []


def test_every_rule_says_what_it_means():
    assert all(rule.title and rule.explanation and rule.example for rule in RULES.values())
    assert list(RULES) == sorted(RULES)


@pytest.mark.parametrize(
    "volatile",
    [
        "Current Time: 2026-11-23T09:41:07Z",
        "Session 0f8fad5b-d9cb-469f-a165-70867728950e.",
        "Today is Monday, November 23",
        "It is 2026-11-23 09:41 now.",
    ],
)
def test_what_changes_from_request_to_request(volatile: str):
    data, findings = lint(f"# Rules\n\n{volatile}\n\n{LONG}\n".encode(), "AGENTS.md")
    (finding,) = [one for one in findings if one.code == "AL201"]
    assert data[finding.start : finding.end].decode() in volatile


@pytest.mark.parametrize(
    "stable", ["commit 0f8fad5bd9cb469fa16570867728950e", "10f8fad5b-d9cb-469f-a165-70867728950e"]
)
def test_what_only_looks_like_it(stable: str):
    assert "AL201" not in codes(f"# Rules\n\n{stable}\n\n{LONG}\n".encode(), "AGENTS.md")
