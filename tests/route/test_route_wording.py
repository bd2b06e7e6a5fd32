"""What the words of a draft say: only of kinds that were seen, never much, and nothing where the tables are damaged."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.route import wording
from anchorline.route.quality import HeuristicQuality
from anchorline.route.wording import STRONGEST, Wording

CONTEST = (
    "You are given an integer array nums of length n and an integer k. Return the number of pairs of indices i < j "
    "such that nums[i] + nums[j] is divisible by k.\n\nExample 1:\n\nInput: nums = [1,2,3,4], k = 2\nOutput: 2\n\n"
    "Constraints:\n\n1 <= n <= 10^5\n1 <= nums[i] <= 10^9\n"
)
ELSEWHERE = (
    "Liebe Kollegin, bitte verschiebe unser Mittagessen auf nächsten Donnerstag und grüße Onkel Wilhelm."
)


def test_words_count_where_their_kind_was_seen_and_nowhere_else() -> None:
    words = wording.shipped()
    assert words.shift(CONTEST) != (0.0, 0.0)
    assert words.shift(ELSEWHERE) == (0.0, 0.0)
    assert words.shift("") == (0.0, 0.0)


def test_in_a_conversation_the_words_of_the_newest_turn_say_nothing() -> None:
    with_words, without = HeuristicQuality(), HeuristicQuality(words=Wording())
    assert with_words.features(CONTEST, in_session=False) != without.features(CONTEST, in_session=False)
    assert with_words.features(CONTEST, in_session=True) == without.features(CONTEST, in_session=True)


@given(st.text(st.characters(), max_size=400) | st.just(CONTEST * 40))
def test_no_words_move_a_success_by_much(draft: str) -> None:
    weak, gain = wording.shipped().shift(draft)
    assert abs(weak) <= STRONGEST
    assert abs(gain) <= STRONGEST
    features = HeuristicQuality().features(draft, in_session=False)
    assert features.gain > 0


@pytest.mark.parametrize("damage", ["missing", "cut", "short table", "not a table"])
def test_without_usable_tables_the_length_decides_alone(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "wording.msgpack"
    content = msgspec.msgpack.encode(wording.shipped())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "short table":
        [first, *rest] = msgspec.to_builtins(wording.shipped(), builtin_types=(bytes,))["kinds"]
        path.write_bytes(msgspec.msgpack.encode({"kinds": [{**first, "gain": b"\x01"}, *rest]}))
    elif damage == "not a table":
        path.write_bytes(b"\xc1 nothing")
    words = wording.read(path)
    assert words == Wording()
    length_alone = HeuristicQuality(words=words).features(CONTEST, in_session=False)
    assert length_alone != HeuristicQuality().features(CONTEST, in_session=False)
