"""What a decision out of the database says became of it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from anchorline.cache import predict
from anchorline.cache.gaps import Moment
from anchorline.cache.hits import Return
from anchorline.cache.ledger import Entry, MemoryLedger
from anchorline.learn.features import MOMENT, RETURN, Decision, of_return
from anchorline.outcome import Feedback, Iteration, Outcome, Usage
from anchorline.prompt import formats
from anchorline.route.target import load as load_targets
from anchorline.sessions import importing
from anchorline.sessions.request import RecordedRequest
from anchorline.store import decisions, imports
from anchorline.store.recorder import Recorder
from support import samples
from support.session_logs import START, ClaudeLog

TARGETS = load_targets()
AT = 1_790_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "anchorline.db"


def read(path: Path) -> list[Decision]:
    return decisions.read(path, TARGETS)


def requests(path: Path) -> list[Decision]:
    return [one for one in read(path) if one.source == "imported"]


def put(path: Path, requests: list[RecordedRequest]) -> None:
    mark = importing.ReadPosition(1, 1, 1, 1, b"", b"", None)
    with imports.opened(path) as store:
        store.put(
            [
                imports.ImportedFile(
                    Path("a"), "claude-code", requests, importing.FilePart(requests, mark, [], True, 1), []
                )
            ]
        )


def billed(id_: str, at: float, **more) -> RecordedRequest:
    given = {
        "id": id_, "session": "s", "chain": "main", "branch": 0, "model": "claude-opus-4-6", "sent_at": at,
        "first_at": at + 1, "trigger": "tool", "switched": False, "blocks": 1, "prefix": id_.encode(), "input": 10,
        "read": 990, "write_5m": 0, "write_1h": 100, "output": 5, "ttl": "1h",
    }  # fmt: skip
    return RecordedRequest(**given | more)


def named(one: Decision, part: str) -> dict[str, float]:
    names, values = (MOMENT, one.features.moment) if part == "moment" else (RETURN, one.features.back)
    return dict(zip(names, values, strict=True))


def test_a_request_that_was_planned_and_imported_is_learnt_from_once(path: Path):
    put(path, [billed(f"r{k}", AT + 60 * k, answer=f"msg_{k}", request=f"req_{k}") for k in range(3)])
    whole = requests(path)
    assert len(whole) == 3
    with closing(sqlite3.connect(path)) as rows, rows:
        rows.execute(
            "INSERT INTO outcomes (plan, known, signals, recorded_at, input_tokens, answer, request) "
            "SELECT 'p', 0, '{}', 1, 10, answer, request FROM imported ORDER BY sent_at LIMIT 1 OFFSET 1"
        )
    assert [one.at for one in requests(path)] == [whole[0].at, whole[2].at]
    # What is left has not lost its past: the pause before the last one is that after the one in the middle.
    assert requests(path)[-1].features == whole[2].features


def test_pauses_hits_and_what_is_not_known_yet(path: Path):
    put(
        path,
        [
            billed("a", AT, trigger="user"),
            billed("b", AT + 400),
            billed("c", AT + 500, read=100),
            billed("other", AT + 9000, session="t"),
        ],
    )
    first, second, third, other = requests(path)
    assert (first.gap, first.censored, first.hit, first.features.back) == (400, False, None, None)
    assert (second.gap, second.hit) == (100, 1.0)
    assert (third.gap, third.censored, third.hit) == (8500, True, 0.0)
    assert (other.gap, other.censored) == (0, True)
    assert first.session == third.session != other.session
    assert named(second, "return")["ttl_1h"] == 1
    assert named(second, "return")["alive"] == 1
    assert named(first, "moment")["trigger_user"] == 1


def test_a_request_hits_by_what_its_first_inference_read(path: Path):
    """The provider's own tools run further ones, which read what the first has just written."""
    iterations = (Iteration("message", input=0, write=1100), Iteration("message", input=100, read=1100))
    usage = Usage(100, 1100, 1100, iterations=iterations)
    put(path, [billed("a", AT), billed("b", AT + 10, read=1100, usage=usage)])
    assert requests(path)[1].hit == 0.0


def test_a_request_to_another_model_neither_ends_the_pause_nor_can_hit(path: Path):
    put(
        path,
        [billed("a", AT), billed("b", AT + 10, model="claude-haiku-4-5", read=0), billed("c", AT + 20)],
    )
    first, second, _ = requests(path)
    assert first.gap == 20
    assert second.censored
    assert named(second, "return")["model_changed"] == 1


def test_some_requests_count_once_more_as_they_look_elsewhere(path: Path):
    put(path, [billed(f"r{index}", AT + 10 * index) for index in range(9)])
    found = read(path)
    assert len({one.id for one in found}) == 9 + 2 + 3
    bodies = [one for one in found if one.source == "body"]
    assert [one.at for one in bodies] == [AT + 10, AT + 50]
    assert (bodies[0].gap, bodies[0].hit, named(bodies[0], "moment")["known"]) == (10, None, 0)
    answered = [one for one in found if one.source == "answered"]
    assert [one.at for one in answered] == [AT, AT + 40, AT + 80]
    assert [named(one, "moment")["stop_tool_use"] for one in answered] == [1, 1, 0]
    assert [named(one, "moment")["stop_end_turn"] for one in answered] == [0, 0, 1]


def test_the_automatic_requests_of_a_client_are_left_out(path: Path):
    put(path, [billed("a", AT), billed("b", AT + 10, model="codex-auto-review")])
    assert [one.at for one in requests(path)] == [AT]


def test_what_a_person_said_comes_with_an_import(path: Path, tmp_path: Path):
    log = ClaudeLog()
    log.user("please rename the parser")
    log.answer("m1")
    file = tmp_path / "s.jsonl"
    file.write_bytes(log.bytes())
    piece = importing.read(file, "claude-code", None, START, features=True)
    with imports.opened(path) as store:
        store.put([imports.ImportedFile(file, "claude-code", list(piece.requests), piece, [])])
    (found,) = requests(path)
    assert found.features.grams
    assert found.features.draft is not None


def record(path: Path, plans: list[tuple[str, float, int, tuple[Outcome, ...]]]) -> None:
    recorder = Recorder(path)
    for name, at, turns, outcomes in plans:
        recorder.plan(
            msgspec.structs.replace(samples.plan(name, at=at), failure=None),
            samples.prompt(f"draft {turns}", turns=turns),
        )
        for outcome in outcomes:
            recorder.outcome(outcome).result(60)
    assert recorder.close()


def test_a_plan_has_the_labels_of_its_outcomes(path: Path):
    usage = Usage(input=100, read=900, write=0)
    record(
        path,
        [
            ("p1", AT, 3, (Outcome("p1", usage=usage), Outcome("p1", signals={"tests_passed": True}))),
            ("p2", AT + 60, 4, (Outcome("p2", usage=usage, signals={"undone": True}),)),
            ("p3", AT + 90, 4, (Outcome("p3", usage=Usage(input=1000)),)),
            ("p4", AT + 9000, 4, ()),
        ],
    )
    first, second, third = read(path)
    assert (first.gap, second.gap, third.censored) == (60, 30, True)
    assert (first.hit, second.hit, third.hit) == (None, 1.0, 0.0)
    assert (first.solve, second.solve, third.solve) == ({samples.MODEL: 1.0}, {samples.MODEL: 0.0}, {})
    assert first.features.grams
    assert first.features.moment is not None


def test_thumbs_down_means_not_solved(path: Path):
    record(path, [("p1", AT, 3, (Outcome("p1", signals={"tests_passed": True}),))])
    recorder = Recorder(path)
    recorder.feedback(Feedback("p1", -1)).result(60)
    assert recorder.close()
    assert read(path)[0].solve == {samples.MODEL: 0.0}


def test_nothing_is_there_without_a_database(path: Path):
    assert read(path) == []
    assert decisions.texts(path) == {}


def test_drafts_come_along_only_where_they_are_kept(path: Path):
    recorder = Recorder(path, "full")
    recorder.plan(samples.plan(), samples.prompt("fix the parser"))
    assert recorder.close()
    assert decisions.texts(path) == {"p1": "fix the parser"}


def test_a_plan_that_failed_is_left_out(path: Path):
    recorder = Recorder(path)
    recorder.plan(samples.plan(), samples.prompt())  # its `failure` is filled
    recorder.outcome(Outcome("p1", usage=Usage(input=1))).result(60)
    assert recorder.close()
    assert read(path) == []


class Seen:
    """Writes down the returns to a prefix that it is asked about."""

    def __init__(self) -> None:
        self.returns: list[Return] = []

    def probability(self, back: Return, moment: Moment | None = None) -> float:
        self.returns.append(back)
        return 0.9


@pytest.mark.parametrize("answers", [0, 1, 2, 3])
def test_training_sees_of_a_plan_what_the_planner_saw(path: Path, answers: int):
    """A person's first, second and third message, and a tool's result: the same return, served and learnt from."""
    turn = [
        {"role": "user", "content": "explain the parser " * 900},
        {"role": "assistant", "content": "It reads."},
    ]
    messages = [part for n in range(max(answers, 1)) for part in turn] + [
        {"role": "user", "content": "fix it"}
    ]
    if not answers:
        use = {"type": "tool_use", "id": "t", "name": "run", "input": {}}
        result = {"type": "tool_result", "tool_use_id": "t", "content": "done"}
        messages = [turn[0], {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    whole = formats.read(json.dumps({"model": samples.MODEL, "messages": messages}).encode())
    last = 2 if answers else 1
    earlier = formats.read(json.dumps({"model": samples.MODEL, "messages": messages[:-last]}).encode())

    seen, provider = Seen(), TARGETS.find(samples.MODEL).provider
    sent = len(earlier.segments) - 1
    totals = predict.cumulative(whole)
    prefix = whole.segments[sent].prefix
    entry = Entry("anthropic", "default", samples.MODEL, prefix, totals[sent], "1h", AT, AT + 3600)
    held = MemoryLedger([entry]).held("anthropic", "default")
    predict.assess(whole, held, samples.MODEL, provider, AT + 60, totals, predict.Judge(seen))

    recorder = Recorder(path)
    for name, at, prompt in (("p1", AT, earlier), ("p2", AT + 60, whole)):
        plan = msgspec.structs.replace(samples.plan(name, at=at), failure=None)
        recorder.plan(plan, msgspec.structs.replace(prompt, session="s"))
        recorder.outcome(Outcome(name, usage=Usage(input=100, read=900))).result(60)
    assert recorder.close()
    learnt = read(path)[-1].features.back
    assert learnt == of_return(seen.returns[0])
    assert (seen.returns[0].user, seen.returns[0].first) == (answers > 0, answers == 1)


def test_a_provider_without_a_cache_leaves_nothing_to_come_back_to(path: Path):
    put(path, [billed("a", AT, model="a/b"), billed("b", AT + 10, model="a/b", read=0)])
    assert [(one.hit, one.features.back) for one in requests(path)] == [(None, None)] * 2
