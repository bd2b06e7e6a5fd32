"""The dataset as other programs see it, and as it comes back."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec
import polars
import pyarrow.parquet
import pytest

from anchorline.learn import dataset, splits
from anchorline.learn.features import MOMENT, Features
from support import worlds

JANUARY = datetime(2026, 1, 15, tzinfo=UTC).timestamp()
MONTH = 31 * 86_400


def rows(count: int = 60) -> list[worlds.Decision]:
    return [
        msgspec.structs.replace(row, at=JANUARY + MONTH * (index // 20) + index, source="imported")
        for index, row in enumerate(worlds.decisions(count))
    ]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    folder = tmp_path / "decisions.parquet"
    dataset.write(rows(), folder)
    return folder


def test_what_was_written_comes_back(written: Path):
    before, after = rows(), dataset.read(written)
    assert [one.id for one in after] == [one.id for one in before]
    for one, other in zip(before, after, strict=True):
        assert (one.session, one.gap, one.censored, one.hit) == (
            other.session,
            other.gap,
            other.censored,
            other.hit,
        )
        assert one.solve == other.solve
        assert set(one.features.grams) == set(other.features.grams)
        assert other.features.moment == pytest.approx(one.features.moment, rel=1e-5, abs=1e-5)
        assert (one.features.draft is None) == (other.features.draft is None)


def test_duckdb_reads_it(written: Path):
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.sql(
            "SELECT month, count(*), count(hit), min(moment.tokens) > 0 "
            f"FROM read_parquet('{written}/*/*.parquet', hive_partitioning = true) GROUP BY ALL ORDER BY month"
        ).fetchall()
    assert [str(month)[:7] for month, *_ in found] == ["2026-01", "2026-02", "2026-03"]
    assert [row[1:] for row in found] == [(20, 20, True)] * 3


def test_polars_reads_it(written: Path):
    frame = polars.read_parquet(written / "*" / "*.parquet", hive_partitioning=True)
    assert frame.height == 60
    assert set(frame["split_session"].unique()) <= set(splits.SPLITS)
    solved = frame.explode("solve").unnest("solve").drop_nulls("model").group_by("model").len()
    assert set(solved["model"]) == set(worlds.MODELS)
    assert frame["moment"].struct.fields == list(MOMENT)


def test_it_names_its_version_and_has_no_text_unless_asked(written: Path, tmp_path: Path):
    schema = pyarrow.parquet.read_schema(next(written.glob("*/*.parquet")))
    assert schema.metadata[b"anchorline.schema"] == str(dataset.SCHEMA).encode()
    assert polars.read_parquet(written / "*" / "*.parquet")["text"].null_count() == 60
    dataset.write(rows(), tmp_path / "texts", texts={"d3": "fix it"})
    kept = polars.read_parquet(tmp_path / "texts" / "*" / "*.parquet").drop_nulls("text")
    assert kept["id"].to_list() == ["d3"]


def test_sessions_and_moments_stay_in_their_part(written: Path):
    before = dataset.about(written)
    parts = {one.session: splits.by_name(one.session) for one in rows()}
    dataset.write([*rows(), *rows(200)[60:]], written)
    assert dataset.about(written) == before
    after = polars.read_parquet(written / "*" / "*.parquet")
    for session, part in after.select("session", "split_session").iter_rows():
        assert parts.get(session, part) == part
    late = after.filter(polars.col("at") > datetime(2026, 5, 1, tzinfo=UTC))
    assert set(late["split_time"]) == {"test"}


def test_the_parts_have_their_shares():
    found = [splits.by_name(f"session {index}") for index in range(4000)]
    assert found.count("train") / 4000 == pytest.approx(0.7, abs=0.03)
    assert found.count("test") / 4000 == pytest.approx(0.15, abs=0.03)


def test_a_month_without_rows_goes(written: Path):
    dataset.write(rows(20), written)
    assert [place.name for place in sorted(written.glob("month=*"))] == ["month=2026-01"]


def test_features_of_another_version_are_not_read(written: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dataset, "VERSION", 99)
    assert dataset.read(written) == []


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(dataset.DatasetError, match="name another folder"):
        dataset.write(rows(), tmp_path)
    with pytest.raises(dataset.DatasetError, match="anchorline dataset build"):
        dataset.read(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_damaged_file_is_named(written: Path):
    path = next(written.glob("*/*.parquet"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(dataset.DatasetError, match=r"decisions\.parquet"):
        dataset.read(written)


def test_a_decision_of_which_nothing_is_known_is_kept(tmp_path: Path):
    dataset.write([worlds.Decision(id="x", session="s", features=Features(), at=JANUARY)], tmp_path / "d")
    (found,) = dataset.read(tmp_path / "d")
    assert found.features == Features()
    assert (found.gap, found.hit, dict(found.solve)) == (None, None, {})


def test_a_first_build_that_was_ended_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def ended(*_: object, **_more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pyarrow.parquet, "write_table", ended)
        with pytest.raises(KeyboardInterrupt):
            dataset.write(rows(), tmp_path / "d")
    dataset.write(rows(), tmp_path / "d")
    assert len(dataset.read(tmp_path / "d")) == 60
