"""The simulated caches: one rule a test."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from anchorline.cache import rules
from anchorline.replay.provider_cache import Simulator
from anchorline.replay.request import (
    Breakpoint,
    RejectedError,
    SimulatedBill,
    SimulatedBlock,
    SimulatedRequest,
)

OPUS = "claude-opus-4-8"
SONNET = "claude-sonnet-4-5"


def blocks(*names: str, tokens: int = 2000) -> list[SimulatedBlock]:
    """Blocks by name: ``sys…`` is the system prompt, ``u…`` the person's, ``a…`` the model's, ``t…`` its thinking."""
    kinds = {"u": "user", "a": "assistant", "t": "thinking"}
    return [
        SimulatedBlock(
            name.encode(),
            tokens,
            "system" if name.startswith("sys") else "messages",
            "content" if name.startswith("sys") else kinds.get(name[0], "content"),
        )
        for name in names
    ]


def tail(parts: list[SimulatedBlock], at: float, ttl: str = "5m", **more: object) -> SimulatedRequest:
    """A request with a breakpoint at its end."""
    return SimulatedRequest(at, parts, [Breakpoint(len(parts) - 1, ttl)], **more)  # type: ignore[arg-type]


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(rules.load())


def code(billed: SimulatedBill) -> str | None:
    return billed.cause.code if billed.cause is not None else None


def test_what_was_written_is_read_and_the_new_part_is_written(simulator: Simulator) -> None:
    first = simulator.send(tail(blocks("sys", "u1"), 0, session="s"), OPUS)
    assert (first.read, first.written, first.uncached, code(first)) == (0, {"5m": 4000}, 0, "never_sent")
    second = simulator.send(tail(blocks("sys", "u1", "a1", "u2"), 60, session="s"), OPUS)
    assert (second.read, second.written, code(second)) == (4000, {"5m": 4000}, None)


def test_tokens_behind_the_last_breakpoint_are_not_cached(simulator: Simulator) -> None:
    billed = simulator.send(SimulatedRequest(0, blocks("sys", "u1", "u2"), [Breakpoint(0)]), OPUS)
    assert (billed.written, billed.uncached, billed.total) == ({"5m": 2000}, 4000, 6000)


def test_the_clock_runs_from_the_start_of_the_request_and_a_read_starts_it_anew(simulator: Simulator) -> None:
    parts = blocks("sys", "u1")
    simulator.send(tail(parts, 0, first_at=2, last_at=100, session="s"), OPUS)
    assert simulator.send(tail(parts, 299, session="s"), OPUS).read == 4000
    assert simulator.send(tail(parts, 598, session="s"), OPUS).read == 4000
    late = simulator.send(tail(parts, 910, session="s"), OPUS)
    assert (late.read, code(late)) == (0, "expired")
    assert late.cause is not None
    assert late.cause.seconds == pytest.approx(12)
    assert late.cause.tokens == 4000


def test_an_entry_is_readable_once_the_first_response_has_begun(simulator: Simulator) -> None:
    parts = blocks("sys", "u1")
    simulator.send(tail(parts, 0, first_at=5, last_at=20), OPUS)
    early = simulator.send(tail(parts, 3, first_at=9), OPUS)
    assert (early.read, code(early)) == (0, "not_readable")
    assert simulator.send(tail(parts, 6), OPUS).read == 4000


def test_of_two_requests_at_once_the_first_answer_makes_the_prefix_readable(simulator: Simulator) -> None:
    parts = blocks("sys", "u1")
    simulator.send(tail(parts, 0, first_at=5), OPUS)
    simulator.send(tail(parts, 1, first_at=60), OPUS)
    assert simulator.send(tail(parts, 6), OPUS).read == 4000


@pytest.mark.parametrize(("appended", "read"), [(20, 4000), (21, 0)])
def test_look_back(simulator: Simulator, appended: int, read: int) -> None:
    start = blocks("sys", "u1")
    simulator.send(tail(start, 0, session="s"), OPUS)
    longer = [*start, *blocks(*(f"r{i}" for i in range(appended)), tokens=10)]
    billed = simulator.send(tail(longer, 10, session="s"), OPUS)
    assert billed.read == read
    assert code(billed) == (None if read else "look_back")


def test_a_second_breakpoint_finds_what_the_tail_does_not(simulator: Simulator) -> None:
    start = blocks("sys", "u1")
    simulator.send(tail(start, 0), OPUS)
    longer = [*start, *blocks(*(f"r{i}" for i in range(30)), tokens=10)]
    billed = simulator.send(SimulatedRequest(10, longer, [Breakpoint(1), Breakpoint(31)]), OPUS)
    assert (billed.read, billed.written) == (4000, {"5m": 300})


def test_below_the_minimum_nothing_is_cached_and_nothing_says_so_but_the_cause(simulator: Simulator) -> None:
    parts = blocks("sys", "u1", tokens=500)  # Opus 4.8 caches 1024 and more
    for at in (0, 10):
        billed = simulator.send(tail(parts, at, session="s"), OPUS)
        assert (billed.read, billed.written, billed.uncached) == (0, {}, 1000)
        assert code(billed) == "below_minimum"


def test_each_lifetime_is_billed_for_its_own_part(simulator: Simulator) -> None:
    parts = blocks("sys", "u1", "a1")
    marks = [Breakpoint(0, "1h"), Breakpoint(2, "5m")]
    billed = simulator.send(SimulatedRequest(0, parts, marks), OPUS)
    assert billed.written == {"1h": 2000, "5m": 4000}
    assert simulator.cache(OPUS).charge(billed) == pytest.approx(2 * 2000 + 1.25 * 4000)
    later = simulator.send(SimulatedRequest(400, parts, marks), OPUS)
    assert (later.read, later.written) == (2000, {"5m": 4000})


@pytest.mark.parametrize("covers", [True, False])
def test_a_longer_tail_covers_the_prefix_while_the_rules_say_so(covers: bool, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f"[anthropic]\nlonger_tail_covers_prefix = {str(covers).lower()}\n", "utf-8")
    simulator = Simulator(rules.load(path))
    start = blocks("sys", "u1")
    simulator.send(tail(start, 0, "5m"), OPUS)
    longer = [*start, *blocks("a1", "u2")]
    assert simulator.send(tail(longer, 60, "1h"), OPUS).written == {"1h": 4000}
    assert simulator.send(tail(longer, 540, "1h"), OPUS).read == (8000 if covers else 0)


@pytest.mark.parametrize(
    ("marks", "says"),
    [
        ([Breakpoint(0, "5m"), Breakpoint(1, "1h")], "before a shorter"),
        ([Breakpoint(i) for i in range(5)], "at most 4"),
        ([Breakpoint(5)], "can't carry"),
        ([Breakpoint(1, "2d")], "no lifetime"),
        ([Breakpoint(9)], "no block 9"),
    ],
)
def test_what_the_provider_refuses_is_refused_and_leaves_no_trace(
    simulator: Simulator, marks: list[Breakpoint], says: str
) -> None:
    parts = blocks("sys", "u1", "a1", "u2", "a2", "t1")
    with pytest.raises(RejectedError, match=says):
        simulator.send(SimulatedRequest(0, parts, marks), OPUS)
    assert simulator.send(SimulatedRequest(1, parts, [Breakpoint(4)]), OPUS).read == 0


def test_sections_out_of_order_are_refused(simulator: Simulator) -> None:
    with pytest.raises(RejectedError, match="system must stand before messages"):
        simulator.send(tail(blocks("u1", "sys"), 0), OPUS)


def test_sessions_of_an_account_share_prefixes_other_accounts_and_models_do_not(simulator: Simulator) -> None:
    parts = blocks("sys", "u1")
    marks = [Breakpoint(0), Breakpoint(1)]
    simulator.send(SimulatedRequest(0, parts, marks, session="one"), OPUS, "mine")
    other = SimulatedRequest(10, blocks("sys", "u9"), marks, session="two")
    assert simulator.send(other, OPUS, "mine").read == 2000
    assert simulator.send(other, OPUS, "theirs").read == 0
    switched = simulator.send(SimulatedRequest(20, parts, marks, session="one"), "claude-sonnet-5", "mine")
    assert (switched.read, code(switched)) == (0, "model_changed")


def test_dated_names_of_one_model_share_a_cache(simulator: Simulator) -> None:
    parts = blocks("sys", "u1", tokens=4000)
    simulator.send(tail(parts, 0), "claude-opus-4-5-20251101")
    assert simulator.send(tail(parts, 10), "claude-opus-4-5").read == 8000


def test_a_new_message_strips_thinking_on_older_models_only(simulator: Simulator) -> None:
    turn = blocks("sys", "u1")
    thought = [*turn, *blocks("t1", "a1", "r1")]
    following = [*thought, *blocks("a2", "u2")]
    for model, read, why in ((SONNET, 4000, "thinking_stripped"), (OPUS, 10000, None)):
        simulator.send(tail(turn, 0, session="s"), model, model)
        simulator.send(tail(thought, 10, session="s"), model, model)
        billed = simulator.send(tail(following, 20, session="s"), model, model)
        assert (billed.read, code(billed)) == (read, why)
        assert billed.total == (12000 if why else 14000)


def test_stripped_thinking_and_the_look_back_leave_only_the_system_prompt(simulator: Simulator) -> None:
    turn = blocks("sys", "u1")
    work = [*turn, *blocks("t1", *(f"r{i}" for i in range(25)))]
    for at, parts in ((0, turn), (10, work)):
        simulator.send(
            SimulatedRequest(at, parts, [Breakpoint(0), Breakpoint(len(parts) - 1)], session="s"), SONNET
        )
    parts = [*work, *blocks("u2")]
    billed = simulator.send(
        SimulatedRequest(20, parts, [Breakpoint(0), Breakpoint(len(parts) - 1)], session="s"), SONNET
    )
    assert (billed.read, code(billed)) == (2000, "thinking_stripped")


def test_an_edit_is_named_with_its_block_and_a_compaction_by_its_name(simulator: Simulator) -> None:
    parts = blocks("sys", "u1", "a1", "u2")
    simulator.send(SimulatedRequest(0, parts, [Breakpoint(0), Breakpoint(3)], session="s"), OPUS)
    edited = blocks("sys", "u1", "A1", "u2")
    billed = simulator.send(SimulatedRequest(10, edited, [Breakpoint(0), Breakpoint(3)], session="s"), OPUS)
    assert (billed.read, code(billed)) == (2000, "edited")
    assert billed.cause is not None
    assert (billed.cause.block, billed.cause.tokens) == (2, 6000)
    summary = SimulatedRequest(
        20, blocks("sys", "u8"), [Breakpoint(0), Breakpoint(1)], session="s", compacted=True
    )
    assert code(simulator.send(summary, OPUS)) == "compacted"


def test_a_prefix_that_no_breakpoint_held_is_not_read(simulator: Simulator) -> None:
    parts = blocks("sys", "u1", "a1")
    simulator.send(SimulatedRequest(0, parts, session="s"), OPUS)
    billed = simulator.send(tail(parts, 10, session="s"), OPUS)
    assert (billed.read, code(billed)) == (0, "no_breakpoint")


def test_settings_make_useless_what_the_rules_say(simulator: Simulator) -> None:
    marks = [Breakpoint(0), Breakpoint(1)]
    for model, setting, kept in (
        (OPUS, "tool_choice_images", 5000),
        (OPUS, "thinking_or_effort", 5000),
        ("claude-opus-4-6", "thinking_or_effort", 0),
        (OPUS, "speed_websearch_citations", 0),
    ):
        account = f"{model} {setting}"
        parts = blocks("sys", "u1", tokens=5000)
        for at, value in ((0, "a"), (10, "b"), (20, "a")):
            billed = simulator.send(
                SimulatedRequest(at, parts, marks, session="s", settings={setting: value}), model, account
            )
            expected = {0: (0, "never_sent"), 10: (kept, "setting_changed")}
            if at in expected:
                assert (billed.read, code(billed)) == expected[at], account
            else:
                assert (
                    billed.read == 10000
                )  # back to the first value: what was cached under it is still there
    with pytest.raises(ValueError, match="no rule for the setting"):
        simulator.send(SimulatedRequest(0, parts, settings={"colour": "red"}), OPUS)


def test_anthropics_automatic_breakpoint_takes_a_slot(simulator: Simulator) -> None:
    parts = blocks("sys", "u1", "a1", "u2", "a2", "t1")
    billed = simulator.send(SimulatedRequest(0, parts, automatic=True), OPUS)
    assert billed.written == {"5m": 10000}  # thinking can't carry it: the block before does
    four = [Breakpoint(i) for i in range(4)]
    with pytest.raises(RejectedError, match="at most 3"):
        simulator.send(SimulatedRequest(10, parts, four, automatic=True), OPUS)
    with pytest.raises(RejectedError, match="another lifetime"):
        simulator.send(SimulatedRequest(10, parts, [Breakpoint(4, "1h")], automatic=True), OPUS)


class TestOpenAI:
    MODEL = "gpt-5.6-sol"

    def test_the_implicit_breakpoint_is_at_the_end_and_needs_no_marker(self, simulator: Simulator) -> None:
        first = SimulatedRequest(0, blocks("sys", "u1"), first_at=2, last_at=9, session="s")
        assert simulator.send(first, self.MODEL).written == {"30m": 4000}
        longer = blocks("sys", "u1", "a1", "u2")
        early = simulator.send(SimulatedRequest(5, longer, last_at=30), self.MODEL)
        assert (early.read, code(early)) == (0, "not_readable")  # only a complete response can be read
        assert simulator.send(SimulatedRequest(10, longer), self.MODEL).read == 4000

    def test_the_clock_runs_from_the_last_use(self, simulator: Simulator) -> None:
        parts = blocks("sys", "u1")
        simulator.send(SimulatedRequest(0, parts, last_at=100), self.MODEL)
        assert simulator.send(SimulatedRequest(1890, parts), self.MODEL).read == 4000
        assert simulator.send(SimulatedRequest(3700, parts), self.MODEL).read == 0

    def test_explicit_mode_without_breakpoints_caches_nothing(self, simulator: Simulator) -> None:
        parts = blocks("sys", "u1")
        for at in (0, 10):
            billed = simulator.send(SimulatedRequest(at, parts, automatic=False), self.MODEL)
            assert (billed.read, billed.uncached) == (0, 4000)

    def test_of_more_breakpoints_than_writes_the_newest_count(self, simulator: Simulator) -> None:
        parts = blocks(*(f"r{i}" for i in range(6)))
        simulator.send(
            SimulatedRequest(0, parts, [Breakpoint(i) for i in range(5)], automatic=False), self.MODEL
        )
        only_first = simulator.send(SimulatedRequest(10, parts[:1], automatic=True), self.MODEL)
        assert only_first.read == 0
        assert simulator.send(SimulatedRequest(20, parts[:2], automatic=True), self.MODEL).read == 4000

    def test_the_models_own_blocks_carry_no_breakpoint(self, simulator: Simulator) -> None:
        with pytest.raises(RejectedError, match="can't carry"):
            simulator.send(SimulatedRequest(0, blocks("sys", "a1"), [Breakpoint(1)]), self.MODEL)

    def test_before_5_6_it_is_automatic_in_steps_of_128_and_writes_are_free(
        self, simulator: Simulator
    ) -> None:
        parts = blocks("sys", "u1", tokens=700)
        first = simulator.send(SimulatedRequest(0, parts), "gpt-5.5")
        assert (first.read, first.written, first.uncached) == (0, {}, 1400)
        assert simulator.send(SimulatedRequest(60, [*parts, *blocks("a1")]), "gpt-5.5").read == 1280
        short = blocks("x", tokens=900)
        simulator.send(SimulatedRequest(70, short), "gpt-5.5")
        assert simulator.send(SimulatedRequest(80, short), "gpt-5.5").read == 0


def test_a_local_server_reads_the_longest_common_prefix(simulator: Simulator) -> None:
    simulator.send(SimulatedRequest(0, blocks("sys", "u1", "a1", tokens=7)), "llama.cpp/qwen")
    assert (
        simulator.send(SimulatedRequest(10, blocks("sys", "u1", "u2", tokens=7)), "llama.cpp/qwen").read == 14
    )


def test_an_unknown_provider_caches_nothing(simulator: Simulator) -> None:
    billed = simulator.send(tail(blocks("sys", "u1"), 0), "nobody-1")
    assert (billed.read, billed.written, code(billed)) == (0, {}, "no_cache")


@pytest.mark.process
def test_recorded_requests_read_what_is_simulated(data: Path) -> None:
    """The provider's own bills: at least 98.5 % within 2 % on the newest quarter, more than the plain TTL rule."""
    bench = Path(__file__).parents[1] / "bench"
    requests = data / "cache" / "requests.jsonl.gz"
    command = [sys.executable, bench, "simulator_fidelity", "--requests", requests, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    shares = {
        (row["subset"], row["case"]): row["value"]
        for row in json.loads(done.stdout)["rows"]
        if row["metric"] == "within_2pct"
    }
    assert shares["test_time", "ours"] >= 0.985
    for subset in ("train", "dev", "test_time", "train-misses", "dev-misses", "test_time-misses"):
        assert shares[subset, "ours"] > shares[subset, "ttl-rule"], subset
