"""`anchorline dataset`, `train` and `evaluate`, from a database to a version that can be tried."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import polars
import pytest
from click.testing import CliRunner, Result

pytest.importorskip("mlx.core")

from anchorline.cli import train as train_command
from anchorline.cli.main import cli
from anchorline.learn import evaluation, network
from anchorline.sessions import importing
from anchorline.sessions.request import RecordedRequest
from anchorline.store import imports
from anchorline.store.database import locate

AT = 1_790_000_000.0


def fill(sessions: int, requests: int = 12) -> None:
    """Record sessions in which a person takes long to answer, and now and then so long that nothing is read."""
    draw = random.Random(0)
    with imports.opened(locate()) as store:
        for number in range(sessions):
            at, found = AT + 20_000 * number, []
            for index in range(requests):
                by_user = draw.random() < 0.5
                pause = draw.expovariate(1 / 400) if by_user else draw.expovariate(1 / 10)
                at += pause
                whole = 2000 + 100 * index
                found.append(
                    RecordedRequest(
                        f"{number}-{index}",
                        f"s{number}",
                        "main",
                        0,
                        "claude-opus-4-6",
                        at,
                        at + 1,
                        "user" if by_user else "tool",
                        False,
                        index,
                        f"{number}-{index}".encode(),
                        10,
                        whole if pause < 240 else 0,
                        100,
                        0,
                        5,
                        "5m",
                    )
                )
            mark = importing.ReadPosition(1, 1, 1, 1, b"", b"", None)
            piece = importing.FilePart(found, mark, [], True, 1)
            store.put([imports.ImportedFile(Path(f"f{number}"), "claude-code", found, piece, [])])


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def lines(done: Result) -> list[dict]:
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "DRAWS", 40)
    monkeypatch.setattr(evaluation, "has_baselines", lambda: False)


@pytest.mark.process
def test_training_and_measuring_do_without_pyarrow(isolated_home: Path):
    fill(120)

    def without(*words: str) -> subprocess.CompletedProcess[str]:
        program = "import sys; sys.modules['pyarrow'] = None; from anchorline.cli.main import main; main()"
        return subprocess.run(
            [sys.executable, "-c", program, *words], check=False, capture_output=True, text=True
        )

    trained = without("train", "--epochs", "1", "--from", "scratch", "--json")
    assert trained.returncode == 0, trained.stderr
    refused = without("dataset", "build")
    assert refused.returncode == 1
    assert "`anchorline dataset` needs pyarrow" in refused.stderr
    assert "pip install 'anchorline[dataset]'" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_dataset_is_built_beside_an_unfinished_training(
    isolated_home: Path, monkeypatch: pytest.MonkeyPatch
):
    fill(120)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_command, "evaluate", interrupted)
        assert run("train", "--epochs", "1", "--from", "scratch").exit_code == 130
    assert run("dataset", "build").exit_code == 0


def test_from_sessions_to_a_version_that_can_be_tried(isolated_home: Path, tmp_path: Path):
    fill(120)
    described = json.loads(run("dataset", "build", "--json").stdout)
    assert described["decisions"] == 1440 + 720
    assert described["missing"]["hit"] is None
    assert "200 more labels" in described["missing"]["solve"]

    *progress, result = lines(run("train", "--epochs", "3", "--from", "scratch", "--json"))
    assert {line["kind"] for line in progress} == {"progress"}
    assert set(progress[-1]["train"]) == {"gap", "hit"}
    assert set(progress[-1]["held"]) == {"gap", "hit"}
    assert result["kind"] == "result"
    assert set(result["refused"]) == {"solve"}
    assert result["heads"]["solve"] == "baseline"
    assert 1e6 < result["parameters"] < 5e6
    kept = network.load(Path(result["folder"]))
    assert kept.description.heads == result["heads"]

    again = lines(run("train", "--epochs", "3", "--from", "scratch", "--json"))[-1]
    weights = [(Path(one["folder"]) / network.WEIGHTS).read_bytes() for one in (result, again)]
    assert weights[0] == weights[1]

    measured = json.loads(run("evaluate", result["version"], "--json").stdout)
    assert {row["case"] for row in measured["rows"]} == {"network", "rule", "marginal"}
    assert {row["head"] for row in measured["rows"]} == {"gap", "hit"}
    shown = run("evaluate")
    assert "hit" in shown.stdout
    assert "scikit-learn" in shown.stderr

    further = lines(run("train", "--epochs", "1", "--from", result["version"], "--json"))[-1]
    assert further["start"] == result["version"]


def test_too_little_data_is_refused_with_what_is_missing(isolated_home: Path):
    nothing = run("train")
    assert nothing.exit_code == 1
    assert "anchorline import" in nothing.stderr
    fill(5)
    few = run("train")
    assert few.exit_code == 1
    assert "more labels" in few.stderr
    assert "hit" in few.stderr
    assert "Traceback" not in few.output


@pytest.mark.process
def test_an_interrupted_training_goes_on_where_it_was(isolated_home: Path):
    fill(120)
    words = [sys.executable, "-m", "anchorline", "train", "--epochs", "8", "--from", "scratch", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ) as process:
        for line in process.stdout:
            if json.loads(line)["epoch"] == 2:
                process.send_signal(signal.SIGINT)
                break
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"again to go on" in said
    assert b"Traceback" not in said
    epochs = [line["epoch"] for line in lines(run(*words[3:])) if line["kind"] == "progress"]
    assert 1 not in epochs
    assert epochs[-1] == 8


def test_what_was_purged_while_it_was_learnt_is_not_kept(
    isolated_home: Path, monkeypatch: pytest.MonkeyPatch
):
    fill(120)
    evaluate = evaluation.evaluate

    def purged_first(*given, **more):
        assert run("store", "purge", "--before", "2026-09-23", "--yes").exit_code == 0
        return evaluate(*given, **more)

    monkeypatch.setattr(train_command, "evaluate", purged_first)
    done = run("train", "--epochs", "1", "--from", "scratch")
    assert done.exit_code == 1
    assert "purged meanwhile" in done.stderr
    assert not list((isolated_home / "data").rglob("*.safetensors"))


def test_a_training_that_is_stopped_while_it_is_measured_is_not_lost(
    isolated_home: Path, monkeypatch: pytest.MonkeyPatch
):
    fill(120)
    words = ["train", "--epochs", "2", "--from", "scratch", "--json"]

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_command, "evaluate", interrupted)
        stopped = run(*words)
    assert stopped.exit_code == 130
    assert "Stopped after epoch 2" in stopped.stderr
    progress, result = lines(run(*words))
    assert (progress["epoch"], progress["train"]) == (2, {})
    assert result["epochs"] == 2
    assert not list((isolated_home / "data" / "dataset").glob("*checkpoint*"))


def test_an_unknown_or_foreign_version_is_named(isolated_home: Path):
    fill(120)
    done = run("train", "--from", "r-1")
    assert done.exit_code == 1
    assert "r-1" in done.stderr
    assert "--from scratch" in done.stderr
    assert run("evaluate", "r-1").exit_code == 1
    assert run("evaluate").exit_code == 0  # the one that ships


def test_an_export_is_read_by_others_and_a_purge_removes_the_dataset(isolated_home: Path, tmp_path: Path):
    fill(30)
    out = tmp_path / "out.parquet"
    assert json.loads(run("dataset", "export", str(out), "--json").stdout)["decisions"] == 360 + 180
    assert polars.read_parquet(out / "*" / "*.parquet").height == 360 + 180
    place = isolated_home / "data" / "dataset"
    assert list(place.glob("*/*.parquet"))
    assert run("dataset", "describe").exit_code == 0
    assert run("store", "purge", "--all", "--yes").exit_code == 0
    assert not list(place.glob("*/*.parquet"))
    assert run("dataset", "build").exit_code == 1
    own = run("dataset", "export", str(place))
    assert own.exit_code != 0
