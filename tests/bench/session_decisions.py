"""What the gap and hit heads of the shipped network are trained on: the train rows of recorded sessions, no text."""

from collections.abc import Sequence
from pathlib import Path

import gap_models
import hit_models
import hit_rows
import weka_traces
from gaps import request_rows, weka_rows

from anchorline.cache.reuse import HazardGaps
from anchorline.learn.decision import Decision


def decisions(weka: Path, near_duplicates: Path, requests: Sequence[Path]) -> list[Decision]:
    """Return the decisions, each with the label of one head. Their sessions are whole, to be held out by."""
    gaps = weka_rows(weka_traces.read(weka, near_duplicates))
    for path in requests:
        gaps += request_rows(path)
    returns, _ = hit_rows.read(requests)
    return [
        *gap_models.decisions([row for row in gaps if row.split == "train"], HazardGaps()),
        *hit_models.decisions([row for row in returns if row.train and not row.review]),
    ]
