"""The time to the next request: a proper distribution that moves with what the session has shown."""

import json
from pathlib import Path

import pytest

from anchorline.cache.gaps import WINDOW, Gaps, HazardGaps, Moment, observed
from anchorline.prompt import formats

MODEL = HazardGaps()
BUSY = tuple((6.0, False) for _ in range(12))
PAUSING = tuple((700.0 if number % 3 == 0 else 9.0, number % 3 == 0) for number in range(12))
COST = Path(__file__).parent.parent.parent / "docs" / "explain" / "cost.md"


def within(seconds: float, **known) -> float:
    return MODEL.after(Moment("tool", 60_000, 40, **known)).within(seconds)


def test_the_distribution_rises_from_nothing_and_is_continuous_at_its_times():
    gaps = MODEL.after(Moment("user", 60_000, 40, PAUSING, 4000.0))
    assert gaps.within(0) == 0
    for seconds in gaps.times:
        assert gaps.within(seconds * 0.9999) == pytest.approx(gaps.within(seconds * 1.0001), abs=1e-3)
    assert gaps.within(1e9) == gaps.within(gaps.times[-1]) < 1


def test_between_two_times_the_logarithm_of_time_is_interpolated():
    gaps = Gaps((100.0, 10_000.0), (0.5, 0.1))
    assert gaps.within(1000) == pytest.approx(0.7)
    assert gaps.within(50) == pytest.approx(0.25)


def test_a_session_of_long_pauses_is_expected_to_pause_again():
    assert within(300, pauses=PAUSING, elapsed=3000.0) < within(300, pauses=BUSY, elapsed=72.0)


def test_an_answer_that_calls_a_tool_goes_on_and_one_that_ends_the_turn_waits_for_a_person():
    assert within(300, pauses=BUSY, stop="tool_use") > 0.9
    assert within(300, pauses=BUSY, stop="end_turn") < 0.7


def test_why_an_answer_ended_is_not_looked_at_where_it_is_no_known_reason():
    assert within(300, pauses=BUSY, stop="refusal") == within(300, pauses=BUSY)


def test_a_request_body_tells_its_turns_and_no_pauses():
    messages = [
        {"role": "user" if number % 2 == 0 else "assistant", "content": f"turn {number}"}
        for number in range(9)
    ]
    prompt = formats.read(json.dumps({"model": "claude-sonnet-5", "messages": messages}).encode())
    moment = observed(prompt, 5000, 0.0)
    assert (moment.trigger, moment.depth, moment.pauses, moment.tokens) == ("user", 4, (), 5000)


def test_an_empty_prompt_is_a_moment_as_well():
    assert observed(formats.read(b"", name="a.prompt.md"), 0, 0.0).depth == 0


def test_a_session_file_tells_its_pauses_and_who_ended_them(data: Path):
    seen = 0
    for path in sorted((data / "transcripts").rglob("*.jsonl.gz"))[::4]:
        prompt = formats.read_file(path)
        now = prompt.now if prompt.now is not None else prompt.sent[-1].at + 30.0 if prompt.sent else 0.0
        moment = observed(prompt, prompt.tokens, now)
        before = [sent for sent in prompt.sent if sent.at < now]
        assert moment.depth == len(before) or not before
        assert len(moment.pauses) == min(len(before), WINDOW)
        if before:
            seen += 1
            assert moment.elapsed == pytest.approx(now - before[0].at)
            assert moment.pauses[-1][0] == pytest.approx(now - before[-1].at)
    assert seen


@pytest.mark.parametrize("trigger", ["tool", "user"])
def test_the_example_of_the_documentation_is_what_the_model_says(trigger):
    gaps = MODEL.after(Moment(trigger, 90_000, 60))
    soon, later = gaps.within(300), gaps.within(3600)
    share = (later - soon) * 1.15 / 0.75
    row = next(line for line in COST.read_text("utf-8").splitlines() if line.startswith(f"| {trigger} "))
    assert [cell.strip() for cell in row.split("|")[2:5]] == [f"{soon:.3f}", f"{later:.3f}", f"{share:.1%}"]
