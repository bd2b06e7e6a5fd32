"""What holds for generated bodies holds for those of real sessions, from the first request to the last."""

from pathlib import Path

import pytest

from anchorline.cache import markers
from anchorline.cache.ledger import MemoryLedger
from anchorline.config import Config
from anchorline.planner import Planner
from anchorline.prompt import formats
from bench.data.bodies import bodies

LATEST = 25


def sessions(data: Path) -> list[Path]:
    return sorted((data / "transcripts").rglob("*.jsonl.gz"))


@pytest.mark.parametrize("number", range(38))
def test_anchors_strip_and_reading_on_is_reading_anew(data: Path, number: int):
    planner = Planner(Config(), MemoryLedger())
    memory = formats.Memory()
    requests = list(bodies(sessions(data)[number]))[-LATEST:]
    assert requests
    for moment, body in requests:
        prompt = formats.read(body, memory=memory)
        assert prompt.segments == formats.read(body).segments
        plan = planner.plan(prompt, now=moment)
        assert plan.failure is None
        changes = markers.splices(prompt, plan.cache.anchors)
        planned = markers.apply(body, changes)
        assert markers.strip(planned, changes) == body
        again = formats.read(planned)
        assert again.hash == prompt.hash
        assert [mark.segment for mark in again.markers] == [anchor.segment for anchor in plan.cache.anchors]
