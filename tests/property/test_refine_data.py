"""R1 to R3 on every real prompt, and on handmade ones always: entities, blocks and negations survive.

The measures are the bench's own patterns (tests/bench/data/refinement_data.py), not the mask that the guard uses.
"""

from collections import Counter
from pathlib import Path

import pytest

from anchorline.refine.propose import propose
from anchorline.surroundings import NOTHING, Selection, Surroundings
from bench.data.refinement_data import Case, blocks, entities, obligations, prompts

SELECTED = Surroundings("src/a.py", Selection("src/a.py", 4, 9), "load_all")
FACTS = Counter(
    ["`load_all`", "`src/a.py:4-9`", "load_all", "src/a.py", "src/a.py:4-9", "4-9", "`src/a.py`", "a.py"]
)

HANDMADE = [
    "Could you please fix teh bug in `src/app.py:10-20`? It must not raise, only warn. Basically, see #42.",
    'I was wondering if you could rename user_name to userName in "the form", never in v1.2.3. Thanks in advance!',
    "---\nmode: agent\n---\n# Task\n\nRead ${input:file} and {{topic}}, without <details>.\n\n\n\n\nThen stop.",
    "1. Update README.md\n2. Run `make  test`\n2. Dont touch teh 3 files in pkg/x/\n",
    "Explain:\n\n```py\nx = teh  teh\n```\n\nand\n\n```\nteh\n```\n",
    'def mean(numbers):\n    """Return teh teh mean, not the median.\n    >>> mean([1, 3])\n    2\n    """\n',
    "Исправь ошибку в src/config.py, но не трогай `parse()` - - это важно важно.",
    "Behebe den Fehler in der Datei a/b.py, aber nicht in c_d und nur bei 5 % der der Fälle.",
    "fix this\r\n\r\n- one\r\n* two\r\n- three, https://example.org/a?b=1. Never use eval()\r\n",
    "Take @docs/PLAN.md phase 2. Take @docs/PLAN.md phase 2. Run it with --dry-run. Run it with --dry-run.",
]


def check_kept(case: Case) -> None:
    refined = propose(case.text, case.surroundings)
    assert refined.status != "unavailable", (case.name, refined.reason)
    if refined.text is None:
        return
    lost, new = entities(case.text) - entities(refined.text), entities(refined.text) - entities(case.text)
    assert not lost, (case.name, lost)
    assert not new or (case.surroundings is not NOTHING and not new.keys() - FACTS.keys()), (case.name, new)
    assert blocks(case.text) == blocks(refined.text), case.name
    assert obligations(case.text) == obligations(refined.text), case.name


@pytest.mark.parametrize("draft", HANDMADE)
@pytest.mark.parametrize("place", [NOTHING, SELECTED], ids=["nothing", "selected"])
def test_handmade_drafts_keep_what_they_must(draft: str, place: Surroundings) -> None:
    check_kept(Case("handmade", draft, draft, place))


def test_the_handmade_drafts_are_edited_at_all() -> None:
    assert sum(propose(draft).status == "proposed" for draft in HANDMADE) >= 5


@pytest.mark.parametrize("place", [NOTHING, SELECTED], ids=["nothing", "selected"])
def test_real_prompts_keep_what_they_must(data: Path, place: Surroundings) -> None:
    checked = 0
    for case in prompts(data / "refine"):
        check_kept(case._replace(surroundings=place))
        checked += 1
    assert checked > 0


def test_good_prompts_are_left_alone(data: Path) -> None:
    cases = [case for case in prompts(data / "refine") if case.source == "awesome_copilot/prompts"]
    edited = [sum(e.end - e.start + len(e.text) for e in propose(case.text).edits) for case in cases]
    alone = sum(size <= 0.02 * len(case.text) for size, case in zip(edited, cases, strict=True))
    assert alone >= 0.95 * len(cases)
