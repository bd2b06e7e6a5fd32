"""No prompt text where none may be, and none left after a purge."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.outcome import Feedback, Outcome
from anchorline.plan import Plan
from anchorline.store import database, export, privacy, purging
from anchorline.store.reader import Reader
from anchorline.store.recorder import Recorder
from support import samples

CANARY = "Quetzalcoatlus northropi"
SECRET = "sk-" + "ant-api03-" + "Zq3vT9mK2xW7" * 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "anchorline.db"


def bytes_on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def record(path: Path, mode: str, word: str = CANARY, **fields) -> None:
    recorder = Recorder(path, mode)
    recorder.plan(
        samples.plan(word=word, **fields), samples.prompt(f"fix the {word}", history=f"about {word}")
    )
    recorder.outcome(Outcome("p1", signals={word: 1})).result(60)
    recorder.feedback(Feedback("p1", 1, f"the {word} was good")).result(60)
    assert recorder.close()


def test_off_keeps_no_word_of_the_prompt(path: Path) -> None:
    record(path, "off")
    written = bytes_on_disk(path.parent)
    assert CANARY.encode() not in written
    assert CANARY.partition(" ")[0].encode() not in written
    status = Reader(path).status()
    assert status.texts == {}
    assert status.counts["plans"] == status.counts["feedback"] == 1


def test_a_session_name_is_kept_as_a_hash_only(path: Path) -> None:
    record(path, "off", session="file:///home/somebody/secret-project/fix.prompt.md")
    assert b"secret-project" not in bytes_on_disk(path.parent)


def _fill(kind: object, word: str) -> object:
    """Return a value of a msgspec type with `word` in every free string."""
    if isinstance(kind, msgspec.inspect.StrType):
        return word
    if isinstance(kind, msgspec.inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, msgspec.inspect.UnionType):
        return _fill(next(one for one in kind.types if not isinstance(one, msgspec.inspect.NoneType)), word)
    if isinstance(kind, msgspec.inspect.VarTupleType):
        return [_fill(kind.item_type, word)]
    if isinstance(kind, msgspec.inspect.DictType):
        return {_fill(kind.key_type, word): _fill(kind.value_type, word)}
    if isinstance(kind, msgspec.inspect.StructType):
        return {field.encode_name: _fill(field.type, word) for field in kind.fields}
    return {msgspec.inspect.IntType: 1, msgspec.inspect.FloatType: 0.5, msgspec.inspect.BoolType: True}[
        type(kind)
    ]


def filled(word: str) -> Plan:
    return msgspec.convert(_fill(msgspec.inspect.type_info(Plan), word), Plan)


def test_strip_empties_every_string_that_could_quote() -> None:
    # Every string of the plan is a sentence, also those that a later version of Plan adds.
    assert CANARY not in msgspec.json.encode(privacy.strip(filled(CANARY))).decode()


def test_strip_lets_no_key_through_as_a_name() -> None:
    assert SECRET not in msgspec.json.encode(privacy.strip(filled(SECRET))).decode()


def test_only_names_and_identifiers_can_hold_a_single_word() -> None:
    stripped = privacy.strip(filled("quetzalcoatlus"))

    def places(value: object, at: str = "") -> set[str]:
        if isinstance(value, dict):
            return {
                place for key, one in value.items() for place in places(one, f"{at}.{key}" if at else key)
            } | {f"{at} key" for key in value if key == "quetzalcoatlus"}
        if isinstance(value, list | tuple):
            return {place for one in value for place in places(one, at)}
        return {at} if value == "quetzalcoatlus" else set()

    assert places(msgspec.to_builtins(stripped)) == {
        "id",
        "format",
        "policy.name",
        "policy.version",
        "policy.arm",
        "policy.experiment",
        "refinement.engine",
        "cache.provider",
        "route.target",
        "route.tier",
        "route.alternatives.target",
        "route.alternatives.tier",
        "instructions.model",
        "timing key",
    }


@given(st.text(min_size=1, max_size=60))
def test_strip_is_idempotent_and_gives_a_plan(word: str) -> None:
    stripped = privacy.strip(samples.plan(word=word))
    assert privacy.strip(stripped) == stripped
    assert msgspec.json.decode(msgspec.json.encode(stripped), type=Plan) == stripped


def test_strip_keeps_what_learning_needs() -> None:
    plan = samples.plan()
    stripped = privacy.strip(plan)
    assert stripped.policy == plan.policy
    assert stripped.tokens == plan.tokens
    assert stripped.cost == plan.cost
    assert [(one.target, one.score) for one in stripped.route.alternatives] == [
        (one.target, one.score) for one in plan.route.alternatives
    ]
    assert stripped.cache.anchors[0].pointer == "/messages/3/content/0"
    assert stripped.cache.miss_reasons[0].code == "expired"
    assert stripped.refinement.hints[0].code == "AL101"
    addition = stripped.refinement.additions[0]
    assert (addition.id, addition.kind, addition.probability) == ("a1", "file", 0.8)
    assert stripped.failure == "ValueError"


def test_redacted_keeps_the_text_and_masks_the_key(path: Path) -> None:
    record(path, "redacted", word=f"{CANARY} {SECRET}")
    written = bytes_on_disk(path.parent)
    assert CANARY.encode() in written
    assert SECRET.encode() not in written
    plan = Reader(path).plan("p1")
    assert plan is not None
    assert plan.refinement.text == f"Fix the {CANARY} [redacted: anthropic-key]."
    assert Reader(path).status().texts == {"redacted": 4}


def test_full_keeps_the_plan_as_it_was(path: Path) -> None:
    record(path, "full", word=f"{CANARY} {SECRET}")
    assert Reader(path).plan("p1") == samples.plan(word=f"{CANARY} {SECRET}")


def test_text_stands_in_one_table_only(path: Path) -> None:
    record(path, "full")
    folder = path.parent.parent / "out"
    export.export(path, folder, export.tables(text=False))
    assert CANARY.encode() not in bytes_on_disk(folder)
    export.export(path, folder, export.tables(text=True))
    assert [file.name for file in folder.iterdir() if CANARY.encode() in file.read_bytes()] == ["texts.jsonl"]


@pytest.mark.parametrize("word", ["\ud800 lone", "nul \x00 byte", "\u202e bidi"])
@pytest.mark.parametrize("mode", ["off", "redacted", "full"])
def test_odd_text_is_recorded_all_the_same(path: Path, mode: str, word: str) -> None:
    prompt = samples.prompt()
    prompt = msgspec.structs.replace(prompt, draft=msgspec.structs.replace(prompt.draft, text=word))
    recorder = Recorder(path, mode)
    recorder.plan(samples.plan(word=word), prompt)
    recorder.feedback(Feedback("p1", -1, word)).result(60)
    assert recorder.close()
    assert recorder.dropped == 0
    assert Reader(path).plan("p1") is not None


@pytest.mark.parametrize("before", [None, 1_790_000_001.0], ids=["all", "before a moment"])
def test_purged_text_is_in_no_byte(path: Path, before: float | None) -> None:
    record(path, "full")
    assert CANARY.encode() in bytes_on_disk(path.parent)
    purged = purging.purge(path, before)
    assert purged.rows["texts"] >= 3
    assert purged.rows["plans"] == 1
    left = bytes_on_disk(path.parent)
    assert left.count(CANARY.encode()) == 0
    assert Reader(path).plan("p1") is None


def test_purging_the_old_leaves_the_new(path: Path) -> None:
    recorder = Recorder(path, "full")
    recorder.plan(
        samples.plan("old", at=1000.0, word=CANARY, session="a"), samples.prompt("old draft", turns=2)
    )
    recorder.plan(
        samples.plan("new", at=2000.0, word="kept", session="b"), samples.prompt("new draft", turns=5)
    )
    recorder.outcome(Outcome("old")).result(60)
    recorder.outcome(Outcome("new")).result(60)
    recorder.ledger(
        [samples.entry(b"\x01" * 16, expires_at=4600.0), samples.entry(b"\x02" * 16, expires_at=9e9)]
    )
    assert recorder.close()
    purging.purge(path, 1500.0)
    assert CANARY.encode() not in bytes_on_disk(path.parent)
    status = Reader(path).status()
    assert status.counts == {
        "sessions": 1,
        "segments": 5,
        "requests": 1,
        "plans": 1,
        "outcomes": 1,
        "additions": 1,
        "feedback": 0,
        "ledger": 1,
        "texts": 3,
        "imported": 0,
        "imports": 0,
        "places": 0,
        "tool_results": 0,
        "instructions": 0,
        "replays": 0,
        "shadows": 0,
        "policy_events": 0,
        "limit_samples": 0,
        "features": 1,
    }
    assert Reader(path).last_plan() == samples.plan("new", at=2000.0, word="kept", session="b")


def test_purge_works_while_a_recorder_is_open(path: Path) -> None:
    recorder = Recorder(path, "full")
    recorder.plan(samples.plan(word=CANARY), samples.prompt(CANARY))
    recorder.outcome(Outcome("p1")).result(60)
    purging.purge(path)
    assert CANARY.encode() not in bytes_on_disk(path.parent)
    recorder.outcome(Outcome("p2")).result(60)
    assert recorder.close()
    assert Reader(path).status().counts["outcomes"] == 1


def test_purge_removes_what_was_set_aside_as_damaged(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database, but it may hold text: " + CANARY.encode())
    record(path, "off")
    (aside,) = database.damaged(path)
    assert purging.purge(path, 1000.0).left == (str(aside),)
    assert purging.purge(path).files == (str(aside),)
    assert CANARY.encode() not in bytes_on_disk(path.parent)


def test_purging_where_nothing_is_recorded_makes_no_file(path: Path) -> None:
    assert purging.purge(path).rows == {}
    assert not path.parent.exists()
