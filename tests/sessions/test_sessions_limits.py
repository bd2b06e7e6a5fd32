"""What Codex's session files tell of a plan's limits: once, with the file's own times, whoever repeats it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.rate_limits import LimitSample
from anchorline.sessions import importing
from anchorline.sessions.importing import FilePart
from anchorline.store.database import locate
from anchorline.store.reader import Reader
from support.session_logs import START, stamp

RESET = START + 9000


class Rollout:
    """A session file as Codex 0.141 writes it, an answer every minute."""

    def __init__(self, session: str, at: float = START, **meta: str) -> None:
        self.lines: list[bytes] = []
        self.at = at
        self.total = 0
        self.add("session_meta", {"id": session, "timestamp": stamp(at), "source": "cli", **meta})
        self.add("turn_context", {"model": "gpt-5.5"})

    def add(self, kind: str, payload: object, after: float = 0.0) -> None:
        self.at += after
        line = {"timestamp": stamp(self.at), "type": kind, "payload": payload}
        self.lines.append(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def message(self, role: str, after: float) -> None:
        kind = "input_text" if role == "user" else "output_text"
        content = [{"type": kind, "text": f"{role} {self.at}"}]
        self.add("response_item", {"type": "message", "role": role, "content": content}, after)

    def answer(self, used: float, pause: float = 10.0, takes: float = 50.0, reset: float = RESET) -> None:
        self.message("user", pause)
        self.message("assistant", takes)
        self.total += 1000
        self.told(used, reset)

    def told(self, used: float, reset: float = RESET) -> None:
        usage = {"input_tokens": self.total, "cached_input_tokens": 0, "output_tokens": 9}
        last = {**usage, "input_tokens": 1000}
        limits = {
            "limit_id": "codex",
            "primary": {"used_percent": used, "window_minutes": 300, "resets_at": int(reset)},
            "secondary": None,
            "plan_type": "team",
        }
        info = {"total_token_usage": usage, "last_token_usage": last}
        self.add("event_msg", {"type": "token_count", "info": info, "rate_limits": limits})

    def bytes(self) -> bytes:
        return b"".join(self.lines)


def read(path: Path, known: importing.ReadPosition | None = None) -> FilePart:
    piece = importing.read(path, "codex", known, path.stat().st_mtime)
    assert piece is not None
    list(piece.requests)
    return piece


def import_all(folder: Path) -> None:
    done = CliRunner().invoke(cli, ["import", "codex", str(folder)])
    assert done.exit_code == 0, done.output


def told(samples: tuple[LimitSample, ...]) -> list[tuple[float, float]]:
    return [(sample.at - START, sample.used) for sample in samples]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rollout-1.jsonl"


def test_each_answer_tells_what_was_used_at_its_time(file: Path) -> None:
    rollout = Rollout("a")
    rollout.answer(1)
    rollout.answer(3, reset=RESET + 2)
    file.write_bytes(rollout.bytes())
    (first, second) = read(file).limits
    assert told((first, second)) == [(60, 1), (120, 3)]
    assert (first.window, first.resets_at, first.plan) == ("five_hour", RESET, "team")


def test_an_interruption_that_repeats_the_last_figure_tells_nothing(file: Path) -> None:
    rollout = Rollout("a")
    rollout.answer(1)
    rollout.at += 3600
    rollout.told(1)
    file.write_bytes(rollout.bytes())
    assert told(read(file).limits) == [(60, 1)]


def test_limits_that_can_not_be_read_leave_the_request(file: Path) -> None:
    rollout = Rollout("a")
    rollout.answer(1)
    file.write_bytes(rollout.bytes().replace(b'"used_percent":1,', b'"used_percent":1e999,'))
    piece = importing.read(file, "codex", None, file.stat().st_mtime)
    assert piece is not None
    assert [request.input for request in piece.requests] == [1000]
    assert piece.limits == ()


def test_headers_that_come_before_their_answer_tell_something(file: Path) -> None:
    rollout = Rollout("a")
    rollout.answer(1)
    rollout.at += 5
    rollout.told(2)
    file.write_bytes(rollout.bytes())
    assert told(read(file).limits) == [(60, 1), (65, 2)]


def test_a_fork_does_not_tell_its_parents_figures_at_its_own_time(file: Path) -> None:
    parent = Rollout("a")
    parent.answer(1)
    parent.answer(2)
    fork = Rollout("b", START + 4000, forked_from_id="a")
    for line in parent.lines:  # as the client copies them: all at the time of the fork
        copied = {**json.loads(line), "timestamp": stamp(fork.at)}
        fork.lines.append(json.dumps(copied, separators=(",", ":")).encode() + b"\n")
    fork.total = parent.total
    fork.answer(9)
    file.write_bytes(fork.bytes())
    assert told(read(file).limits) == [(4060, 9)]


def test_a_file_that_grew_tells_what_is_new(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "STATE_BYTES", 0)
    rollout = Rollout("a")
    rollout.answer(1)
    file.write_bytes(rollout.bytes())
    known = read(file).position
    rollout.answer(2)
    file.write_bytes(rollout.bytes())
    assert told(read(file, known).limits) == [(120, 2)]


def test_an_import_keeps_them_once(tmp_path: Path, file: Path, isolated_home: Path) -> None:
    rollout = Rollout("a")
    rollout.answer(1)
    rollout.answer(1)
    rollout.answer(2)
    file.write_bytes(rollout.bytes())
    import_all(tmp_path)
    first = Reader(locate()).limit_samples(0)
    (tmp_path / "copy.jsonl").write_bytes(rollout.bytes())
    file.write_bytes(rollout.bytes() + b"\n")
    import_all(tmp_path)
    assert Reader(locate()).limit_samples(0) == first
    assert [(sample.at - START, sample.newest - START, sample.used) for sample in first] == [
        (60, 120, 1),
        (180, 180, 2),
    ]
