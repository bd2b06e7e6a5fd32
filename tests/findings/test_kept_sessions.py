"""Sums of sessions are kept, and are what they would be without."""

import os
import shutil
from pathlib import Path
from unittest import mock

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from anchorline.config import Files
from anchorline.findings.overview import overview
from anchorline.outcome import Outcome
from anchorline.route.target import load
from anchorline.sessions.facts import ToolResult
from anchorline.store import database, purging
from support.examples import examples
from support.history import billed, planned, recorded
from support.sessions_in_store import put, request

TARGETS = load()


def kept() -> Path:
    return database.worked_out_file(database.locate(), "findings")


def now(targets=TARGETS):
    return overview(database.locate(), targets)


def anew():
    kept().unlink(missing_ok=True)
    return now()


_SESSION = st.lists(
    st.tuples(
        st.sampled_from(["user", "tool", "compact"]),
        st.integers(0, 40_000),
        st.integers(0, 40_000),
        st.integers(0, 9000),
    ),
    min_size=1,
    max_size=5,
)


@examples(20)
@given(
    histories=st.lists(st.dictionaries(st.sampled_from("abc"), _SESSION, max_size=3), min_size=1, max_size=3)
)
def test_what_is_kept_changes_nothing(tmp_path_factory, histories):
    folder = tmp_path_factory.mktemp("data")
    with mock.patch.dict(os.environ, {"ANCHORLINE_DATA_DIR": str(folder)}):
        for history in histories:  # each replaces the sessions that it has
            for name, rows in history.items():
                put([
                    request(number, at=3000.0 * number, session=name, trigger=trigger, read=read, write_1h=write,
                            results=(ToolResult("Bash", "text", tokens),))
                    for number, (trigger, read, write, tokens) in enumerate(rows)
                ], file=name)  # fmt: skip
            assert now() == anew()
    shutil.rmtree(folder)


def test_only_the_session_that_grew_is_added_up_anew():
    for name in ("s1", "s2"):
        put([request(1, session=name, write_1h=9000)], file=name)
    now()
    version, sums = msgspec.msgpack.decode(kept().read_bytes())
    for part in sums.values():
        part["days"][0]["usd"] += 100.0  # so that it can be told from what is added up anew
    kept().write_bytes(msgspec.msgpack.encode((version, sums)))
    put(
        [request(1, session="s2", write_1h=9000), request(2, at=90, session="s2", read=9000, write_1h=9)],
        file="s2",
    )
    assert now().requests == 3
    assert 100 < now().usd < 101


def test_other_prices_are_other_sums(tmp_path: Path, isolated_home: Path):
    put([request(1, at=100 * 86_400, write_1h=9000)])  # since when today's price holds
    usd = now().usd
    own = tmp_path / "models.toml"
    own.write_text("[anthropic.models.claude-opus-4-6]\ninput = 50.0\n")
    assert now(load(Files(models=str(own)))).usd > usd


def test_what_the_gateway_saw_later_counts_once():
    put([request(1, write_5m=4200, answer="a1")])
    now()
    recorded((planned("p"), billed("p")))
    assert now().requests == 2


def test_an_answer_that_broke_off_at_the_gateway_counts_as_well():
    put([request(1, write_1h=9000)])
    recorded((planned("p"), Outcome("p", signals={"status": 200, "broken_off": True})))
    known = now()
    assert (known.requests, known.unpriced) == (2, 1)


def test_a_damaged_copy_is_made_anew_and_a_purge_leaves_none():
    put([request(1, write_1h=9000)])
    first = now()
    kept().write_bytes(b"\xff")
    assert now() == first
    purging.purge(database.locate())
    assert not kept().exists()
