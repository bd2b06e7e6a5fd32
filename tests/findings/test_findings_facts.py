"""Findings that rest on what the tools returned: each kind once, with its count, its dollars and where it was worst."""

import pytest

from anchorline.findings.attribution import LARGE_TOKENS
from anchorline.findings.model import CostFinding, Overview
from anchorline.findings.overview import overview
from anchorline.replay import history
from anchorline.replay.changes import Shorter
from anchorline.replay.worth import WhatIf
from anchorline.route.target import load
from anchorline.sessions.facts import Checkout, ToolResult
from anchorline.store import database
from anchorline.store.reader import Reader
from support.sessions_in_store import put, request

TARGETS = load()
OPUS = 5e-6
FILE, OTHER = b"f" * 16, b"g" * 16
PROJECT = Checkout("~/project", "main", "")


def now() -> Overview:
    return overview(database.locate(), TARGETS)


def finding(code: str) -> CostFinding:
    (match,) = (finding for finding in now().findings if finding.code == code)
    return match


def conversation(
    *results: tuple[ToolResult, ...], step: int = 10_000, session: str = "s", begin: float = 0.0
) -> None:
    """A conversation that grows by `step` tokens a request; each has what tools returned, and all is read again."""
    put([
        request(
            number + 1, at=begin + 60.0 * (number + 1), session=session, read=number * step, write_1h=step,
            checkout=PROJECT, results=brought,
        )
        for number, brought in enumerate(results)
    ], file=session)  # fmt: skip


def read(
    tokens: int = 2000, target: bytes = FILE, first: int | None = None, lines: int | None = None
) -> ToolResult:
    return ToolResult("Read", "text", tokens, target, first, lines)


def test_a_file_that_is_read_again_costs_its_tokens_now_and_in_every_later_request():
    conversation((), (read(),), (read(),), (), ())
    again = finding("files_reread")
    assert (again.count, again.unit, again.requests) == (1, "re-read", 3)
    assert again.usd == pytest.approx(2000 * (2 + 0.1 + 0.1) * OPUS, abs=1e-6)
    assert again.worst is not None
    assert (again.worst.project, again.worst.day) == ("~/project", "2026-01-05")


@pytest.mark.parametrize(
    "second",
    [
        read(target=OTHER),
        read(first=500, lines=100),
        ToolResult("Bash", "text", 2000),
    ],
)
def test_another_file_other_lines_and_a_command_are_no_second_reading(second: ToolResult):
    conversation((), (read(first=1, lines=100),), (second,), ())
    assert not now().findings


def test_some_lines_of_a_file_that_was_read_whole_are():
    conversation((), (read(),), (read(first=500, lines=100),), ())
    assert finding("files_reread").count == 1


def test_a_file_that_was_written_since_or_lost_in_a_compaction_has_to_be_read_again():
    conversation((), (read(),), (ToolResult("Edit", "text", 50, FILE),), (read(),))
    assert not now().findings


def test_of_a_large_result_only_what_is_beyond_the_size_counts():
    conversation((), (ToolResult("Bash", "text", LARGE_TOKENS + 3000),), (), ())
    large = finding("large_results")
    assert (large.count, large.requests) == (1, 3)
    assert large.usd == pytest.approx(3000 * (2 + 0.1 + 0.1) * OPUS, abs=1e-6)


def test_what_a_compaction_took_out_costs_nothing_any_more():
    put([
        request(1, write_1h=20_000),
        request(2, at=120, read=20_000, write_1h=10_000, results=(ToolResult("Bash", "text", LARGE_TOKENS + 3000),)),
        request(3, at=180, read=20_000, write_1h=1000, trigger="compact"),
        request(4, at=240, read=21_000, write_1h=1000),
    ])  # fmt: skip
    assert finding("large_results").usd == pytest.approx(3000 * 2 * OPUS, abs=1e-6)


def test_an_image_is_free_the_first_time_and_counts_in_each_request_after():
    conversation((), (ToolResult("", "image", 1500),), (), ())
    media = finding("media_resent")
    assert (media.count, media.unit, media.requests) == (1, "attachment", 2)
    assert media.usd == pytest.approx(1500 * 2 * 0.1 * OPUS, abs=1e-6)


def test_a_miss_after_an_edit_of_an_instruction_file_is_that_edits():
    put([
        request(1, write_1h=30_000),
        request(2, at=120, read=30_000, write_1h=500,
                results=(ToolResult("Edit", "text", 50, FILE, effect="instructions"),)),
        request(3, at=180, read=8_000, write_1h=23_000),
    ])  # fmt: skip
    edited = finding("instructions_edited")
    assert edited.count == 1
    assert edited.usd == pytest.approx(22_500 * 1.9 * OPUS, abs=1e-6)
    assert not [finding for finding in now().findings if finding.code == "history_changed"]


def test_tokens_of_results_are_estimates_and_never_cost_more_than_the_request_had():
    conversation((), (ToolResult("Bash", "text", 900_000), ToolResult("", "image", 900_000)), (), step=1000)
    known = now()
    assert known.rest >= 0
    assert sum(finding.usd for finding in known.findings) + known.rest == pytest.approx(known.usd, abs=1e-6)


def test_sessions_without_a_commit_are_an_observation_with_all_that_they_cost():
    conversation((), (ToolResult("Bash", "text", 100, effect="commit"),), session="s1")
    conversation((), (), session="s2", begin=90_000)
    known = now()
    (observed,) = known.observations
    assert (observed.code, observed.count, observed.unit, observed.requests) == ("no_commit", 1, "session", 2)
    assert observed.usd == pytest.approx((2 * 10_000 * 2 + 10_000 * 0.1) * OPUS + 2 * 100 * 25e-6, abs=1e-6)
    assert known.rest == pytest.approx(known.usd, abs=1e-6)


def _sessions(*results: tuple[ToolResult, ...], step: int = 10_000) -> None:
    for number in range(12):
        conversation(*results, step=step, session=f"s{number}", begin=number * 90_000)


def test_the_longest_output_of_commands_is_a_setting_and_its_worth_the_replay_of_exactly_that():
    _sessions((), (ToolResult("Bash", "text", LARGE_TOKENS + 3000),), (), ())
    fix = finding("large_results").fix
    assert fix is not None
    assert [(change.keys, change.value) for change in fix.changes] == [
        (("bashOutputMaxChars",), 4 * LARGE_TOKENS)
    ]
    rows = Reader(database.locate()).imported(0.0)
    cuts = {row.id: 3000 for row in rows if row.read == 10_000}
    assert len(cuts) == 12
    assert fix.worth == WhatIf(history.load(database.locate(), TARGETS), TARGETS).worth(Shorter(cuts))
    assert fix.worth.value == pytest.approx(finding("large_results").usd, abs=1e-5)


@pytest.mark.parametrize(
    ("tools", "settings"),
    [
        (("mcp__docs__search",), ["MAX_MCP_OUTPUT_TOKENS"]),
        (("Read", "mcp__a__b"), ["CLAUDE_CODE_FILE_READ_MAX_OUTPUT_TOKENS", "MAX_MCP_OUTPUT_TOKENS"]),
        (("Grep",), []),
    ],
)
def test_only_limits_that_would_have_cut_something_are_set(tools: tuple[str, ...], settings: list[str]):
    _sessions((), tuple(ToolResult(tool, "text", 18_000) for tool in tools), (), (), step=50_000)
    fix = finding("large_results").fix
    assert fix is not None
    assert [change.keys for change in fix.changes] == [("env", name) for name in settings]


def test_a_smaller_screenshot_saves_three_quarters_of_it():
    _sessions((), (ToolResult("", "image", 4000),), (), ())
    fix = finding("media_resent").fix
    assert fix is not None
    assert not fix.changes
    assert fix.worth.value == pytest.approx(12 * 3000 * 2.2 * OPUS, rel=0.01)


def test_an_image_that_a_tool_returned_is_nobodys_to_scale():
    _sessions((), (ToolResult("mcp__browser__screenshot", "image", 4000),), (), ())
    assert finding("media_resent").fix is None


def test_who_goes_back_has_lost_what_stood_behind_and_reads_it_anew():
    put([
        request(1, write_1h=20_000),
        request(2, at=120, read=20_000, write_1h=10_000, results=(read(), ToolResult("Bash", "text", 9000))),
        request(3, at=180, branch=1, read=20_000, write_1h=2000),
        request(4, at=240, branch=1, read=22_000, write_1h=3000, results=(read(),)),
    ])  # fmt: skip
    known = now()
    assert [finding.code for finding in known.findings] == ["large_results"]
    assert known.findings[0].usd == pytest.approx(5000 * 2 * OPUS, abs=1e-6)
