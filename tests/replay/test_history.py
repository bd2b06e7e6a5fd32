"""Recorded requests as conversations: what a bill says about what a request shared with the one before."""

import msgspec

from anchorline.replay.history import History, ReplayedRequest
from anchorline.replay.timeline import Timeline
from anchorline.route.target import load
from anchorline.sessions.request import RecordedRequest
from support.recorded_usage import billed

TARGETS = load()
RULES = TARGETS.rules
PLAIN = RecordedRequest(
    "r", "s", "main", 0, "claude-opus-4-5", 0.0, None, "tool", False, 1, b"", 0, 0, 0, 0, 10, None
)


def sent(at: float, read: int, short: int = 0, long: int = 0, **changes: object) -> RecordedRequest:
    given = {"sent_at": at, "read": read, "write_5m": short, "write_1h": long, "input": 5, **changes}
    return msgspec.structs.replace(PLAIN, **given)


def linked(*requests: RecordedRequest) -> list[ReplayedRequest]:
    return list(History(map(billed, requests), TARGETS).requests)


def shared(*requests: RecordedRequest) -> list[int]:
    return [request.shared for request in linked(*requests)]


def test_what_was_read_was_shared_and_all_of_it_where_most_was():
    assert shared(sent(0, 0, 10_000), sent(60, 10_000, 500), sent(90, 4000, 7000)) == [0, 10_005, 4000]


def test_after_an_expiry_the_conversation_is_taken_to_have_gone_on():
    assert shared(sent(0, 0, 10_000), sent(301, 0, 10_500)) == [0, 10_005]
    assert shared(sent(0, 0, 0, 10_000), sent(301, 0, 10_500)) == [0, 0]
    assert shared(sent(0, 0, 0, 10_000), sent(3601, 0, 10_500)) == [0, 10_005]


def test_after_a_compaction_only_the_head_is_shared():
    first, second = sent(0, 3000, 10_000), sent(4000, 0, 5000, trigger="compact")
    assert shared(first, second) == [3000, 3000]


def test_every_branch_of_a_chain_is_a_conversation_of_its_own():
    requests = linked(
        sent(0, 0, 9000), sent(20, 9000, 500), sent(30, 0, 5000, chain="agent"), sent(40, 0, 9100, branch=1)
    )
    timeline = Timeline("claude-opus-4-5", RULES.for_model("claude-opus-4-5"), requests)
    assert timeline.at.tolist() == [0, 20, 30, 40]
    assert timeline.conversation.tolist() == [0, 0, 1, 2]


def test_another_model_shares_nothing():
    assert shared(sent(0, 0, 9000), sent(10, 0, 9000, model="claude-haiku-4-5"), sent(20, 9000, 500)) == [
        0,
        0,
        9005,
    ]


def test_the_lifetime_is_the_one_last_written():
    requests = linked(sent(0, 0, 9000), sent(9, 9000, 0, 50), sent(20, 9055), sent(30, 9060, 70))
    assert [request.ttl for request in requests] == ["5m", "1h", "1h", "5m"]


def test_a_cold_first_request_has_the_head_that_others_read():
    warm = [sent(0, 16_000, 500, session="a"), sent(5, 16_000, 900, session="b")]
    assert shared(*warm, sent(9000, 0, 20_000, session="c"))[-1] == 16_000
